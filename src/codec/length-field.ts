/**
 * Frames with their length in a field, as most binary protocols have them: the parameters of Netty's
 * LengthFieldBasedFrameDecoder and LengthFieldPrepender in one codec, so that what one side sends the other reads.
 *
 *     |<------------------------- frame ------------------------->|
 *     | lengthOffset bytes | length field | …                     |
 *     |<-------- stripBytes ------->|<---------- payload -------->|
 *
 * The frame's length is the field's value + lengthAdjustment + lengthOffset + lengthBytes.
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

export interface LengthFieldOptions {
  /** The most bytes of a whole frame, with its header. 1,048,576. */
  maxFrameBytes?: number;
  /** Where the field lies in the frame. 0. */
  lengthOffset?: number;
  /** The field's width. 4. */
  lengthBytes?: 1 | 2 | 3 | 4 | 8;
  /** `big` (network order) by default. */
  byteOrder?: 'big' | 'little';
  /** What is to be added to the field's value to get the number of bytes that follow the field. 0. */
  lengthAdjustment?: number;
  /** The value counts the field itself, too: the same as a `lengthAdjustment` that is less by `lengthBytes`. false. */
  includesLength?: boolean;
  /** How many bytes of the frame's beginning are not given to the user. All up to the end of the length field. */
  stripBytes?: number;
  /** For sending: the bytes that were stripped, `stripBytes` of them; the length is written over them. Zeros. */
  header?: Uint8Array;
  /** A frame that is too long is reported as soon as that is known, rather than when all of it has come. true. */
  failFast?: boolean;
}

class LengthFieldFraming implements Framing {
  readonly gatherBytesMax: number;
  readonly failFast: boolean;
  readonly #offset: number;
  readonly #width: number;
  readonly #isLittle: boolean;
  readonly #adjustment: number;
  readonly #strip: number;
  /** Up to the end of the length field: fewer bytes are no frame. */
  readonly #headBytes: number;
  /** What was stripped, then room up to the end of the length field. */
  readonly #head: Buffer;

  constructor(options: LengthFieldOptions) {
    const { lengthBytes = 4, byteOrder = 'big', includesLength = false } = options;
    if (![1, 2, 3, 4, 8].includes(lengthBytes)) {
      throw new RangeError(`Expected lengthBytes to be 1, 2, 3, 4 or 8, got ${lengthBytes}`);
    }
    if (byteOrder !== 'big' && byteOrder !== 'little') {
      throw new TypeError(`Expected byteOrder to be big or little, got ${String(byteOrder)}`);
    }
    const max = wholeNumber('maxFrameBytes', options.maxFrameBytes, FRAME_BYTES_MAX, 1, 2 ** 31);
    this.gatherBytesMax = max;
    this.failFast = options.failFast ?? true;
    this.#width = lengthBytes;
    this.#isLittle = byteOrder === 'little';
    this.#offset = wholeNumber('lengthOffset', options.lengthOffset, 0, 0);
    this.#headBytes = this.#offset + lengthBytes;
    if (this.#headBytes > max) {
      throw new RangeError(
        `A frame of at most ${max} bytes has no room for a length field that ends at ${this.#headBytes}`,
      );
    }
    const adjustment = wholeNumber(
      'lengthAdjustment',
      options.lengthAdjustment,
      0,
      Number.MIN_SAFE_INTEGER,
    );
    this.#adjustment = adjustment - (includesLength ? lengthBytes : 0);
    this.#strip = wholeNumber('stripBytes', options.stripBytes, this.#headBytes, 0, max);
    const { header = Buffer.alloc(this.#strip) } = options;
    if (!(header instanceof Uint8Array) || header.length !== this.#strip) {
      throw new TypeError(`Expected header to be the ${this.#strip} bytes that are stripped`);
    }
    this.#head = Buffer.alloc(Math.max(this.#strip, this.#headBytes));
    this.#head.set(header);
  }

  find(bytes: Buffer, from: number, to: number, _scanned: number, bounds: FrameBounds): number {
    const available = to - from;
    if (available < this.#headBytes) {
      bounds.needed = this.#headBytes;
      bounds.scanned = 0;
      return Found.more;
    }
    const value = this.#read(bytes, from + this.#offset);
    if (value < 0) {
      bounds.problem = 'a length of 2^63 or more';
      return Found.corrupt;
    }
    const length = value + this.#adjustment + this.#headBytes;
    if (length < this.#headBytes) {
      bounds.problem = `a length of ${value} means a frame of ${length} bytes: shorter than its header`;
      return Found.corrupt;
    }
    if (length > this.gatherBytesMax) {
      bounds.problem = `a frame of ${length} bytes: at most ${this.gatherBytesMax} are allowed`;
      bounds.needed = length;
      return Found.tooLong;
    }
    if (this.#strip > length) {
      bounds.problem = `a frame of ${length} bytes, of which ${this.#strip} are to be stripped`;
      return Found.corrupt;
    }
    if (available < length) {
      bounds.needed = length;
      bounds.scanned = 0;
      return Found.more;
    }
    bounds.start = from + this.#strip;
    bounds.end = from + length;
    bounds.next = bounds.end;
    return Found.frame;
  }

  #read(bytes: Buffer, at: number): number {
    const isLittle = this.#isLittle;
    switch (this.#width) {
      case 1:
        return bytes[at];
      case 2:
        return isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
      case 3:
        return isLittle ? bytes.readUIntLE(at, 3) : bytes.readUIntBE(at, 3);
      case 4:
        return isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
      default: {
        const high = isLittle ? bytes.readInt32LE(at + 4) : bytes.readInt32BE(at);
        const low = isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at + 4);
        // Beyond 2^53 it is not exact, and far too long for anybody.
        return high < 0 ? -1 : high * 2 ** 32 + low;
      }
    }
  }

  seal(payload: Uint8Array, seal: Seal): void {
    const length = this.#strip + payload.length;
    if (length > this.gatherBytesMax || length < this.#headBytes) {
      throw new RangeError(
        `Cannot send a frame of ${length} bytes: expected ${this.#headBytes} to ${this.gatherBytesMax}`,
      );
    }
    const value = length - this.#adjustment - this.#headBytes;
    if (value < 0 || (this.#width < 8 && value >= 2 ** (8 * this.#width))) {
      throw new RangeError(`Cannot send a length of ${value} in ${this.#width} bytes`);
    }
    const head = this.#head;
    // Where the user is given the length field, it is also the user's, but for the value.
    seal.skip = head.length - this.#strip;
    if (seal.skip > 0) {
      head.set(
        seal.skip === payload.length ? payload : payload.subarray(0, seal.skip),
        this.#strip,
      );
    }
    this.#write(head, value);
    seal.head = head;
  }

  #write(head: Buffer, value: number): void {
    const at = this.#offset;
    if (this.#width < 8) {
      if (this.#isLittle) {
        head.writeUIntLE(value, at, this.#width);
      } else {
        head.writeUIntBE(value, at, this.#width);
      }
      return;
    }
    const high = Math.floor(value / 2 ** 32);
    const low = value % 2 ** 32;
    if (this.#isLittle) {
      head.writeUInt32LE(low, at);
      head.writeUInt32LE(high, at + 4);
    } else {
      head.writeUInt32BE(high, at);
      head.writeUInt32BE(low, at + 4);
    }
  }
}

/**
 * Frames with a length field. Without options: 4 bytes, big-endian, that count what follows them.
 *
 * @throws RangeError, TypeError for options that make no sense.
 */
export function lengthField(options: LengthFieldOptions = {}): Codec<Buffer, Uint8Array | string> {
  return bytesCodec(new LengthFieldFraming(options));
}
