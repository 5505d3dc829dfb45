/**
 * The deadlines of connections, all on the wheel: one timer for each connection that has any, set to the nearest.
 * Activity does not touch the timer; it notes the time. When the timer fires, what is due is looked up, and if
 * nothing is, the timer is set again: O(1) for each, and nothing at all for each message.
 */

import type { CloseReason } from '../api.js';
import { CLOSING, DESTROYED, NO_RECEIVE, QUEUED, SENDING, TIMED } from './connection-table.js';
import type { ReactorState } from './reactor-state.js';

export type TimeoutKind = NonNullable<CloseReason['timeout']>;

/** The time of the turn, or, outside of one (a promise, another timer of Node's), the time it is. */
export function timeOf(state: ReactorState): number {
  if (!state.inTurn) {
    state.now = state.kernel.now();
  }
  return state.now;
}

/** Notes the time of a received message where a timeout depends on it. */
export function noteReceived(state: ReactorState, slot: number): void {
  if ((state.table.flags[slot] & TIMED) !== 0) {
    state.table.lastReceived[slot] = state.now;
  }
}

export function noteSent(state: ReactorState, slot: number): void {
  if ((state.table.flags[slot] & (TIMED | QUEUED)) !== 0) {
    state.table.lastSent[slot] = timeOf(state);
  }
}

/** The nearest deadline, Infinity for none. */
function nextDeadline(state: ReactorState, slot: number): number {
  const { table } = state;
  const flags = table.flags[slot];
  let next = Number.POSITIVE_INFINITY;
  if (table.hardDeadlines[slot] > 0) {
    next = table.hardDeadlines[slot];
  }
  if ((flags & (QUEUED | SENDING)) !== 0 && table.writeTimeouts[slot] > 0) {
    next = Math.min(next, table.lastSent[slot] + table.writeTimeouts[slot]);
  }
  if ((flags & (TIMED | CLOSING)) !== TIMED) {
    return next;
  }
  if (table.idleTimeouts[slot] > 0) {
    const last = Math.max(table.lastReceived[slot], table.lastSent[slot]);
    next = Math.min(next, last + table.idleTimeouts[slot]);
  }
  // Who paused reading cannot blame the peer for sending nothing.
  if (table.readTimeouts[slot] > 0 && (flags & NO_RECEIVE) === 0) {
    next = Math.min(next, table.lastReceived[slot] + table.readTimeouts[slot]);
  }
  return next;
}

/** Which deadline has passed at `state.now`; undefined if none. */
export function dueTimeout(state: ReactorState, slot: number): TimeoutKind | undefined {
  const { table, now } = state;
  const flags = table.flags[slot];
  if (table.hardDeadlines[slot] > 0 && now >= table.hardDeadlines[slot]) {
    return 'linger';
  }
  if ((flags & (QUEUED | SENDING)) !== 0 && table.writeTimeouts[slot] > 0) {
    if (now >= table.lastSent[slot] + table.writeTimeouts[slot]) {
      return 'write';
    }
  }
  if ((flags & (TIMED | CLOSING)) !== TIMED) {
    return undefined;
  }
  if (table.readTimeouts[slot] > 0 && (flags & NO_RECEIVE) === 0) {
    if (now >= table.lastReceived[slot] + table.readTimeouts[slot]) {
      return 'read';
    }
  }
  if (table.idleTimeouts[slot] > 0) {
    const last = Math.max(table.lastReceived[slot], table.lastSent[slot]);
    if (now >= last + table.idleTimeouts[slot]) {
      return 'idle';
    }
  }
  return undefined;
}

/** Makes sure that the timer fires no later than the nearest deadline. Called when one is added or brought forward. */
export function armDeadline(state: ReactorState, slot: number): void {
  const { table, wheel } = state;
  if ((table.flags[slot] & DESTROYED) !== 0) {
    return;
  }
  const deadline = nextDeadline(state, slot);
  const timer = table.timers[slot];
  if (deadline === Number.POSITIVE_INFINITY) {
    return;
  }
  if (timer !== 0 && wheel.isActive(timer - 1)) {
    // The wheel rounds up to whole milliseconds.
    if (wheel.deadlineOf(timer - 1) > Math.ceil(deadline)) {
      wheel.reset(timer - 1, deadline);
      state.requestTurn();
    }
    return;
  }
  // Ids are kept as id + 1, so that the zeroed column means "none" and untouched pages stay untouched.
  table.timers[slot] = wheel.set(deadline, slot) + 1;
  state.requestTurn();
}

export function clearDeadline(state: ReactorState, slot: number): void {
  const { table } = state;
  if (table.timers[slot] !== 0) {
    state.wheel.clear(table.timers[slot] - 1);
    table.timers[slot] = 0;
  }
}

/** Sets or, with 0, removes the absolute deadline of a linger or a half-open state. */
export function setHardDeadline(state: ReactorState, slot: number, delayMs: number): void {
  state.table.hardDeadlines[slot] = delayMs > 0 ? timeOf(state) + delayMs : 0;
  armDeadline(state, slot);
}

/** Sets the read or idle timeout: from now on. */
export function setActivityTimeouts(
  state: ReactorState,
  slot: number,
  readMs: number,
  idleMs: number,
): void {
  const { table } = state;
  table.readTimeouts[slot] = readMs;
  table.idleTimeouts[slot] = idleMs;
  const now = timeOf(state);
  table.lastReceived[slot] = now;
  table.lastSent[slot] = now;
  if (readMs > 0 || idleMs > 0) {
    table.flags[slot] |= TIMED;
    armDeadline(state, slot);
  } else {
    table.flags[slot] &= ~TIMED;
  }
}

/** Columns of a fresh connection, written only where they differ from what is there. */
export function resetDeadlines(state: ReactorState, slot: number, writeMs: number): void {
  const { table } = state;
  if (table.writeTimeouts[slot] !== writeMs) {
    table.writeTimeouts[slot] = writeMs;
  }
  if (table.readTimeouts[slot] !== 0) {
    table.readTimeouts[slot] = 0;
  }
  if (table.idleTimeouts[slot] !== 0) {
    table.idleTimeouts[slot] = 0;
  }
  if (table.hardDeadlines[slot] !== 0) {
    table.hardDeadlines[slot] = 0;
  }
  if (table.timers[slot] !== 0) {
    table.timers[slot] = 0;
  }
}
