/**
 * Responses out of bytes, without I/O: heads, pieces of bodies, ends, and the reject after which nothing more is read.
 * The client drives it with what it received; the tests with cases, cut at every byte.
 *
 *     IDLE ──begin──> (INTERIM* ──> HEAD) ──> DATA* ──> END: IDLE        any ──> REJECTED, for good
 *
 * A reader that was not told of a request expects nothing: bytes are then a reject (`surplus`), so that what follows a
 * response never becomes the next one. Nothing is copied but a head that is not there as a whole. Positions are those
 * in the bytes of the last `next`.
 */

import type { ChunkLimits } from './chunked-decoder.js';
import { MessageReader, READ_END, READ_HEAD, READ_MORE, READ_REJECTED } from './message-reader.js';
import { PartialHead } from './partial-head.js';
import { HEAD_MORE, HEAD_REJECTED } from './request-head.js';
import {
  BODY_CHUNKED,
  BODY_NONE,
  BODY_OF_LENGTH,
  BODY_TUNNEL,
  ResponseFraming,
} from './response-framing.js';
import { type HeadLimits, ResponseHead } from './response-head.js';
import type { ResponseRejectCode } from './response-rejects.js';

/** An event beside those of requests: an interim response (1xx) is there, see `head`. The final one is to come. */
export const READ_INTERIM = 5;

/** Of reading one response. */
export interface ResponseLimits extends HeadLimits, ChunkLimits {
  /** Interim responses before a final one. */
  readonly interimMax: number;
}

const IDLE = 0;
const IN_HEAD = 1;
const IN_BODY = 2;
const IN_CHUNKS = 3;
const UNTIL_CLOSE = 4;
/** Nothing more is to come of this response. */
const AT_END = 5;
const IN_TUNNEL = 6;
const FAILED = 7;

const NO_BYTES = Buffer.alloc(0);

export class ResponseReader extends MessageReader {
  readonly head = new ResponseHead(NO_BYTES);
  readonly framing = new ResponseFraming();
  reject: ResponseRejectCode = 'status-line';
  readonly #limits: ResponseLimits;
  #state = IDLE;
  #method = '';
  #upgrade = '';
  /** Bytes of the body that are still to come, or may still come. */
  #remaining = 0;
  #interims = 0;
  readonly #partial: PartialHead<ResponseLimits>;

  constructor(limits: ResponseLimits) {
    super(limits);
    this.#limits = limits;
    this.#partial = new PartialHead<ResponseLimits>(this.head, limits);
  }

  /**
   * A request of that method was sent, with that Upgrade field, if any: its response may come. Only between two
   * responses.
   */
  begin(method: string, upgrade = ''): void {
    if (this.#state !== IDLE) {
      throw new Error('A response is under way');
    }
    this.#state = IN_HEAD;
    this.#method = method;
    this.#upgrade = upgrade;
    this.#interims = 0;
    this.clearChunks();
  }

  /** Whether what follows is not HTTP any more. */
  get isInTunnel(): boolean {
    return this.#state === IN_TUNNEL;
  }

  /** Whether no response is under way, and the last one ended well. */
  get isIdle(): boolean {
    return this.#state === IDLE;
  }

  /** Bytes of the body that are still to come; undefined if only the server knows. */
  get remaining(): number | undefined {
    return this.#state === IN_BODY ? this.#remaining : this.#state === AT_END ? 0 : undefined;
  }

  /** Reads on from `start` to `end` of `bytes`; call again from `pos` until READ_MORE. */
  next(bytes: Buffer, start: number, end: number): number {
    this.pos = start;
    switch (this.#state) {
      case IDLE:
        return start === end ? READ_MORE : this.fail('surplus');
      case IN_HEAD:
        return start === end ? READ_MORE : this.#readHead(bytes, start, end);
      case IN_BODY:
      case UNTIL_CLOSE:
        return start === end ? READ_MORE : this.#readBody(start, end);
      case IN_CHUNKS:
        return this.readChunks(bytes, start, end);
      case AT_END:
        this.#state = IDLE;
        return READ_END;
      case IN_TUNNEL:
        return READ_MORE;
      default:
        return READ_REJECTED;
    }
  }

  /** The server ended its side: the end of a response, a truncated one, or nothing that concerns us (READ_MORE). */
  end(): number {
    switch (this.#state) {
      case UNTIL_CLOSE:
      case AT_END:
        this.#state = IDLE;
        return READ_END;
      case IDLE:
      case IN_TUNNEL:
        return READ_MORE;
      case FAILED:
        return READ_REJECTED;
      default:
        return this.fail('truncated');
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
    const { framing } = this;
    const mayUpgrade = this.#upgrade !== '';
    const reject = framing.read(head, this.#method, this.#limits.bodyBytesMax, mayUpgrade);
    if (reject !== undefined) {
      return this.fail(reject);
    }
    if (head.status === 101 && !areOffered(head.value('upgrade'), this.#upgrade)) {
      return this.fail('upgrade');
    }
    return head.status < 200 && framing.kind !== BODY_TUNNEL
      ? this.#passInterim()
      : this.#beginBody();
  }

  #passInterim(): number {
    this.#interims += 1;
    return this.#interims > this.#limits.interimMax ? this.fail('interim') : READ_INTERIM;
  }

  #beginBody(): number {
    const { kind, declaredLength } = this.framing;
    if (kind === BODY_NONE) {
      this.#state = AT_END;
    } else if (kind === BODY_OF_LENGTH) {
      this.#state = IN_BODY;
      this.#remaining = declaredLength;
    } else if (kind === BODY_CHUNKED) {
      this.beginChunks();
      this.#state = IN_CHUNKS;
    } else if (kind === BODY_TUNNEL) {
      this.#state = IN_TUNNEL;
    } else {
      this.#state = UNTIL_CLOSE;
      this.#remaining = this.#limits.bodyBytesMax;
    }
    return READ_HEAD;
  }

  #readBody(start: number, end: number): number {
    const n = Math.min(this.#remaining, end - start);
    if (n === 0) {
      return this.fail('body-length');
    }
    this.#remaining -= n;
    if (this.#remaining === 0 && this.#state === IN_BODY) {
      this.#state = AT_END;
    }
    return this.takeData(start, n);
  }

  protected endChunks(): void {
    this.#state = IDLE;
  }

  protected fail(reject: ResponseRejectCode): number {
    this.reject = reject;
    this.#state = FAILED;
    this.#partial.forget();
    return READ_REJECTED;
  }

  /** Lets go of the memory that a head in pieces took: the connection rests. */
  rest(): void {
    this.#partial.forget(0);
    this.dropChunks();
    this.head.restart(NO_BYTES, 0);
  }
}

/** Whether the server switches to protocols that it was asked for, and to no other. */
function areOffered(protocols: string | undefined, offered: string): boolean {
  const list = offered.toLowerCase().split(',');
  const known = new Set(list.map((protocol) => protocol.trim()));
  const chosen = protocols?.split(',') ?? [''];
  return chosen.every((protocol) => known.has(protocol.trim().toLowerCase()));
}
