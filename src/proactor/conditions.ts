/**
 * Why operations end early. These are outcomes that programs expect by the thousand: one object for each kind, without
 * a stack.
 */

import type { CloseReason } from '../api.js';
import { MillraceError } from '../errors.js';
import type { OperationError } from './api.js';

function condition(code: string, message: string): OperationError {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new MillraceError(code, message);
  Error.stackTraceLimit = limit;
  return Object.freeze(error);
}

export const END = condition('ERR_END', 'The peer ended its side of the connection');
export const DEADLINE = condition('ERR_DEADLINE', 'The deadline of the operation passed');
export const FREED = condition('ERR_FREED', 'The connection was freed');
export const CONNECTION_CLOSED = condition('ERR_CLOSED', 'The connection is closed');
export const WATCHER_CLOSED = condition('ERR_CLOSED', 'The watcher was closed');

/** What operations of a connection that closed for this reason end with. */
export function conditionOf({ code, error, timeout }: CloseReason): OperationError {
  if (error !== undefined) {
    return error as OperationError;
  }
  if (code === 'closed' || code === 'ended') {
    return CONNECTION_CLOSED;
  }
  const why = timeout === undefined ? code : `${timeout} timeout`;
  return condition('ERR_CLOSED', `The connection is closed: ${why}`);
}
