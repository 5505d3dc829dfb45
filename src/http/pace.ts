/**
 * How fast a peer must be, checked once a second for each connection on which something is under way: absolute times
 * for a head, a body and the drop of what nobody wants, and rates below which a body or a response is a way to hold
 * memory (slowloris, R.U.D.Y., slow reading). Time in which the peer was made to wait is not counted.
 */

import { BODY_DISCARDED, BODY_FLOWING } from './body-state.js';
import type { Conversation } from './conversation.js';
import type { RejectCode } from './rejects.js';

/** What `check` may find, beside a reject. */
export type PaceVerdict = RejectCode | 'slow-reader' | 'undrained' | undefined;

export class Pace {
  /** When the first byte of an unfinished head came, -1 if there is none. */
  #headSince = -1;
  #lastCheck = 0;
  #bodyMs = 0;
  /** Received of the body. */
  bodyBytes = 0;
  #drainMs = 0;
  #sendMs = 0;
  #sentBefore = 0;

  /** The beginning of a head is there. */
  beginHead(now: number): void {
    if (this.#headSince < 0) {
      this.#headSince = now;
    }
  }

  /** The head is complete. */
  beginBody(): void {
    this.#headSince = -1;
    this.#bodyMs = 0;
    this.bodyBytes = 0;
    this.#drainMs = 0;
  }

  beginDrain(): void {
    this.#headSince = -1;
    this.#drainMs = 0;
  }

  /** For the next connection. */
  forget(): void {
    this.#headSince = -1;
    this.#bodyMs = 0;
    this.bodyBytes = 0;
    this.#drainMs = 0;
  }

  /** From now on `check` is called about once a second. */
  begin(now: number): void {
    this.#lastCheck = now;
    this.#sendMs = 0;
  }

  check(conversation: Conversation, now: number): PaceVerdict {
    const elapsed = now - this.#lastCheck;
    this.#lastCheck = now;
    const { limits } = conversation.service;
    const waiting = conversation.waitingBytes;
    if (this.#isSlowReader(conversation, waiting, elapsed)) {
      return 'slow-reader';
    }
    if (conversation.isFinishing) {
      this.#drainMs += waiting > 0 ? 0 : elapsed;
      return this.#drainMs > limits.drainTimeoutMs ? 'undrained' : undefined;
    }
    if (this.#headSince >= 0 && now - this.#headSince >= limits.headTimeoutMs) {
      return 'head-timeout';
    }
    const { request } = conversation;
    if (request === undefined || request.isComplete) {
      return undefined;
    }
    if (!conversation.hasResponse) {
      this.#drainMs += elapsed;
      return this.#drainMs > limits.drainTimeoutMs ? 'undrained' : undefined;
    }
    const isReading = request.bodyState === BODY_FLOWING || request.bodyState === BODY_DISCARDED;
    if (!isReading || conversation.isOutputBlocked) {
      return undefined;
    }
    this.#bodyMs += elapsed;
    const isSlow = isBelow(limits.rateMin, limits.rateGraceMs, this.#bodyMs, this.bodyBytes);
    return this.#bodyMs > limits.bodyTimeoutMs || isSlow ? 'body-timeout' : undefined;
  }

  /** Counted from when bytes began to wait. */
  #isSlowReader(conversation: Conversation, waiting: number, elapsed: number): boolean {
    const { bytesSent } = conversation.connection;
    if (waiting === 0 || this.#sendMs === 0) {
      this.#sentBefore = bytesSent;
    }
    this.#sendMs = waiting === 0 ? 0 : this.#sendMs + Math.max(elapsed, 1);
    const { rateMin, rateGraceMs } = conversation.service.limits;
    return isBelow(rateMin, rateGraceMs, this.#sendMs, bytesSent - this.#sentBefore);
  }
}

/** Whether so many bytes in that time are fewer than the rate asks for, after the time of grace. */
function isBelow(rate: number, graceMs: number, elapsedMs: number, bytes: number): boolean {
  return rate > 0 && elapsedMs > graceMs && bytes < (rate * (elapsedMs - graceMs)) / 1_000;
}
