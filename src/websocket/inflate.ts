/**
 * Decompresses messages for permessage-deflate (RFC 7692 section 7.2.2), with bounds against bombs: it inflates in
 * steps of 64 KiB and stops at the message's limit, or when the message has become too many times what was received.
 */

import { RawInflate, STEP_BYTES, Z_BUF_ERROR, Z_OK, Z_STREAM_END } from '../base/zlib.js';
import { giveBuffer, takeBuffer } from './message-buffers.js';
import type { Decompressor } from './receiver.js';
import { VIOLATIONS, type Violation } from './violation.js';

/** What the sender cut off. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
/** The ratio counts above this: short messages of one repeated byte are no attack. */
const RATIO_FROM_BYTES = 65_536;

/** Final blocks within a message: each makes zlib begin anew. One is usual where a sender has no sync flush. */
const STREAM_ENDS_MAX = 64;

export class Inflater implements Decompressor {
  readonly #stream: RawInflate;
  readonly #keeps: boolean;
  readonly #ratioMax: number;
  /** Of a message that is longer than a step. */
  #gathered: Buffer | undefined = undefined;

  /** `keeps`: messages may refer to earlier ones, as was agreed. */
  constructor(windowBits: number, keeps: boolean, ratioMax: number) {
    this.#stream = new RawInflate(windowBits);
    this.#keeps = keeps;
    this.#ratioMax = ratioMax;
  }

  /**
   * The message, which is the caller's; or what is wrong, after which a context that keeps is of no use any more: the
   * connection has failed.
   */
  inflate(data: Buffer, bytesMax: number): Buffer | Violation {
    const result = this.#inflate(data, bytesMax);
    if (!(result instanceof Uint8Array) && this.#gathered !== undefined) {
      giveBuffer(this.#gathered);
    }
    this.#gathered = undefined;
    return result;
  }

  #inflate(data: Buffer, bytesMax: number): Buffer | Violation {
    const stream = this.#stream;
    if (!this.#keeps) {
      stream.reset();
    }
    const end = data.byteLength + TAIL.byteLength;
    const ratioBytes = Math.max(RATIO_FROM_BYTES, data.byteLength * this.#ratioMax);
    let length = 0;
    let ends = 0;
    for (let at = 0; ; ) {
      const status = stream.step(data, at, TAIL);
      const { consumed, produced } = stream;
      at += consumed;
      if (length + produced > bytesMax) {
        return VIOLATIONS.TOO_BIG;
      }
      if (length + produced > ratioBytes) {
        return VIOLATIONS.DEFLATE_RATIO;
      }
      // At the end of a block nothing is left to come out, even if the output is exactly full.
      const isWhole = status === Z_STREAM_END || stream.isAtBlockEnd;
      const isDone = at >= end && (produced < STEP_BYTES || isWhole);
      if (isBroken(status) || (!isDone && consumed === 0 && produced === 0)) {
        return VIOLATIONS.DEFLATE;
      }
      if (isDone && !isWhole) {
        // The message ends within a block, and what we appended became part of it.
        return VIOLATIONS.DEFLATE;
      }
      if (status === Z_STREAM_END) {
        ends += 1;
        if (ends > STREAM_ENDS_MAX) {
          return VIOLATIONS.DEFLATE;
        }
        stream.resetKeepingWindow();
      }
      if (isDone && length === 0) {
        // A copy: whoever gets it may compress, or inflate, before it is done with it.
        return Buffer.from(stream.output);
      }
      this.#append(length, stream.output, bytesMax);
      length += produced;
      if (isDone) {
        return this.#gathered!.subarray(0, length);
      }
    }
  }

  /** To the end of a buffer that doubles, up to the message's limit. */
  #append(length: number, piece: Buffer, bytesMax: number): void {
    const needed = length + piece.byteLength;
    const before = this.#gathered;
    if (before === undefined || before.byteLength < needed) {
      this.#gathered = takeBuffer(needed, bytesMax);
      if (before !== undefined) {
        before.copy(this.#gathered, 0, 0, length);
        giveBuffer(before);
      }
    }
    piece.copy(this.#gathered!, length);
  }

  /** Frees zlib's memory. */
  end(): void {
    this.#stream.end();
  }
}

function isBroken(status: number): boolean {
  return status !== Z_OK && status !== Z_STREAM_END && status !== Z_BUF_ERROR;
}
