/**
 * Users' listeners are called from within a reactor's turn, where nothing may throw. What a listener throws must end as
 * it does with Node's own streams: as an uncaught exception.
 */

/** Calls `task`; what it throws is thrown again outside of the turn. */
export function guard(task: () => void): void {
  try {
    task();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
