/**
 * From a connection's write queue to the driver: at once, at the end of a hook or turn, or, for the rest of a file, in
 * the next turn. Called by write-path.ts and by the turn.
 */

import type { SocketConnection } from './connection.js';
import { CONNECTING, DESTROYED, FLUSH_LISTED, QUEUED, SENDING } from './connection-table.js';
import { noteSending, noteSent, timeOf } from './deadlines.js';
import { PENDING } from './driver.js';
import type { ReactorState } from './reactor-state.js';
import { Counter } from './stats.js';
import { destroyFailed, spare } from './teardown.js';
import { noteDrained, unsentBytes } from './write-limits.js';
import { WriteQueue } from './write-queue.js';

export function listForFlush(state: ReactorState, slot: number): void {
  if ((state.table.flags[slot] & FLUSH_LISTED) === 0) {
    state.table.flags[slot] |= FLUSH_LISTED;
    state.flushList.push(slot);
    state.requestTurn();
  }
}

/** A file goes on when the other connections had their turn. */
function listForNextTurn(state: ReactorState, slot: number): void {
  if ((state.table.flags[slot] & FLUSH_LISTED) === 0) {
    state.table.flags[slot] |= FLUSH_LISTED;
    state.fileList.push(slot);
    state.requestTurn();
  }
}

/** Hands the queue to the driver until it is empty, or the driver keeps it, or the next turn goes on with a file. */
export function flush(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  const { table, driver } = state;
  while ((table.flags[slot] & (QUEUED | SENDING | DESTROYED | CONNECTING)) === QUEUED) {
    if (unsentBytes(state, slot) === 0) {
      // An empty array was given away, or a callback of the queue is running: then it is retired when that returns.
      retire(state, slot, state.queues.get(slot)!);
      return;
    }
    const n = driver.send(slot);
    if (n === PENDING) {
      table.flags[slot] |= SENDING;
      noteSending(state, slot);
      return;
    }
    if (n < 0) {
      destroyFailed(state, slot, 'send', -n);
      return;
    }
    const wasFile = state.queues.get(slot)!.startsWithFile;
    onHandedOver(state, connection, n);
    if (wasFile && (table.flags[slot] & QUEUED) !== 0 && state.queues.get(slot)!.startsWithFile) {
      listForNextTurn(state, slot);
      return;
    }
  }
}

/** `n` bytes of the queue are with the kernel. May call the user's onFree and receipts. */
export function onHandedOver(state: ReactorState, connection: SocketConnection, n: number): void {
  const { slot } = connection;
  countSent(state, slot, n);
  const queue = state.queues.get(slot)!;
  state.queuedBytes -= queue.startsWithFile ? 0 : n;
  queue.consume(n);
  if (connection.slot !== slot) {
    return;
  }
  retire(state, slot, queue);
  noteDrained(state, connection);
}

/** Takes the connection's queue away once nothing is in it and no callback of it runs. */
export function retire(state: ReactorState, slot: number, queue: WriteQueue): void {
  if (queue.isIdle && state.queues.get(slot) === queue) {
    state.table.flags[slot] &= ~QUEUED;
    state.queues.delete(slot);
    spare(state, queue);
  }
}

export function countSent(state: ReactorState, slot: number, n: number): void {
  if (n > 0) {
    state.table.addSent(slot, n);
    state.stats.add(Counter.bytesSent, n);
    state.stats.add(Counter.sends, 1);
    noteSent(state, slot);
  }
}

/** The connection's queue, made if it has none. */
export function queueOf(state: ReactorState, slot: number): WriteQueue {
  let queue = state.queues.get(slot);
  if (queue === undefined) {
    queue =
      state.spareQueues.pop() ??
      new WriteQueue(state.pool, {
        onError: (error) => state.warn(error),
        asynchronous: state.driver.isAsynchronous,
      });
    state.queues.set(slot, queue);
    state.table.flags[slot] |= QUEUED;
    // The write timeout counts from here, also while the queue is corked: no send has noted a time yet.
    state.table.noteSent(slot, timeOf(state));
  }
  return queue;
}
