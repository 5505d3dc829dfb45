/**
 * The write side of a channel. Writes are handed to the connection in order, some bytes ahead of what the kernel has
 * taken and no more: what is in nobody's hands yet can still be taken back, by a deadline or by `free`.
 */

import type { CloseReason } from '../api.js';
import type { Channel } from './channel.js';
import { CONNECTION_CLOSED } from './conditions.js';
import type { Operation } from './operation.js';

/** Bytes on their way to the kernel at a time: enough to keep it busy until the next turn. */
const IN_FLIGHT_MAX = 262_144;
/** Bytes handed to the connection at a time: what the kernel does not take at once is copied. */
const PIECE_BYTES = 65_536;

/** Queues a write behind the others. */
export function addWrite(channel: Channel, operation: Operation): void {
  channel.writes.push(operation);
  channel.waiting ??= operation;
  advanceWrites(channel);
}

/** Takes out those that `test` names, in order. */
export function extractWrites(
  channel: Channel,
  test: (operation: Operation) => boolean,
): Operation[] {
  const taken = channel.writes.extract(test);
  let operation = channel.writes.head;
  while (operation !== undefined && !isWaiting(operation)) {
    operation = operation.next;
  }
  channel.waiting = operation;
  return taken;
}

/** Whether the connection does not have all of it yet. */
export function isWaiting(operation: Operation): boolean {
  return operation.size < operation.buffer.length;
}

/** Hands over what may be. */
export function advanceWrites(channel: Channel): void {
  const { connection } = channel;
  if (connection === undefined || channel.isPumping || channel.isRefused) {
    return;
  }
  // A write that fails may come back here by way of hooks.
  channel.isPumping = true;
  while (channel.waiting !== undefined && channel.handed - channel.sent < IN_FLIGHT_MAX) {
    const operation: Operation = channel.waiting;
    const { buffer, size } = operation;
    const rest = buffer.length - size;
    const n = Math.min(rest, PIECE_BYTES);
    const result = connection.write(n === buffer.length ? buffer : buffer.subarray(size, size + n));
    if (result !== 'sent' && result !== 'queued') {
      onRefused(channel, result);
      break;
    }
    if (size === 0) {
      operation.start = channel.handed;
    }
    operation.size += n;
    channel.handed += n;
    channel.waiting = n === rest ? operation.next : operation;
    if (result === 'sent') {
      // And all before it, which may have been on its way.
      completeSent(channel);
    }
  }
  channel.isPumping = false;
  if (channel.handed > channel.sent && channel.usesReceipts) {
    awaitReceipt(channel);
  }
}

/** For connections that do not say each time when they have drained. */
function awaitReceipt(channel: Channel): void {
  if (!channel.isReceiptPending) {
    channel.isReceiptPending = true;
    channel.connection?.receipt((isHandedOver) => {
      channel.isReceiptPending = false;
      if (isHandedOver) {
        onDrained(channel);
      }
    });
  }
}

/** The connection has drained; it may have got something since then. */
export function onDrained(channel: Channel): void {
  if (channel.connection === undefined) {
    return;
  }
  channel.isRefused = false;
  if (channel.connection.queuedBytes === 0) {
    completeSent(channel);
  }
  advanceWrites(channel);
}

/** Everything that was handed over is with the kernel. */
function completeSent(channel: Channel): void {
  const { writes } = channel;
  channel.sent = channel.handed;
  for (let operation = writes.head; operation !== undefined; operation = writes.head) {
    if (isWaiting(operation)) {
      break;
    }
    writes.shift();
    channel.proactor.complete(channel, operation, undefined);
  }
}

/**
 * The connection closed: says of each write that was on its way how much of it the kernel had got. Some that were on
 * their way as well may have ended by a deadline before: so it is the places in the stream that count.
 */
export function settleWrites(channel: Channel, reason: CloseReason): void {
  const sent = Math.max(channel.sent, channel.handed - reason.unsentBytes);
  for (let operation = channel.writes.head; operation; operation = operation.next) {
    operation.size = Math.min(operation.size, Math.max(0, sent - operation.start));
  }
  channel.sent = channel.handed;
}

function onRefused(channel: Channel, result: 'full' | 'closed'): void {
  if (result === 'full') {
    // Somebody else writes to the connection as well. onDrain follows.
    channel.isRefused = true;
    return;
  }
  const { state } = channel.connection!;
  if (state !== 'closed' && state !== 'closing') {
    // Our side was ended, and the connection goes on. Else onClose follows, which knows the reason.
    for (const operation of extractWrites(channel, isWaiting)) {
      channel.proactor.complete(channel, operation, CONNECTION_CLOSED);
    }
  }
}
