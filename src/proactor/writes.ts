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

/** Hands over what may be. */
export function advanceWrites(channel: Channel): void {
  const { connection } = channel;
  if (connection === undefined || channel.isPumping || channel.isRefused) {
    return;
  }
  // A write that fails may come back here by way of hooks.
  channel.isPumping = true;
  let operation = channel.inFlight === 0 ? channel.writes.head : firstWaiting(channel);
  while (operation !== undefined && channel.inFlight < IN_FLIGHT_MAX) {
    const { buffer, size } = operation;
    const rest = buffer.byteLength - size;
    const n = Math.min(rest, PIECE_BYTES);
    const result = connection.write(
      n === buffer.byteLength ? buffer : buffer.subarray(size, size + n),
    );
    if (result === 'sent') {
      operation.size += n;
      operation.handedOver = operation.size;
      if (n === rest) {
        channel.writes.shift();
        channel.proactor.complete(channel, operation, undefined);
        operation = channel.writes.head;
      }
    } else if (result === 'queued') {
      operation.size += n;
      channel.inFlight += n;
      operation = n === rest ? operation.next : operation;
    } else {
      onRefused(channel, result);
      break;
    }
  }
  channel.isPumping = false;
}

/** Everything that was handed over is with the kernel. */
export function onDrained(channel: Channel): void {
  const { writes } = channel;
  channel.inFlight = 0;
  channel.isRefused = false;
  for (let operation = writes.head; operation !== undefined; operation = writes.head) {
    operation.handedOver = operation.size;
    if (operation.size < operation.buffer.byteLength) {
      break;
    }
    writes.shift();
    channel.proactor.complete(channel, operation, undefined);
  }
  advanceWrites(channel);
}

/** The connection closed: says of each write that was on its way how much of it the kernel had got. */
export function settleWrites(channel: Channel, reason: CloseReason): void {
  let onTheWay = 0;
  for (let operation = channel.writes.head; operation; operation = operation.next) {
    onTheWay += operation.size - operation.handedOver;
  }
  let sent = Math.max(0, onTheWay - reason.unsentBytes);
  for (let operation = channel.writes.head; operation; operation = operation.next) {
    const n = Math.min(operation.size - operation.handedOver, sent);
    sent -= n;
    operation.handedOver += n;
    operation.size = operation.handedOver;
  }
  channel.inFlight = 0;
}

/** The first write of which the connection does not have everything. */
function firstWaiting(channel: Channel): Operation | undefined {
  let operation = channel.writes.head;
  while (operation !== undefined && operation.size === operation.buffer.byteLength) {
    operation = operation.next;
  }
  return operation;
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
    const isWaiting = (operation: Operation) => operation.size < operation.buffer.byteLength;
    for (const operation of channel.writes.extract(isWaiting)) {
      channel.proactor.complete(channel, operation, CONNECTION_CLOSED);
    }
  }
}
