/** Compresses messages for permessage-deflate (RFC 7692 section 7.2.1). */

import { RawDeflate, STEP_BYTES, Z_NO_FLUSH, Z_SYNC_FLUSH } from '../base/zlib.js';

/** An empty message is one empty block without its last four bytes (section 7.2.3.6). */
const EMPTY = Buffer.from([0]);
/** What a sync flush ends with, and a message does not (section 7.2.1). */
const TAIL_BYTES = 4;

/** zlib makes no window of 256 bytes. One of 512 looks back at most 250 (its MIN_LOOKAHEAD is 262): it will do. */
const BITS_MIN = 9;

export class Deflater {
  readonly #stream: RawDeflate;
  readonly #keeps: boolean;

  /** `keeps`: later messages may refer to earlier ones; otherwise each stands alone. */
  constructor(windowBits: number, level: number, memoryLevel: number, keeps: boolean) {
    this.#stream = new RawDeflate(Math.max(windowBits, BITS_MIN), level, memoryLevel);
    this.#keeps = keeps;
  }

  /** The compressed message: borrowed until the next call to any context of this thread. */
  deflate(data: Uint8Array): Buffer {
    if (data.length === 0) {
      return EMPTY;
    }
    const stream = this.#stream;
    if (!this.#keeps) {
      stream.reset();
    }
    let pieces: Buffer[] | undefined;
    for (let at = 0; ; ) {
      const isLast = data.length - at <= STEP_BYTES;
      stream.step(data, at, isLast ? Z_SYNC_FLUSH : Z_NO_FLUSH);
      at += stream.consumed;
      const isDone = at >= data.length && stream.produced < STEP_BYTES;
      if (isDone && pieces === undefined) {
        return stream.output.subarray(0, stream.produced - TAIL_BYTES);
      }
      pieces ??= [];
      pieces.push(Buffer.from(stream.output));
      if (isDone) {
        const whole = Buffer.concat(pieces);
        return whole.subarray(0, whole.length - TAIL_BYTES);
      }
    }
  }

  /** Lets later messages refer to nothing that came before: for when one of them was not sent after all. */
  forget(): void {
    this.#stream.reset();
  }

  /** Frees zlib's memory. */
  end(): void {
    this.#stream.end();
  }
}
