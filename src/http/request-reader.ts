/**
 * Requests out of bytes, without I/O: heads, pieces of bodies, ends, and the reject after which nothing more is read.
 * The server drives it with what it received; the tests with cases, cut at every byte.
 *
 *     HEAD ──> (DATA* ──> END) ──> HEAD …        any ──> REJECTED, for good
 *
 * Nothing is copied but a head that is not there as a whole. Positions are those in the bytes of the last `next`.
 */

import { CHUNK_DATA, CHUNK_END, CHUNK_MORE, ChunkedDecoder } from './chunked-decoder.js';
import type { FieldBlock } from './field-block.js';
import { Framing } from './framing.js';
import type { Limits } from './limits.js';
import { PartialHead } from './partial-head.js';
import type { RejectCode } from './rejects.js';
import { HEAD_MORE, HEAD_REJECTED, RequestHead } from './request-head.js';

/** Events of `next`. */
export const READ_MORE = 0;
/** A head is there: see `head` and `framing`. */
export const READ_HEAD = 1;
/** A piece of the body, from `dataStart` to `dataEnd`. */
export const READ_DATA = 2;
/** The request is complete: see `trailers`. Comes after each head, at once if there is no body. */
export const READ_END = 3;
/** See `reject`. Whatever follows is not looked at. */
export const READ_REJECTED = 4;

const IN_HEAD = 0;
const IN_BODY = 1;
const IN_CHUNKS = 2;
const FAILED = 3;

const NO_BYTES = Buffer.alloc(0);
/** Kept for the next head that comes in pieces. */
const SPARE_KEPT_BYTES = 2_048;

export class RequestReader {
  readonly head = new RequestHead(NO_BYTES);
  readonly framing = new Framing();
  /** Where to go on. */
  pos = 0;
  dataStart = 0;
  dataEnd = 0;
  reject: RejectCode = 'request-line';
  readonly #limits: Limits;
  #state = IN_HEAD;
  /** Bytes of the body that are still to come, unless it is chunked. */
  #remaining = 0;
  #chunks: ChunkedDecoder | undefined;
  readonly #partial: PartialHead<Limits>;

  constructor(limits: Limits) {
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

  /** The trailer section of the last request, if it had one. */
  get trailers(): FieldBlock | undefined {
    const { trailers } = this.#chunks ?? {};
    return trailers !== undefined && trailers.count > 0 ? trailers : undefined;
  }

  /** Reads on from `start`; call again from `pos` until READ_MORE. The bytes must be whole: they go on to their end. */
  next(bytes: Buffer, start: number): number {
    const end = bytes.byteLength;
    this.pos = start;
    switch (this.#state) {
      case IN_HEAD:
        return start === end ? READ_MORE : this.#readHead(bytes, start);
      case IN_BODY:
        return this.#readBody(start, end);
      case IN_CHUNKS:
        return this.#readChunks(bytes, start, end);
      default:
        return READ_REJECTED;
    }
  }

  #readHead(bytes: Buffer, start: number): number {
    const { head } = this;
    const outcome = this.#partial.parse(bytes, start);
    this.pos = this.#partial.pos;
    if (outcome === HEAD_MORE) {
      return READ_MORE;
    }
    if (outcome === HEAD_REJECTED) {
      return this.#fail(head.reject);
    }
    const reject = this.framing.read(head, this.#limits);
    if (reject !== undefined) {
      return this.#fail(reject);
    }
    if (this.framing.isChunked) {
      this.#chunks ??= new ChunkedDecoder(this.#limits);
      this.#chunks.restart();
      this.#state = IN_CHUNKS;
    } else {
      // What remains of an earlier request's trailers is not this one's.
      this.#chunks?.restart();
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
    this.dataStart = start;
    this.dataEnd = start + n;
    this.pos = start + n;
    this.#remaining -= n;
    return READ_DATA;
  }

  #readChunks(bytes: Buffer, start: number, end: number): number {
    const chunks = this.#chunks!;
    const outcome = chunks.next(bytes, start, end);
    this.pos = chunks.pos;
    switch (outcome) {
      case CHUNK_MORE:
        return READ_MORE;
      case CHUNK_DATA:
        this.dataStart = chunks.dataStart;
        this.dataEnd = chunks.dataEnd;
        return READ_DATA;
      case CHUNK_END:
        this.#state = IN_HEAD;
        return READ_END;
      default:
        return this.#fail(chunks.reject);
    }
  }

  #fail(reject: RejectCode): number {
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
    this.#chunks?.restart();
    this.head.restart(NO_BYTES, 0);
  }
}
