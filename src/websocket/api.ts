/** The public face of a WebSocket, as types: what hooks are given and what options there are. */

import type { CloseReason, Connection, WriteResult } from '../api.js';
import type { DeflateOptions } from './deflate-options.js';
import type { Violation } from './violation.js';

export type WebSocketState =
  | 'open'
  /** A close frame was sent or received: nothing more can be sent. */
  | 'closing'
  | 'closed';

export interface SendOptions {
  /** Binary or text. Strings are text, bytes are binary, unless this says otherwise. Text must be UTF-8. */
  readonly isBinary?: boolean;
  /** Compress, if it was agreed on and the message reaches `deflate.thresholdBytes`. True. */
  readonly compress?: boolean;
}

/** All calls are made on the thread of the connection's reactor. */
export interface WebSocket<Context = unknown> {
  /** What it runs over. Its `context` is the WebSocket's own: put yours into the WebSocket's. */
  readonly connection: Connection;
  readonly state: WebSocketState;
  /** The subprotocol that was agreed on; empty: none. */
  readonly protocol: string;
  /** Whether permessage-deflate was agreed on. */
  readonly isDeflating: boolean;
  /** Anything of the user's. */
  context: Context;
  /** Bytes taken by `send` that the kernel does not have yet. */
  readonly queuedBytes: number;

  /**
   * Sends a message, in one frame. The result is the connection's: `sent`, `queued`, `full` (nothing was taken;
   * `onDrain` follows) or `closed`. The bytes are the caller's again when it returns.
   */
  send(data: string | Uint8Array, options?: SendOptions): WriteResult;
  /**
   * Sends a message piece by piece, uncompressed; the first piece says whether it is text. Between the pieces control
   * frames may be sent and no other message: `send` throws. A piece that was not taken may be sent again.
   */
  sendFragment(data: string | Uint8Array, isFinal: boolean): WriteResult;
  /** At most 125 bytes. */
  ping(data?: string | Uint8Array): WriteResult;
  /** An unasked pong (RFC 6455 section 5.5.3). Pings are answered without it. */
  pong(data?: string | Uint8Array): WriteResult;
  /**
   * Starts the close handshake with `code` (1000 to 1014 but the reserved ones, or 3000 to 4999) and a reason of at
   * most 123 bytes. Messages that the peer had sent before its own close frame are still reported. `onClose` follows,
   * at the latest after `closeTimeoutMs`.
   */
  close(code?: number, reason?: string): void;
  /** Resets the connection. `onClose` follows. */
  abort(): void;

  /** Reports no more messages, and with that holds the peer through the connection's window. */
  pause(): void;
  resume(): void;
  readonly isPaused: boolean;
}

/** How a WebSocket ended. */
export interface WebSocketClose {
  /** The peer's close code; 1005: it gave none; 1006: there was no close frame of the peer's. */
  readonly code: number;
  readonly reason: string;
  /** Close frames went both ways. */
  readonly isClean: boolean;
  /** What the peer did wrong, if that ended it. */
  readonly violation: Violation | undefined;
  /** Which deadline passed: the peer answered no ping, or no close frame. */
  readonly timeout: 'ping' | 'close' | undefined;
  /** How the connection below it ended. */
  readonly connection: CloseReason;
}

/** All hooks run on the reactor's thread; one that throws costs its own connection only. */
export interface WebSocketHooks<Context = unknown> {
  onOpen?(socket: WebSocket<Context>): void;
  /** A whole message; text has been checked to be UTF-8. `data` is borrowed until the hook returns. */
  onMessage?(socket: WebSocket<Context>, data: Buffer, isBinary: boolean): void;
  /** Answered already. */
  onPing?(socket: WebSocket<Context>, data: Buffer): void;
  onPong?(socket: WebSocket<Context>, data: Buffer): void;
  /** The write queue, which was above the high-water mark or refused a message, is below the low-water mark again. */
  onDrain?(socket: WebSocket<Context>): void;
  /** Exactly once for each WebSocket that was opened. */
  onClose?(socket: WebSocket<Context>, close: WebSocketClose): void;
}

export interface WebSocketOptions {
  /** The most bytes of a message that is received, compressed and not. Above: 1009. 1,048,576. */
  messageBytesMax?: number;
  /** The most frames of a message that is received. Above: 1008. 1,024. */
  fragmentsMax?: number;
  /** A peer that was silent for this long is sent a ping, and given up after as long again. 30,000; 0: never. */
  pingIntervalMs?: number;
  /** How long the peer may take to answer a close frame. 5,000. */
  closeTimeoutMs?: number;
  /** How long the opening handshake may take. 10,000. */
  handshakeTimeoutMs?: number;
  /** permessage-deflate: off unless given. */
  deflate?: boolean | DeflateOptions;
}

/** Counts of one handler or client, on its thread, from its start. */
export interface WebSocketStats {
  /** Open now. */
  readonly sockets: number;
  readonly opened: number;
  readonly handshakesRefused: number;
  readonly handshakesTimedOut: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  /** Messages that were `full`. */
  readonly messagesRefused: number;
  readonly violations: number;
  /** Pings that were answered together with a later one, since the peer did not read. */
  readonly pongsCoalesced: number;
  readonly pingTimeouts: number;
  readonly closeTimeouts: number;
}
