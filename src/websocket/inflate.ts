/**
 * Decompresses messages for permessage-deflate (RFC 7692 section 7.2.2), with bounds against bombs: it inflates in
 * steps of 16 KiB into 64 KiB and stops at the message's limit, or when the message has become too many times what was
 * received. A message that takes more steps than the turn has time for goes on in later turns: see inflate-queue.ts.
 */

import { RawInflate, STEP_BYTES, Z_BUF_ERROR, Z_OK, Z_STREAM_END } from '../base/zlib.js';
import { giveBuffer, takeBuffer } from './message-buffers.js';
import { VIOLATIONS, type Violation } from './violation.js';

/** What the sender cut off. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
/** The ratio counts above this: short messages of one repeated byte are no attack. */
const RATIO_FROM_BYTES = 65_536;

/** Final blocks within a message: each makes zlib begin anew. One is usual where a sender has no sync flush. */
const STREAM_ENDS_MAX = 64;

/** Who says how much may be inflated at once. */
export interface Budget {
  /** A step has taken and put out so much, and the message has not ended; false if it is not to go on now. */
  spend(consumed: number, produced: number): boolean;
}

const NO_LIMIT: Budget = { spend: () => true };

export class Inflater {
  readonly #stream: RawInflate;
  readonly #ratioMax: number;
  readonly #budget: Budget;
  /** Messages may refer to earlier ones, as was agreed. */
  readonly keeps: boolean;

  // The message under way: bytes taken and put out, and streams that ended in it.
  #at = 0;
  #length = 0;
  #ends = 0;
  #bytesMax = 0;
  /** Of a message that is longer than a step. */
  #gathered: Buffer | undefined = undefined;

  constructor(windowBits: number, keeps: boolean, ratioMax: number, budget: Budget = NO_LIMIT) {
    this.#stream = new RawInflate(windowBits);
    this.keeps = keeps;
    this.#ratioMax = ratioMax;
    this.#budget = budget;
  }

  /**
   * The message, which is the caller's; or what is wrong, after which a context that keeps is of no use any more: the
   * connection has failed. Undefined if the budget is spent first: `proceed` then goes on, unless another message comes
   * before, or `drop`.
   */
  inflate(data: Buffer, bytesMax: number): Buffer | Violation | undefined {
    if (!this.keeps) {
      this.#stream.reset();
    }
    this.#at = 0;
    this.#length = 0;
    this.#ends = 0;
    this.#bytesMax = bytesMax;
    this.drop();
    return this.proceed(data);
  }

  /** Goes on with the same message. The result is as that of `inflate`. */
  proceed(data: Buffer): Buffer | Violation | undefined {
    for (;;) {
      const result = this.#step(data);
      if (result !== undefined) {
        if (result instanceof Uint8Array) {
          this.#gathered = undefined;
        } else {
          this.drop();
        }
        return result;
      }
      if (!this.#budget.spend(this.#stream.consumed, this.#stream.produced)) {
        return undefined;
      }
    }
  }

  #step(data: Buffer): Buffer | Violation | undefined {
    const stream = this.#stream;
    const end = data.length + TAIL.length;
    const status = stream.step(data, this.#at, TAIL);
    const { consumed, produced } = stream;
    const before = this.#length;
    this.#at += consumed;
    if (before + produced > this.#bytesMax) {
      return VIOLATIONS.TOO_BIG;
    }
    if (before + produced > Math.max(RATIO_FROM_BYTES, data.length * this.#ratioMax)) {
      return VIOLATIONS.DEFLATE_RATIO;
    }
    // At the end of a block nothing is left to come out, even if the output is exactly full.
    const isWhole = status === Z_STREAM_END || stream.isAtBlockEnd;
    const isDone = this.#at >= end && (produced < STEP_BYTES || isWhole);
    if (isBroken(status) || (!isDone && consumed === 0 && produced === 0)) {
      return VIOLATIONS.DEFLATE;
    }
    if (isDone && !isWhole) {
      // The message ends within a block, and what we appended became part of it.
      return VIOLATIONS.DEFLATE;
    }
    if (status === Z_STREAM_END) {
      this.#ends += 1;
      if (this.#ends > STREAM_ENDS_MAX) {
        return VIOLATIONS.DEFLATE;
      }
      stream.resetKeepingWindow();
    }
    if (isDone && before === 0) {
      // A copy: whoever gets it may compress, or inflate, before it is done with it.
      return Buffer.from(stream.output);
    }
    this.#append(stream.output);
    return isDone ? this.#gathered!.subarray(0, this.#length) : undefined;
  }

  /** To the end of a buffer that doubles, up to the message's limit. */
  #append(piece: Buffer): void {
    const length = this.#length;
    const needed = length + piece.length;
    const before = this.#gathered;
    if (before === undefined || before.length < needed) {
      this.#gathered = takeBuffer(needed, this.#bytesMax);
      if (before !== undefined) {
        before.copy(this.#gathered, 0, 0, length);
        giveBuffer(before);
      }
    }
    piece.copy(this.#gathered!, length);
    this.#length = needed;
  }

  /** Lets go of what there is of an unfinished message, which cannot be gone on with any more. */
  drop(): void {
    if (this.#gathered !== undefined) {
      giveBuffer(this.#gathered);
      this.#gathered = undefined;
    }
  }

  /** Frees zlib's memory. */
  end(): void {
    this.drop();
    this.#stream.end();
  }
}

function isBroken(status: number): boolean {
  return status !== Z_OK && status !== Z_STREAM_END && status !== Z_BUF_ERROR;
}
