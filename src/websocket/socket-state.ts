/** The state of a WebSocket beside its receiver's: flags, and what only some have. Used by web-socket.ts alone. */

import type { CloseReason } from '../api.js';
import type { WebSocketClose } from './api.js';
import { CLOSE_REASON_BYTES_MAX, CloseCode, isWireCloseCode } from './close-code.js';
import type { Violation } from './violation.js';

/** Bits of a WebSocket's flags. */
export const Flag = {
  CLOSE_SENT: 1,
  CLOSE_RECEIVED: 2,
  /** Something was received since the last look. */
  HEARD: 4,
  PING_SENT: 8,
  IS_PAUSED: 16,
  /** Between the first and the last piece of `sendFragment`. */
  IN_FRAGMENTS: 32,
  ENDED: 64,
  PONG_LISTED: 128,
  /** A message is being inflated in the turns that follow. */
  IS_INFLATING: 256,
} as const;

/** Nothing can be sent with one of these. */
export const NO_SENDING = Flag.CLOSE_SENT | Flag.CLOSE_RECEIVED | Flag.ENDED;

/** What `send` answers when it may not send. */
export function cannotSend(flags: number): 'closed' {
  if ((flags & NO_SENDING) !== 0) {
    return 'closed';
  }
  throw new Error('Cannot send: a message is being sent by sendFragment and has not ended');
}

/** Above this many queued bytes a peer that pings does not read: of its pings only the last one is answered. */
export const PONG_BACKLOG_BYTES = 16_384;

/** What only those have that are paused, closing or not read by their peers. */
export class Rare {
  /** Received while paused. */
  held: Buffer | undefined = undefined;
  /** The last ping that is still to be answered. */
  pong: Buffer | undefined = undefined;
  /** A close frame that did not fit the queue. */
  close: Buffer | undefined = undefined;
  peerCode: number = CloseCode.ABNORMAL;
  peerReason = '';
  violation: Violation | undefined = undefined;
  timeout: 'ping' | 'close' | undefined = undefined;
}

/** The payload of a close frame (RFC 6455 section 5.5.1). */
export function closePayload(code: number, reason: Uint8Array): Buffer {
  const payload = Buffer.alloc(2 + reason.length);
  payload.writeUInt16BE(code);
  payload.set(reason, 2);
  return payload;
}

/** The same of the user's; throws RangeError for what may not be sent. */
export function checkedClosePayload(code: number, reason: string): Buffer {
  if (!isWireCloseCode(code)) {
    throw new RangeError(
      `Expected a close code of 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${String(code)}`,
    );
  }
  const text = Buffer.from(reason);
  if (text.length > CLOSE_REASON_BYTES_MAX) {
    throw new RangeError(
      `Expected a close reason of at most ${CLOSE_REASON_BYTES_MAX} bytes, got ${text.length}`,
    );
  }
  return closePayload(code, text);
}

/** What `onClose` is told. */
export function closeOf(
  flags: number,
  rare: Rare | undefined,
  connection: CloseReason,
): WebSocketClose {
  const both = Flag.CLOSE_SENT | Flag.CLOSE_RECEIVED;
  return {
    code: rare?.peerCode ?? CloseCode.ABNORMAL,
    reason: rare?.peerReason ?? '',
    isClean: (flags & both) === both,
    violation: rare?.violation,
    timeout: rare?.timeout,
    connection,
  };
}

/** A topic that a WebSocket is subscribed to; `socket` is a WebSocketConnection. */
export interface Subscription {
  remove(socket: object): void;
}
