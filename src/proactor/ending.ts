/** The ends of a channel: freed by its user, closed by whatever closes connections, or never arrived. */

import type { CloseReason } from '../api.js';
import type { OperationError } from './api.js';
import type { Channel } from './channel.js';
import { conditionOf } from './conditions.js';
import { disarm } from './deadlines.js';
import { dropHeld } from './reads.js';
import { extractWrites, isWaiting, settleWrites } from './writes.js';

/**
 * Closes the connection gracefully. What the connection was not given yet is dropped; operations end with `error`, but
 * for writes that are wholly on their way: they end when it is known what became of them.
 */
export function free(channel: Channel, error: OperationError): void {
  channel.end = error;
  dropHeld(channel);
  const ended = [...channel.reads.extract(() => true), ...extractWrites(channel, isWaiting)];
  channel.connection?.close();
  for (const operation of ended) {
    channel.proactor.complete(channel, operation, error);
  }
}

/** The connection is closed. */
export function onClosed(channel: Channel, reason: CloseReason): void {
  settleWrites(channel, reason);
  disarm(channel);
  channel.connection = undefined;
  finish(channel, channel.end ?? conditionOf(reason));
}

/** Nothing comes any more. */
export function finish(channel: Channel, error: OperationError): void {
  const { proactor } = channel;
  channel.end = error;
  channel.isClosed = true;
  dropHeld(channel);
  proactor.forget(channel);
  for (const operation of channel.reads.extract(() => true)) {
    proactor.complete(channel, operation, error);
  }
  for (const operation of extractWrites(channel, () => true)) {
    proactor.complete(channel, operation, isWaiting(operation) ? error : undefined);
  }
}
