/**
 * Bytes from the user to the driver. A write goes straight to the kernel from the user's memory when nothing is
 * queued, or, where the driver works asynchronously, to the driver; what is not taken is copied to the connection's
 * write queue (owned buffers are not), which the driver empties with vectored sends.
 *
 * Writes are gathered, and go out together, between cork and uncork; from the second write of one hook on; and from
 * the first when the handler has onBeforeWrite.
 *
 * A send that fails destroys the connection: the write says `closed`, and onClose tells why.
 */

import type { WriteResult } from '../api.js';
import type { SocketConnection } from './connection.js';
import {
  CONNECTING,
  CORKED,
  DESTROYED,
  NO_DIRECT_SEND,
  QUEUED,
  SENDING,
  WROTE,
} from './connection-table.js';
import { noteSending } from './deadlines.js';
import { PENDING } from './driver.js';
import { countSent, flush, listForFlush, onHandedOver, queueOf, retire } from './flush.js';
import type { LinkedBuffer } from './linked-buffer.js';
import type { ReactorState } from './reactor-state.js';
import { Counter } from './stats.js';
import { destroyFailed } from './teardown.js';
import {
  isAboveCap,
  limitQueued,
  noteDrained,
  queuedBytes,
  refuse,
  refuseFile,
  unsentBytes,
} from './write-limits.js';
import type { FilePart, WriteQueue } from './write-queue.js';

/** `data` must be a Uint8Array or a string. */
export function write(
  state: ReactorState,
  connection: SocketConnection,
  data: Uint8Array | string,
): WriteResult {
  const { slot } = connection;
  if (slot < 0) {
    return 'closed';
  }
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const flags = state.table.flags[slot];
  if ((flags & NO_DIRECT_SEND) !== 0) {
    return enqueue(state, connection, bytes, 0);
  }
  const byteLength = bytes.length;
  if (state.current === connection) {
    if ((flags & WROTE) !== 0 || connection.profile.onBeforeWrite !== undefined) {
      return enqueue(state, connection, bytes, 0);
    }
    state.table.flags[slot] |= WROTE;
  } else if (connection.profile.onBeforeWrite !== undefined) {
    return enqueue(state, connection, bytes, 0);
  }
  if (byteLength === 0) {
    return 'sent';
  }
  const n = state.driver.trySend(slot, bytes);
  if (n === PENDING) {
    return afterDirect(state, connection, byteLength);
  }
  if (n < 0) {
    destroyFailed(state, slot, 'send', -n);
    return 'closed';
  }
  countSent(state, slot, n);
  return n === byteLength ? 'sent' : enqueue(state, connection, bytes, n);
}

/** All pieces or none, with one call to the kernel where it takes them. */
export function writev(
  state: ReactorState,
  connection: SocketConnection,
  pieces: readonly Uint8Array[],
): WriteResult {
  const { slot } = connection;
  const byteLength = sumOf(pieces);
  const refusal = refuseNow(state, connection, byteLength);
  if (refusal !== undefined) {
    return refusal;
  }
  if (byteLength === 0) {
    return unsentBytes(state, slot) === 0 ? 'sent' : 'queued';
  }
  const queue = queueOf(state, slot);
  for (const piece of pieces) {
    appendCopy(state, queue, piece, 0);
  }
  return afterEnqueue(state, connection);
}

export function writeOwned(
  state: ReactorState,
  connection: SocketConnection,
  bytes: Uint8Array,
  onFree: (() => void) | undefined,
): WriteResult {
  const { slot } = connection;
  const refusal = refuseNow(state, connection, bytes.length);
  if (refusal !== undefined) {
    return refusal;
  }
  state.queuedBytes += bytes.length;
  queueOf(state, slot).appendOwned(bytes, onFree);
  return afterEnqueue(state, connection);
}

/** Nothing of a file: done in its order, as a write of no bytes is. */
export function sendEmptyFile(
  state: ReactorState,
  connection: SocketConnection,
  { onDone }: FilePart,
): WriteResult {
  const result = writev(state, connection, []);
  if (result === 'sent' && onDone !== undefined) {
    state.reactor.execute(() => onDone(true));
  } else if (result === 'queued' && onDone !== undefined) {
    connection.receipt(onDone);
  }
  return result;
}

/** Queues a part of a file of at least one byte. */
export function sendFile(
  state: ReactorState,
  connection: SocketConnection,
  part: FilePart,
): WriteResult {
  const refusal = refuseFile(state, connection);
  if (refusal !== undefined) {
    return refusal;
  }
  queueOf(state, connection.slot).appendFile(part);
  return afterEnqueue(state, connection);
}

/** Moves the blocks of a writer to the queue. */
export function writeLinked(
  state: ReactorState,
  connection: SocketConnection,
  buffer: LinkedBuffer,
): WriteResult {
  const { slot } = connection;
  const refusal = refuseNow(state, connection, buffer.length);
  if (refusal !== undefined) {
    return refusal;
  }
  state.queuedBytes += buffer.length;
  queueOf(state, slot).appendLinked(buffer);
  return afterEnqueue(state, connection);
}

/** Queues `bytes` from `from` on; what lies before is sent already, so that the rest cannot be refused. */
function enqueue(
  state: ReactorState,
  connection: SocketConnection,
  bytes: Uint8Array,
  from: number,
): WriteResult {
  const { slot } = connection;
  if (from === 0) {
    const refusal = refuseNow(state, connection, bytes.length);
    if (refusal !== undefined) {
      return refusal;
    }
    if (bytes.length === 0) {
      return unsentBytes(state, slot) === 0 ? 'sent' : 'queued';
    }
  }
  appendCopy(state, queueOf(state, slot), bytes, from);
  state.stats.add(Counter.writesQueued, 1);
  return afterEnqueue(state, connection, from > 0);
}

/** A copy in pooled blocks, or, when the pool is at its limit, a copy of its own: a taken write is never lost. */
function appendCopy(state: ReactorState, queue: WriteQueue, bytes: Uint8Array, from: number): void {
  state.queuedBytes += bytes.length - from;
  if (!queue.appendCopy(bytes, from)) {
    queue.appendOwned(Buffer.from(bytes.subarray(from)), undefined);
  }
}

/** Why a write cannot be taken, if so. Before it is refused, the kernel is given what it takes. */
function refuseNow(
  state: ReactorState,
  connection: SocketConnection,
  byteLength: number,
): WriteResult | undefined {
  const { slot } = connection;
  if (slot >= 0 && (state.table.flags[slot] & SENDING) !== 0) {
    if (isAboveCap(state, connection, byteLength)) {
      pushOut(state, connection);
    }
  }
  return refuse(state, connection, byteLength);
}

/** An asynchronous driver holds a send until its next batch: makes it finish now what the kernel takes at once. */
function pushOut(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  const { flags } = state.table;
  while (connection.slot === slot && (flags[slot] & (SENDING | DESTROYED)) === SENDING) {
    const n = state.driver.finishSend(slot);
    if (n <= 0) {
      return;
    }
    onSentBytes(state, connection, n);
  }
}

/** The driver has sent `n` bytes of a pending send; what is queued goes on. May call the user's receipts. */
export function onSentBytes(state: ReactorState, connection: SocketConnection, n: number): void {
  const { slot } = connection;
  if (state.table.directBytes[slot] > 0) {
    onDirectSent(state, connection, n);
  } else {
    state.table.flags[slot] &= ~SENDING;
    onHandedOver(state, connection, n);
  }
  if (connection.slot === slot) {
    flush(state, connection);
  }
}

/** Sends what was queued, now or at the end of the hook or turn, and keeps the water marks. */
function afterEnqueue(
  state: ReactorState,
  connection: SocketConnection,
  wouldBlock = false,
): WriteResult {
  const { slot, profile } = connection;
  const flags = state.table.flags[slot];
  if ((flags & (SENDING | CORKED | CONNECTING)) === 0) {
    const isOwnHook = state.current === connection;
    // Above the high-water mark the kernel is asked, before a write is refused that it would have taken.
    const isGathered =
      isOwnHook &&
      (flags & WROTE) !== 0 &&
      !wouldBlock &&
      queuedBytes(state, slot) <= profile.highWaterMark;
    if (isGathered || profile.onBeforeWrite !== undefined) {
      listForFlush(state, slot);
    } else {
      state.table.flags[slot] |= isOwnHook ? WROTE : 0;
      flush(state, connection);
    }
  }
  if ((flags & SENDING) !== 0 && queuedBytes(state, slot) > profile.highWaterMark) {
    pushOut(state, connection);
  }
  if (connection.slot !== slot || (state.table.flags[slot] & DESTROYED) !== 0) {
    // Taken, and then the connection broke: what the kernel did not get is in the reason's unsentBytes.
    return 'queued';
  }
  if ((state.table.flags[slot] & (QUEUED | SENDING)) === 0) {
    return 'sent';
  }
  limitQueued(state, connection);
  return 'queued';
}

/** The driver has taken a write as a whole, and will report it as sent. */
function afterDirect(
  state: ReactorState,
  connection: SocketConnection,
  byteLength: number,
): WriteResult {
  const { slot } = connection;
  const { table } = state;
  table.directBytes[slot] = byteLength;
  table.flags[slot] |= SENDING;
  state.queuedBytes += byteLength;
  noteSending(state, slot);
  limitQueued(state, connection);
  return 'queued';
}

/** The driver has sent `n` bytes of what it took with `afterDirect`. May call the user's receipts. */
function onDirectSent(state: ReactorState, connection: SocketConnection, n: number): void {
  const { slot } = connection;
  const { table } = state;
  table.directBytes[slot] -= n;
  state.queuedBytes -= n;
  countSent(state, slot, n);
  if (table.directBytes[slot] > 0) {
    return;
  }
  table.flags[slot] &= ~SENDING;
  if ((table.flags[slot] & QUEUED) !== 0) {
    const queue = state.queues.get(slot)!;
    queue.consume(0);
    if (connection.slot !== slot) {
      return;
    }
    retire(state, slot, queue);
  }
  noteDrained(state, connection);
}

export function cork(state: ReactorState, slot: number): void {
  state.table.corkDepths[slot] += 1;
  state.table.flags[slot] |= CORKED;
}

export function uncork(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  const { table } = state;
  if (table.corkDepths[slot] === 0) {
    return;
  }
  table.corkDepths[slot] -= 1;
  if (table.corkDepths[slot] === 0) {
    table.flags[slot] &= ~CORKED;
    if (connection.profile.onBeforeWrite !== undefined) {
      listForFlush(state, slot);
    } else {
      flush(state, connection);
    }
  }
}

function sumOf(pieces: readonly Uint8Array[]): number {
  let sum = 0;
  for (const piece of pieces) {
    sum += piece.length;
  }
  return sum;
}
