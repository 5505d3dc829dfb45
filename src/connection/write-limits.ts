/**
 * How much may wait to be sent: the high and low water marks, and the cap with what is to happen at it. Used by
 * write-path.ts.
 */

import type { WriteResult } from '../api.js';
import type { SocketConnection } from './connection.js';
import { BLOCKED, HELD, NO_WRITE, QUEUED } from './connection-table.js';
import { extrasOf } from './extras.js';
import { WHEN_FULL_CLOSE, WHEN_FULL_PAUSE_SOURCE } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { Counter } from './stats.js';
import { destroy, noteReason } from './teardown.js';

/** Parts of files that one connection may have queued. */
const QUEUED_FILES_MAX = 64;

/** Bytes in memory. */
export function queuedBytes(state: ReactorState, slot: number): number {
  const direct = state.table.directBytes[slot];
  return (state.table.flags[slot] & QUEUED) === 0
    ? direct
    : direct + state.queues.get(slot)!.byteLength;
}

/** The bytes of files that wait behind or among them: they take no memory, and no limit of bytes concerns them. */
export function queuedFileBytes(state: ReactorState, slot: number): number {
  return (state.table.flags[slot] & QUEUED) === 0 ? 0 : state.queues.get(slot)!.fileBytes;
}

/** All that was accepted and that the kernel does not have. */
export function unsentBytes(state: ReactorState, slot: number): number {
  const direct = state.table.directBytes[slot];
  return (state.table.flags[slot] & QUEUED) === 0
    ? direct
    : direct + state.queues.get(slot)!.totalBytes;
}

/** Why one more file cannot be taken, if so. */
export function refuseFile(
  state: ReactorState,
  connection: SocketConnection,
): WriteResult | undefined {
  const { slot } = connection;
  if (slot < 0 || (state.table.flags[slot] & NO_WRITE) !== 0) {
    return 'closed';
  }
  return hasRoomForFile(state, slot) ? undefined : refuseFull(state, connection);
}

/** Whether one more part of a file may be queued. */
export function hasRoomForFile(state: ReactorState, slot: number): boolean {
  return (
    (state.table.flags[slot] & QUEUED) === 0 || state.queues.get(slot)!.fileCount < QUEUED_FILES_MAX
  );
}

/** Whether a write of so many bytes is above the cap. One write on an empty queue never is: it could never be sent. */
export function isAboveCap(
  state: ReactorState,
  connection: SocketConnection,
  byteLength: number,
): boolean {
  const queued = queuedBytes(state, connection.slot);
  return queued > 0 && queued + byteLength > connection.profile.writeQueueMax;
}

/** Why a write of so many bytes cannot be taken, if so. */
export function refuse(
  state: ReactorState,
  connection: SocketConnection,
  byteLength: number,
): WriteResult | undefined {
  const { slot, profile } = connection;
  if (slot < 0 || (state.table.flags[slot] & NO_WRITE) !== 0) {
    return 'closed';
  }
  if (!isAboveCap(state, connection, byteLength)) {
    return undefined;
  }
  if (profile.whenFull === WHEN_FULL_PAUSE_SOURCE) {
    if (queuedBytes(state, slot) + byteLength <= profile.writeQueueMax * 2) {
      return undefined;
    }
  }
  return refuseFull(state, connection);
}

function refuseFull(state: ReactorState, { slot, profile }: SocketConnection): WriteResult {
  if (profile.whenFull === WHEN_FULL_CLOSE) {
    state.stats.add(Counter.refusedWriteOverflow, 1);
    noteReason(state, slot, 'overflow');
    destroy(state, slot, true);
    return 'closed';
  }
  state.stats.add(Counter.refusedWriteFull, 1);
  // Who was refused waits for onDrain, though the queue may be below the high-water mark.
  state.table.flags[slot] |= BLOCKED;
  return 'full';
}

/** Above the high-water mark onDrain is owed, and a source that can wait is held. */
export function limitQueued(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  if (queuedBytes(state, slot) > profile.drainAbove) {
    state.table.flags[slot] |= BLOCKED;
    if (profile.whenFull === WHEN_FULL_PAUSE_SOURCE) {
      holdSource(state, connection);
    }
  }
}

/** At or below the low-water mark onDrain is called, if it is owed. */
export function noteDrained(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  const { table } = state;
  if (
    (table.flags[slot] & BLOCKED) !== 0 &&
    queuedBytes(state, slot) <= connection.profile.lowWaterMark &&
    hasRoomForFile(state, slot)
  ) {
    table.flags[slot] &= ~BLOCKED;
    state.drainList.push(connection);
    state.requestTurn();
  }
}

/** Stops reading from the connection whose hook is writing to this one, until this one drains. */
function holdSource(state: ReactorState, sink: SocketConnection): void {
  const source = state.current;
  if (source === undefined || source.slot < 0 || (state.table.flags[source.slot] & HELD) !== 0) {
    return;
  }
  extrasOf(state, sink.slot).sources.push(source);
  source.hold();
}
