/** Waiting for a condition instead of for a time: the guard only ends what would hang. */

/** Far beyond what any condition takes, on the slowest machine. */
const GUARD_MS = 120_000;
/** Rounds of the event loop before the wait becomes polite to the other threads. */
const EAGER_ROUNDS = 100;

export async function awaitCondition(
  condition: () => boolean | Promise<boolean>,
  what: string,
  guardMs: number = GUARD_MS,
): Promise<void> {
  const deadline = performance.now() + guardMs;
  for (let round = 0; !(await condition()); round += 1) {
    if (performance.now() > deadline) {
      throw new Error(`Waited in vain for ${what}`);
    }
    await new Promise<void>((resolve) => {
      if (round < EAGER_ROUNDS) {
        setImmediate(resolve);
      } else {
        setTimeout(resolve, 1);
      }
    });
  }
}

/** The promise's outcome, unless it hangs. */
export async function settled<Value>(
  promise: PromiseLike<Value>,
  what: string,
  guardMs: number = GUARD_MS,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const guard = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited in vain for ${what}`)), guardMs);
  });
  try {
    return await Promise.race([promise, guard]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets the loop go round: everything that is ready by now has happened afterwards. */
export async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
