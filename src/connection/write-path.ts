/**
 * Bytes from the user to the driver. A write goes straight to the kernel from the user's memory when nothing is
 * queued; what the kernel does not take is copied to the connection's write queue (owned buffers are not), which the
 * driver empties with vectored sends.
 *
 * Writes are gathered, and go out together, between cork and uncork; from the second write of one hook on; and from
 * the first when the handler has onBeforeWrite.
 *
 * A send that fails destroys the connection: the write says `closed`, and onClose tells why.
 */

import type { WriteResult } from '../api.js';
import type { SocketConnection } from './connection.js';
import {
  BLOCKED,
  CONNECTING,
  CORKED,
  DESTROYED,
  FLUSH_LISTED,
  HELD,
  NO_DIRECT_SEND,
  NO_WRITE,
  QUEUED,
  SENDING,
  WROTE,
} from './connection-table.js';
import { armDeadline, noteSent, timeOf } from './deadlines.js';
import { PENDING } from './driver.js';
import { extrasOf } from './extras.js';
import type { LinkedBuffer } from './linked-buffer.js';
import { WHEN_FULL_CLOSE, WHEN_FULL_PAUSE_SOURCE } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { Counter } from './stats.js';
import { destroy, destroyFailed, noteReason } from './teardown.js';
import { WriteQueue } from './write-queue.js';

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
  const byteLength = bytes.byteLength;
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
  const refusal = refuse(state, connection, byteLength);
  if (refusal !== undefined) {
    return refusal;
  }
  if (byteLength === 0) {
    return queuedBytes(state, slot) === 0 ? 'sent' : 'queued';
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
  const refusal = refuse(state, connection, bytes.byteLength);
  if (refusal !== undefined) {
    return refusal;
  }
  state.queuedBytes += bytes.byteLength;
  queueOf(state, slot).appendOwned(bytes, onFree);
  return afterEnqueue(state, connection);
}

/** Moves the blocks of a writer to the queue. */
export function writeLinked(
  state: ReactorState,
  connection: SocketConnection,
  buffer: LinkedBuffer,
): WriteResult {
  const { slot } = connection;
  const refusal = refuse(state, connection, buffer.length);
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
    const refusal = refuse(state, connection, bytes.byteLength);
    if (refusal !== undefined) {
      return refusal;
    }
    if (bytes.byteLength === 0) {
      return queuedBytes(state, slot) === 0 ? 'sent' : 'queued';
    }
  }
  appendCopy(state, queueOf(state, slot), bytes, from);
  state.stats.add(Counter.writesQueued, 1);
  return afterEnqueue(state, connection, from > 0);
}

/** A copy in pooled blocks, or, when the pool is at its limit, a copy of its own: a taken write is never lost. */
function appendCopy(state: ReactorState, queue: WriteQueue, bytes: Uint8Array, from: number): void {
  state.queuedBytes += bytes.byteLength - from;
  if (!queue.appendCopy(bytes, from)) {
    queue.appendOwned(Buffer.from(bytes.subarray(from)), undefined);
  }
}

/** Why a write of so many bytes cannot be taken, if so. */
function refuse(
  state: ReactorState,
  connection: SocketConnection,
  byteLength: number,
): WriteResult | undefined {
  const { slot, profile } = connection;
  if (slot < 0 || (state.table.flags[slot] & NO_WRITE) !== 0) {
    return 'closed';
  }
  const queued = queuedBytes(state, slot);
  // One write on an empty queue is always taken, or messages above the cap could never be sent.
  if (queued === 0 || queued + byteLength <= profile.writeQueueMax) {
    return undefined;
  }
  if (profile.whenFull === WHEN_FULL_CLOSE) {
    state.stats.add(Counter.refusedWriteOverflow, 1);
    noteReason(state, slot, 'overflow');
    destroy(state, slot, true);
    return 'closed';
  }
  if (profile.whenFull === WHEN_FULL_PAUSE_SOURCE) {
    if (queued + byteLength <= profile.writeQueueMax * 2) {
      return undefined;
    }
  }
  state.stats.add(Counter.refusedWriteFull, 1);
  // Who was refused waits for onDrain, though the queue may be below the high-water mark.
  state.table.flags[slot] |= BLOCKED;
  return 'full';
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
  if ((state.table.flags[slot] & DESTROYED) !== 0) {
    // Taken, and then the connection broke: what the kernel did not get is in the reason's unsentBytes.
    return 'queued';
  }
  if ((state.table.flags[slot] & QUEUED) === 0) {
    return 'sent';
  }
  if (queuedBytes(state, slot) > profile.highWaterMark) {
    state.table.flags[slot] |= BLOCKED;
    if (profile.whenFull === WHEN_FULL_PAUSE_SOURCE) {
      holdSource(state, connection);
    }
  }
  return 'queued';
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

function listForFlush(state: ReactorState, slot: number): void {
  if ((state.table.flags[slot] & FLUSH_LISTED) === 0) {
    state.table.flags[slot] |= FLUSH_LISTED;
    state.flushList.push(slot);
    state.requestTurn();
  }
}

/** Hands the queue to the driver until it is empty or the driver keeps it. */
export function flush(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  const { table, driver } = state;
  while ((table.flags[slot] & (QUEUED | SENDING | DESTROYED | CONNECTING)) === QUEUED) {
    if (queuedBytes(state, slot) === 0) {
      // An empty array was given away, or a callback of the queue is running: then it is retired when that returns.
      retire(state, slot, state.queues.get(slot)!);
      return;
    }
    const n = driver.send(slot);
    if (n === PENDING) {
      table.flags[slot] |= SENDING;
      table.lastSent[slot] = timeOf(state);
      armDeadline(state, slot);
      return;
    }
    if (n < 0) {
      destroyFailed(state, slot, 'send', -n);
      return;
    }
    onHandedOver(state, connection, n);
  }
}

/** `n` bytes of the queue are with the kernel. May call the user's onFree and receipts. */
export function onHandedOver(state: ReactorState, connection: SocketConnection, n: number): void {
  const { slot } = connection;
  countSent(state, slot, n);
  const queue = state.queues.get(slot)!;
  state.queuedBytes -= n;
  queue.consume(n);
  if (connection.slot !== slot) {
    return;
  }
  const { table } = state;
  retire(state, slot, queue);
  if (
    (table.flags[slot] & BLOCKED) !== 0 &&
    queuedBytes(state, slot) <= connection.profile.lowWaterMark
  ) {
    table.flags[slot] &= ~BLOCKED;
    state.drainList.push(connection);
    state.requestTurn();
  }
}

/** Takes the connection's queue away once nothing is in it and no callback of it runs. */
function retire(state: ReactorState, slot: number, queue: WriteQueue): void {
  if (queue.isIdle && state.queues.get(slot) === queue) {
    state.table.flags[slot] &= ~QUEUED;
    state.queues.delete(slot);
    state.spareQueues.push(queue);
  }
}

function countSent(state: ReactorState, slot: number, n: number): void {
  if (n > 0) {
    state.table.bytesSent[slot] += n;
    state.stats.add(Counter.bytesSent, n);
    state.stats.add(Counter.sends, 1);
    noteSent(state, slot);
  }
}

export function queuedBytes(state: ReactorState, slot: number): number {
  return (state.table.flags[slot] & QUEUED) === 0 ? 0 : state.queues.get(slot)!.byteLength;
}

/** The connection's queue, made if it has none. */
export function queueOf(state: ReactorState, slot: number): WriteQueue {
  let queue = state.queues.get(slot);
  if (queue === undefined) {
    queue =
      state.spareQueues.pop() ??
      new WriteQueue(state.pool, { onError: (error) => state.warn(error) });
    state.queues.set(slot, queue);
    state.table.flags[slot] |= QUEUED;
    // The write timeout counts from here, also while the queue is corked: no send has noted a time yet.
    state.table.lastSent[slot] = timeOf(state);
  }
  return queue;
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
    sum += piece.byteLength;
  }
  return sum;
}
