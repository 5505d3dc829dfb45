/** What a receiver is given: where its events go, what decompresses for it, and its limits. */

import type { Inflation } from './inflate-queue.js';
import type { Violation } from './violation.js';

export interface FrameSink {
  /** A whole message. Text has been checked to be UTF-8. */
  onMessage(data: Buffer, isBinary: boolean): void;
  onPing(data: Buffer): void;
  onPong(data: Buffer): void;
  /** The peer's close frame: its code, or 1005 if it had none, and its reason, which is UTF-8. */
  onCloseFrame(code: number, reason: Buffer): void;
  /** The connection has failed (section 7.1.7). */
  onViolation(violation: Violation): void;
  /** A message takes long to inflate: nothing more is taken until `onInflated`. */
  onDeferred(): void;
  /** It is inflated, and reported by the next call of `receive`. Not called from within one. */
  onInflated(): void;
}

/** What decompresses messages: see compression.ts. */
export interface Decompressor {
  /**
   * The whole message, which is the caller's; or what is wrong with it; or undefined if it takes longer than this turn
   * has time for: it is to be deferred then.
   */
  inflate(data: Buffer, bytesMax: number): Buffer | Violation | undefined;
  /**
   * Goes on with it in the turns that follow. `data` lies in `buffer`, of message-buffers.ts, which goes with it; or if
   * there is none, is copied. `onDone` is called once the outcome is there, unless it is cancelled.
   */
  defer(data: Buffer, bytesMax: number, buffer: Buffer | undefined, onDone: () => void): Inflation;
}

/** Shared by all receivers of a listener. */
export interface ReceiverLimits {
  /** A server's frames come masked, a client's must not (section 5.1). */
  readonly isServer: boolean;
  /** The most bytes of a message, compressed and not. */
  readonly messageBytesMax: number;
  /** The most frames of a message. */
  readonly fragmentsMax: number;
}
