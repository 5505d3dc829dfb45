/**
 * Frames after their length as a varint, as protobuf's streams have them: seven bits a byte, the lowest first, the high
 * bit set in all but the last.
 */

import { bytesCodec, type Codec } from './codec.js';
import {
  Found,
  FRAME_BYTES_MAX,
  type FrameBounds,
  type Framing,
  type Seal,
  wholeNumber,
} from './framing.js';

/** A varint of 32 bits has five bytes at most. */
const VARINT_BYTES_MAX = 5;

export interface VarintOptions {
  /** The most bytes of a payload. 1,048,576. */
  maxFrameBytes?: number;
  /** A frame that is too long is reported as soon as that is known, rather than when all of it has come. true. */
  failFast?: boolean;
}

class VarintFraming implements Framing {
  readonly gatherBytesMax: number;
  readonly failFast: boolean;
  readonly #max: number;
  readonly #head = Buffer.alloc(VARINT_BYTES_MAX);
  /** The first n bytes of it, made once. */
  readonly #heads = Array.from({ length: VARINT_BYTES_MAX + 1 }, (_, n) =>
    this.#head.subarray(0, n),
  );

  constructor({ maxFrameBytes, failFast = true }: VarintOptions) {
    this.#max = wholeNumber('maxFrameBytes', maxFrameBytes, FRAME_BYTES_MAX, 0, 2 ** 31 - 1);
    this.gatherBytesMax = this.#max + VARINT_BYTES_MAX;
    this.failFast = failFast;
  }

  find(bytes: Buffer, from: number, to: number, _scanned: number, bounds: FrameBounds): number {
    let length = 0;
    let at = from;
    for (let unit = 1; ; unit *= 128) {
      if (at === to) {
        bounds.needed = at - from + 1;
        bounds.scanned = 0;
        return Found.more;
      }
      const byte = bytes[at];
      at += 1;
      length += (byte & 0x7f) * unit;
      if (length >= 2 ** 31 || (at - from === VARINT_BYTES_MAX && byte > 0x7f)) {
        bounds.problem = 'a length that is no varint below 2^31';
        return Found.corrupt;
      }
      if (byte <= 0x7f) {
        break;
      }
    }
    const head = at - from;
    if (length > this.#max) {
      bounds.problem = `a frame of ${length} bytes: at most ${this.#max} are allowed`;
      bounds.needed = head + length;
      return Found.tooLong;
    }
    if (to - at < length) {
      bounds.needed = head + length;
      bounds.scanned = 0;
      return Found.more;
    }
    bounds.start = at;
    bounds.end = at + length;
    bounds.next = bounds.end;
    return Found.frame;
  }

  seal(payload: Uint8Array, seal: Seal): void {
    let length = payload.length;
    if (length > this.#max) {
      throw new RangeError(`Cannot send a frame of ${length} bytes: at most ${this.#max}`);
    }
    let n = 0;
    while (length > 0x7f) {
      this.#head[n] = (length & 0x7f) | 0x80;
      length >>>= 7;
      n += 1;
    }
    this.#head[n] = length;
    seal.head = this.#heads[n + 1];
  }
}

/** Frames after a varint of their length (protobuf's `writeDelimitedTo`). Throws RangeError for a wrong limit. */
export function varintLength(options: VarintOptions = {}): Codec<Buffer, Uint8Array | string> {
  return bytesCodec(new VarintFraming(options));
}
