/**
 * Heads of responses after which more is to come that is no body: interim ones, the switch to another protocol (RFC
 * 9110 7.8), and the tunnel that CONNECT asked for (RFC 9110 9.3.6), whose responses have neither Content-Length nor
 * Transfer-Encoding.
 */

import type { Handler } from '../api.js';
import type { HttpRequest } from './request.js';
import { type FieldsInput, ResponseFields } from './response-fields.js';
import { statusLine } from './status.js';

/** Throws RangeError for a status that is not to be sent so. */
export function interimHead(status: number, fields: FieldsInput): string {
  if (status !== 102 && status !== 103) {
    throw new RangeError(`Expected an interim status of 102 or 103, got ${String(status)}`);
  }
  return `${statusLine(status)}${ResponseFields.of(fields).text}\r\n`;
}

/** Throws if the client did not ask for it, or for what is no handler. */
export function upgradeHead(request: HttpRequest, handler: Handler, fields: FieldsInput): string {
  if (!request.wantsUpgrade) {
    throw new Error('Cannot upgrade: the client did not ask for it');
  }
  checkSuccessor(handler);
  return `${statusLine(101)}Connection: Upgrade\r\n${ResponseFields.of(fields).text}\r\n`;
}

/** The same. */
export function tunnelHead(request: HttpRequest, handler: Handler, fields: FieldsInput): string {
  if (!request.isConnect) {
    throw new Error('Cannot make a tunnel: expected a CONNECT request');
  }
  checkSuccessor(handler);
  return `${statusLine(200)}${ResponseFields.of(fields).text}\r\n`;
}

/** Throws TypeError for what cannot have a connection. */
export function checkSuccessor(handler: Handler): void {
  if (typeof handler !== 'object' || handler === null) {
    throw new TypeError(`Expected a handler, got ${String(handler)}`);
  }
  if (handler.onData !== undefined && handler.onReadable !== undefined) {
    throw new TypeError('A handler has onData (push) or onReadable (pull), not both');
  }
}
