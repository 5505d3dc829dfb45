/**
 * The deadlines of connections, all on a wheel: one timer for each connection that has any, set to the nearest.
 * Activity does not touch the timer; it notes the time. When the timer fires, what is due is looked up, and if
 * nothing is, the timer is set again: O(1) for each, and nothing at all for each message.
 */

import type { CloseReason } from '../api.js';
import {
  CLOSING,
  DESTROYED,
  NO_RECEIVE,
  QUEUED,
  SENDING,
  TIMED,
  TIMEOUT_MAX_MS,
} from './connection-table.js';
import type { ReactorState } from './reactor-state.js';

/** A write timeout may come so much later. */
const SENDING_GRACE_MS = 10;
const NEVER = Number.POSITIVE_INFINITY;

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
    state.table.noteReceived(slot, state.now);
  }
}

export function noteSent(state: ReactorState, slot: number): void {
  if ((state.table.flags[slot] & (TIMED | QUEUED)) !== 0) {
    state.table.noteSent(slot, timeOf(state));
  }
}

/** A connection's own timeout, as its column has it, or that of its profile. */
function timeoutOf(own: number, common: number | undefined): number {
  return own > 0 ? own - 1 : Math.min(common ?? 0, TIMEOUT_MAX_MS);
}

export function readTimeoutOf(state: ReactorState, slot: number): number {
  const common = state.connections[slot]?.profile.readTimeoutMs;
  return timeoutOf(state.table.readTimeouts[slot], common);
}

export function idleTimeoutOf(state: ReactorState, slot: number): number {
  const common = state.connections[slot]?.profile.idleTimeoutMs;
  return timeoutOf(state.table.idleTimeouts[slot], common);
}

export function writeTimeoutOf(state: ReactorState, slot: number): number {
  const common = state.connections[slot]?.profile.writeTimeoutMs;
  return timeoutOf(state.table.writeTimeouts[slot], common);
}

function writeDeadline(state: ReactorState, slot: number): number {
  const timeout = writeTimeoutOf(state, slot);
  if (timeout === 0 || (state.table.flags[slot] & (QUEUED | SENDING)) === 0) {
    return NEVER;
  }
  return state.table.lastSent(slot, state.now) + timeout;
}

function idleDeadline(state: ReactorState, slot: number): number {
  const { table, now } = state;
  const timeout = idleTimeoutOf(state, slot);
  return timeout === 0
    ? NEVER
    : Math.max(table.lastReceived(slot, now), table.lastSent(slot, now)) + timeout;
}

function readDeadline(state: ReactorState, slot: number): number {
  const { table } = state;
  const timeout = readTimeoutOf(state, slot);
  // Who paused reading cannot blame the peer for sending nothing.
  if (timeout === 0 || (table.flags[slot] & NO_RECEIVE) !== 0) {
    return NEVER;
  }
  return table.lastReceived(slot, state.now) + timeout;
}

/** The nearest deadline, NEVER for none. */
function nextDeadline(state: ReactorState, slot: number): number {
  const { table } = state;
  const hard = table.hardDeadlines[slot] > 0 ? table.hardDeadlines[slot] : NEVER;
  const next = Math.min(hard, writeDeadline(state, slot));
  if ((table.flags[slot] & (TIMED | CLOSING)) !== TIMED) {
    return next;
  }
  return Math.min(next, idleDeadline(state, slot), readDeadline(state, slot));
}

/** Which deadline has passed at `state.now`; undefined if none. */
export function dueTimeout(state: ReactorState, slot: number): TimeoutKind | undefined {
  const { table, now } = state;
  if (table.hardDeadlines[slot] > 0 && now >= table.hardDeadlines[slot]) {
    return 'linger';
  }
  if (now >= writeDeadline(state, slot)) {
    return 'write';
  }
  if ((table.flags[slot] & (TIMED | CLOSING)) !== TIMED) {
    return undefined;
  }
  if (now >= readDeadline(state, slot)) {
    return 'read';
  }
  return now >= idleDeadline(state, slot) ? 'idle' : undefined;
}

/** Makes sure that the timer fires no later than the nearest deadline. Called when one is added or brought forward. */
export function armDeadline(state: ReactorState, slot: number): void {
  const { table, deadlines } = state;
  if ((table.flags[slot] & DESTROYED) !== 0) {
    return;
  }
  const deadline = nextDeadline(state, slot);
  if (deadline === NEVER) {
    return;
  }
  if (!deadlines.isActive(slot)) {
    deadlines.set(deadline, slot);
    state.requestTurn();
    return;
  }
  // The wheel rounds up to whole milliseconds.
  if (deadlines.deadlineOf(slot) > Math.ceil(deadline)) {
    deadlines.reset(slot, deadline);
    state.requestTurn();
  }
}

/**
 * A send is pending. Most asynchronous ones end within the turn, and a timer for each would cost as much as the rest:
 * they are listed, and get theirs if they are pending for longer.
 */
export function noteSending(state: ReactorState, slot: number): void {
  state.table.noteSent(slot, timeOf(state));
  if (!state.driver.isAsynchronous) {
    armDeadline(state, slot);
    return;
  }
  if (state.sendingList.length === 0) {
    state.sendingSince = state.now;
  }
  state.sendingList.push(slot);
  state.requestTurn();
}

/** At the end of a turn: sets the timers of sends that have been pending for some time, or, before a rest, at all. */
export function armSending(state: ReactorState, isResting: boolean): void {
  const list = state.sendingList;
  if (!isResting && state.now - state.sendingSince < SENDING_GRACE_MS) {
    return;
  }
  for (let i = 0; i < list.length; i += 1) {
    if ((state.table.flags[list[i]] & SENDING) !== 0) {
      armDeadline(state, list[i]);
    }
  }
  list.length = 0;
}

export function clearDeadline(state: ReactorState, slot: number): void {
  state.deadlines.clear(slot);
}

/** Sets or, with 0, removes the absolute deadline of a linger or a half-open state. */
export function setHardDeadline(state: ReactorState, slot: number, delayMs: number): void {
  state.table.hardDeadlines[slot] = delayMs > 0 ? timeOf(state) + delayMs : 0;
  armDeadline(state, slot);
}

/** Sets the read and idle timeouts: from now on. */
export function setActivityTimeouts(
  state: ReactorState,
  slot: number,
  readMs: number,
  idleMs: number,
): void {
  state.table.readTimeouts[slot] = Math.min(readMs, TIMEOUT_MAX_MS) + 1;
  state.table.idleTimeouts[slot] = Math.min(idleMs, TIMEOUT_MAX_MS) + 1;
  startActivityTimeouts(state, slot);
}

/** Counts from now on, with the timeouts that there are. */
export function startActivityTimeouts(state: ReactorState, slot: number): void {
  const { table } = state;
  const now = timeOf(state);
  table.noteReceived(slot, now);
  table.noteSent(slot, now);
  if (readTimeoutOf(state, slot) > 0 || idleTimeoutOf(state, slot) > 0) {
    table.flags[slot] |= TIMED;
    armDeadline(state, slot);
  } else {
    table.flags[slot] &= ~TIMED;
  }
}

export function setWriteTimeout(state: ReactorState, slot: number, milliseconds: number): void {
  state.table.writeTimeouts[slot] = Math.min(milliseconds, TIMEOUT_MAX_MS) + 1;
  armDeadline(state, slot);
}

/** Columns of a fresh connection, written only where they differ from what is there. */
export function resetDeadlines(state: ReactorState, slot: number): void {
  const { table } = state;
  if (table.writeTimeouts[slot] !== 0) {
    table.writeTimeouts[slot] = 0;
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
}
