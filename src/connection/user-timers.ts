/**
 * Timers of the user's on the reactor's wheel: `reactor.setTimer`, and `connection.setTimer`, which end with their
 * connection. The callback is found by the timer's id. The sessions of datagram sockets are on the wheel, too, with
 * payloads below that of the user's timers.
 */

import type { SocketConnection } from './connection.js';
import { DESTROYED } from './connection-table.js';
import { timeOf } from './deadlines.js';
import { extrasOf } from './extras.js';
import { abort } from './lifecycle.js';
import type { ReactorState } from './reactor-state.js';

export const USER_TIMER = -1;

/** Longer than this is most likely an error in units: 2^36 ms are two years. */
const DELAY_MAX = 2 ** 36;

export function setUserTimer(
  state: ReactorState,
  milliseconds: number,
  callback: () => void,
): number {
  if (typeof milliseconds !== 'number' || !(milliseconds >= 0 && milliseconds <= DELAY_MAX)) {
    throw new RangeError(`Expected a delay of 0 to ${DELAY_MAX} ms, got ${String(milliseconds)}`);
  }
  if (typeof callback !== 'function') {
    throw new TypeError(`Expected a function to call back, got ${typeof callback}`);
  }
  const timer = state.wheel.set(timeOf(state) + milliseconds, USER_TIMER);
  if (timer < 0) {
    throw new RangeError(`Cannot set a timer: all ${state.wheel.size} are in use`);
  }
  state.timerCallbacks.set(timer, callback);
  state.requestTurn();
  return timer;
}

export function setConnectionTimer(
  state: ReactorState,
  connection: SocketConnection,
  milliseconds: number,
  callback: () => void,
): number {
  const { slot } = connection;
  if (slot < 0 || (state.table.flags[slot] & DESTROYED) !== 0) {
    return -1;
  }
  const extras = extrasOf(state, slot);
  const timer = setUserTimer(state, milliseconds, () => {
    extras.timers.delete(timer);
    try {
      callback();
    } catch (thrown) {
      // As with a hook: it costs this connection.
      const error = thrown instanceof Error ? thrown : new Error(`A timer threw ${String(thrown)}`);
      abort(state, connection, 'handler', error);
      throw error;
    }
  });
  extras.timers.add(timer);
  return timer;
}

/** Harmless for a timer that has fired or was cleared. */
export function clearUserTimer(state: ReactorState, timer: number): void {
  if (state.timerCallbacks.delete(timer)) {
    state.wheel.clear(timer);
  }
}
