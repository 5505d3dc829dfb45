/**
 * Requests out of bytes, without I/O: heads, pieces of bodies, ends, and the reject after which nothing more is read.
 * The server drives it with what it received; the tests with cases, cut at every byte.
 *
 *     HEAD ──> (DATA* ──> END) ──> HEAD …        any ──> REJECTED, for good
 *
 * Nothing is copied but a head that is not there as a whole. Positions are those in the bytes of the last `next`.
 */

import { Framing } from './framing.js';
import type { Limits } from './limits.js';
import { MessageReader, READ_END, READ_HEAD, READ_MORE, READ_REJECTED } from './message-reader.js';
import { PartialHead } from './partial-head.js';
import type { RejectCode } from './rejects.js';
import { HEAD_MORE, HEAD_REJECTED, RequestHead } from './request-head.js';

const IN_HEAD = 0;
const IN_BODY = 1;
const IN_CHUNKS = 2;
const FAILED = 3;

const NO_BYTES = Buffer.alloc(0);
/** Kept for the next head that comes in pieces. */
const SPARE_KEPT_BYTES = 2_048;

export class RequestReader extends MessageReader {
  readonly head = new RequestHead(NO_BYTES);
  readonly framing = new Framing();
  reject: RejectCode = 'request-line';
  readonly #limits: Limits;
  #state = IN_HEAD;
  /** Bytes of the body that are still to come, unless it is chunked. */
  #remaining = 0;
  readonly #partial: PartialHead<Limits>;

  constructor(limits: Limits) {
    super(limits);
    this.#limits = limits;
    this.#partial = new PartialHead<Limits>(this.head, limits);
  }

  /** Whether it is between two requests, with nothing of the next one. */
  get isIdle(): boolean {
    return this.#state === IN_HEAD && this.#partial.length === 0;
  }

  /** Whether the beginning of a head is there. */
  get isInHead(): boolean {
    return this.#partial.length > 0;
  }

  get isInBody(): boolean {
    return this.#state === IN_BODY || this.#state === IN_CHUNKS;
  }

  /** Bytes of the body that are still to come; undefined if only the peer knows. */
  get remaining(): number | undefined {
    return this.#state === IN_CHUNKS ? undefined : this.#remaining;
  }

  /** Reads on from `start` to `end` of `bytes`; call again from `pos` until READ_MORE. */
  next(bytes: Buffer, start: number, end: number): number {
    this.pos = start;
    switch (this.#state) {
      case IN_HEAD:
        return start === end ? READ_MORE : this.#readHead(bytes, start, end);
      case IN_BODY:
        return this.#readBody(start, end);
      case IN_CHUNKS:
        return this.readChunks(bytes, start, end);
      default:
        return READ_REJECTED;
    }
  }

  #readHead(bytes: Buffer, start: number, end: number): number {
    const { head } = this;
    const outcome = this.#partial.parse(bytes, start, end);
    this.pos = this.#partial.pos;
    if (outcome === HEAD_MORE) {
      return READ_MORE;
    }
    if (outcome === HEAD_REJECTED) {
      return this.fail(head.reject);
    }
    const reject = this.framing.read(head, this.#limits);
    if (reject !== undefined) {
      return this.fail(reject);
    }
    if (this.framing.isChunked) {
      this.beginChunks();
      this.#state = IN_CHUNKS;
    } else {
      this.clearChunks();
      this.#remaining = this.framing.contentLength;
      this.#state = IN_BODY;
    }
    return READ_HEAD;
  }

  #readBody(start: number, end: number): number {
    if (this.#remaining === 0) {
      this.#state = IN_HEAD;
      return READ_END;
    }
    const n = Math.min(this.#remaining, end - start);
    if (n === 0) {
      return READ_MORE;
    }
    this.#remaining -= n;
    return this.takeData(start, n);
  }

  protected endChunks(): void {
    this.#state = IN_HEAD;
  }

  protected fail(reject: RejectCode): number {
    this.reject = reject;
    this.#state = FAILED;
    this.#partial.forget();
    return READ_REJECTED;
  }

  /** As good as new, for another connection. Large memory is let go. */
  restart(): void {
    if (!this.isIdle) {
      this.#state = IN_HEAD;
      this.#remaining = 0;
    }
    this.#partial.forget(SPARE_KEPT_BYTES);
    this.clearChunks();
    this.head.restart(NO_BYTES, 0);
  }
}
