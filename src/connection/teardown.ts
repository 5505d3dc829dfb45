/**
 * The end of a connection, in two steps. `destroy` notes the reason and gives the descriptor to the driver for
 * closing; it may be called from anywhere and calls no user code. `finalize` runs when the driver reports `closed`:
 * it frees what the connection has and returns the reason for the one onClose.
 */

import type { CloseReason } from '../api.js';
import { ECONNRESET, ENODATA, EPIPE } from '../base/errno.js';
import { connectionError } from '../errors.js';
import type { SocketConnection } from './connection.js';
import {
  CLOSING,
  DESTROYED,
  HAS_EXTRAS,
  HAS_FACE,
  HAS_READER,
  HELD,
  QUEUED,
  SEND_ENDED,
} from './connection-table.js';
import { clearDeadline } from './deadlines.js';
import type { ReactorState, Teardown } from './reactor-state.js';
import type { WriteQueue } from './write-queue.js';

/** Queues kept for the next connections that need one: those of a burst are not worth their memory afterwards. */
const SPARE_QUEUES_MAX = 1_024;

export function spare(state: ReactorState, queue: WriteQueue): void {
  if (state.spareQueues.length < SPARE_QUEUES_MAX) {
    state.spareQueues.push(queue);
  }
}

/** Notes why the connection closes; the first reason counts. */
export function noteReason(
  state: ReactorState,
  slot: number,
  code: CloseReason['code'],
  error?: Error,
  timeout?: CloseReason['timeout'],
): Teardown {
  let teardown = state.teardowns.get(slot);
  if (teardown === undefined) {
    teardown = { code, error, timeout, unsentBytes: 0 };
    state.teardowns.set(slot, teardown);
  }
  return teardown;
}

/** A graceful close turned out otherwise: what happened last is what the user needs to know. */
export function replaceReason(
  state: ReactorState,
  slot: number,
  code: CloseReason['code'],
  error?: Error,
  timeout?: CloseReason['timeout'],
): void {
  const teardown = noteReason(state, slot, code);
  teardown.code = code;
  teardown.error = error;
  teardown.timeout = timeout;
}

/** Closes the descriptor; the reason must have been noted. With `abort` the peer gets RST. */
export function destroy(state: ReactorState, slot: number, abort: boolean): void {
  const { table } = state;
  if ((table.flags[slot] & DESTROYED) !== 0) {
    return;
  }
  table.flags[slot] |= DESTROYED;
  noteReason(state, slot, 'closed');
  clearDeadline(state, slot);
  state.driver.close(slot, abort);
  state.requestTurn();
}

/** A receive or send failed with `errno`: the descriptor is of no more use. */
export function destroyFailed(
  state: ReactorState,
  slot: number,
  syscall: string,
  errno: number,
): void {
  const isReset = errno === ECONNRESET || errno === EPIPE;
  if ((state.table.flags[slot] & (CLOSING | SEND_ENDED)) !== (CLOSING | SEND_ENDED)) {
    // After a reset the system does not know the address any more: then it is there only if it was asked for before.
    const address = state.connections[slot]?.remoteAddress || undefined;
    // Of a file that is shorter than what was to be sent of it.
    const call = errno === ENODATA ? 'sendfile' : syscall;
    const error = connectionError(call, errno, address);
    replaceReason(state, slot, isReset ? 'reset' : 'error', error);
  }
  // Else all of ours was handed over and we only waited for the peer's FIN: a reset says the same.
  destroy(state, slot, true);
}

/** Frees everything of a closed connection but its slot, and says why it closed. */
export function finalize(state: ReactorState, slot: number): CloseReason {
  const { table } = state;
  const flags = table.flags[slot];
  const teardown = noteReason(state, slot, 'closed');
  state.teardowns.delete(slot);
  // Only now: a send that was pending may have been reported since `destroy`.
  teardown.unsentBytes = table.directBytes[slot];
  state.queuedBytes -= table.directBytes[slot];
  table.directBytes[slot] = 0;
  if ((flags & QUEUED) !== 0) {
    const queue = state.queues.get(slot)!;
    state.queues.delete(slot);
    table.flags[slot] &= ~QUEUED;
    teardown.unsentBytes += queue.totalBytes;
    state.queuedBytes -= queue.byteLength;
    queue.clear();
    spare(state, queue);
  }
  if ((flags & HAS_READER) !== 0) {
    state.readers.get(slot)?.close();
    state.readers.delete(slot);
    state.writers.get(slot)?.close();
    state.writers.delete(slot);
  }
  if ((flags & HAS_FACE) !== 0) {
    state.faces.delete(slot);
  }
  if ((flags & HAS_EXTRAS) !== 0) {
    const reason = reasonOf(teardown);
    freeExtras(state, slot, reason);
    return reason;
  }
  return reasonOf(teardown);
}

function freeExtras(state: ReactorState, slot: number, reason: CloseReason): void {
  const extras = state.extras.get(slot)!;
  state.extras.delete(slot);
  for (const timer of extras.timers) {
    state.wheel.clear(timer);
    state.timerCallbacks.delete(timer);
  }
  for (const resolve of extras.waiters) {
    resolve(false);
  }
  releaseSources(state, extras.sources);
  extras.consumer?.close(reason);
  for (const resolve of extras.closers) {
    resolve();
  }
}

/** Lets go of connections that were held because their sink was full. */
export function releaseSources(state: ReactorState, sources: SocketConnection[]): void {
  for (const source of sources) {
    if (source.slot >= 0 && (state.table.flags[source.slot] & HELD) !== 0) {
      source.release();
    }
  }
  sources.length = 0;
}

const ENDED: CloseReason = Object.freeze({ code: 'ended', unsentBytes: 0 });
const CLOSED: CloseReason = Object.freeze({ code: 'closed', unsentBytes: 0 });

function reasonOf(teardown: Teardown): CloseReason {
  const { code, error, timeout, unsentBytes } = teardown;
  if (unsentBytes === 0 && error === undefined && timeout === undefined) {
    // The two common reasons are not made anew for each of a million connections.
    if (code === 'ended' || code === 'closed') {
      return code === 'ended' ? ENDED : CLOSED;
    }
  }
  const reason: { -readonly [Key in keyof CloseReason]: CloseReason[Key] } = { code, unsentBytes };
  if (error !== undefined) {
    reason.error = error;
  }
  if (timeout !== undefined) {
    reason.timeout = timeout;
  }
  return reason;
}
