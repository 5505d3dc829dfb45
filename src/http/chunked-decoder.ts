/**
 * The chunked coding (RFC 9112 7.1) without I/O: bytes in, pieces of the body out as positions in them. It keeps
 * numbers only, whatever a chunk is split into; the trailer section alone is gathered, up to its limit.
 *
 *     SIZE ──(;)──> EXTENSION ──> SIZE_LF ──> DATA ──> DATA_CR ──> DATA_LF ──> SIZE
 *                                    └──(size 0)──> TRAILER ──> END
 *
 * Strict: CRLF only, 1 to 16 hexadecimal digits, no space; an extension is `;name`, `;name=token` or `;name="quoted"`.
 */

import {
  FIELDS_BAD,
  FIELDS_DONE,
  FIELDS_MORE,
  FIELDS_TOO_MANY,
  FieldBlock,
} from './field-block.js';
import { CR, FIELD_VALUE, HEX, LF, TOKEN } from './grammar.js';
import type { Limits } from './limits.js';
import type { ChunkRejectCode } from './rejects.js';

/** Outcomes of `next`. */
export const CHUNK_MORE = 0;
export const CHUNK_DATA = 1;
export const CHUNK_END = 2;
export const CHUNK_REJECTED = 3;

const SIZE = 0;
const EXTENSION_NAME = 1;
const EXTENSION_VALUE = 2;
const EXTENSION_TOKEN = 3;
const EXTENSION_QUOTED = 4;
const EXTENSION_ESCAPE = 5;
const EXTENSION_END = 6;
const SIZE_LF = 7;
const DATA = 8;
const DATA_CR = 9;
const DATA_LF = 10;
const TRAILER = 11;

const SIZE_DIGITS_MAX = 16;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NO_BYTES = Buffer.alloc(0);

export type ChunkLimits = Pick<
  Limits,
  | 'bodyBytesMax'
  | 'chunkExtensionBytesMax'
  | 'chunkExtensionsBytesMax'
  | 'trailerBytesMax'
  | 'trailersMax'
>;

export class ChunkedDecoder {
  /** After CHUNK_DATA: a piece of the body. */
  dataStart = 0;
  dataEnd = 0;
  /** Bytes of the body so far. */
  bodyBytes = 0;
  /** After CHUNK_REJECTED. */
  reject: ChunkRejectCode = 'chunk';
  /** The trailer section, once there was one; on bytes of its own. */
  readonly trailers = new FieldBlock(NO_BYTES);
  /** Where to go on in the bytes that were given last. */
  pos = 0;
  #state = SIZE;
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #extensionsBytes = 0;
  #nameBytes = 0;
  #trailerLength = 0;
  readonly #limits: ChunkLimits;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  restart(): void {
    this.#state = SIZE;
    this.#size = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#extensionsBytes = 0;
    this.#trailerLength = 0;
    this.bodyBytes = 0;
    this.trailers.restart(NO_BYTES, 0);
  }

  /** Goes on at `start`; where it stopped is `pos`. */
  next(bytes: Buffer, start: number, end: number): number {
    this.pos = start;
    while (this.pos < end) {
      if (this.#state === DATA) {
        return this.#takeData(end);
      }
      if (this.#state === TRAILER) {
        return this.#takeTrailer(bytes, end);
      }
      const reject = this.#takeFraming(bytes[this.pos]);
      if (reject !== undefined) {
        this.reject = reject;
        return CHUNK_REJECTED;
      }
      this.pos += 1;
    }
    return CHUNK_MORE;
  }

  #takeData(end: number): number {
    const n = Math.min(this.#size, end - this.pos);
    this.dataStart = this.pos;
    this.dataEnd = this.pos + n;
    this.pos += n;
    this.#size -= n;
    this.bodyBytes += n;
    if (this.#size === 0) {
      this.#state = DATA_CR;
    }
    return CHUNK_DATA;
  }

  /** One byte that is not of the body. */
  #takeFraming(byte: number): ChunkRejectCode | undefined {
    switch (this.#state) {
      case SIZE:
        return this.#takeSize(byte);
      case SIZE_LF:
        return byte === LF ? this.#beginChunk() : 'chunk';
      case DATA_CR:
        this.#state = DATA_LF;
        return byte === CR ? undefined : 'chunk';
      case DATA_LF:
        this.#state = SIZE;
        this.#size = 0;
        this.#digits = 0;
        this.#extensionBytes = 0;
        return byte === LF ? undefined : 'chunk';
      default:
        return this.#takeExtension(byte);
    }
  }

  #takeSize(byte: number): ChunkRejectCode | undefined {
    const digit = HEX[byte];
    if (digit < 16) {
      this.#digits += 1;
      this.#size = this.#size * 16 + digit;
      return this.#digits > SIZE_DIGITS_MAX || this.#size > Number.MAX_SAFE_INTEGER
        ? 'chunk'
        : undefined;
    }
    if (this.#digits === 0) {
      return 'chunk';
    }
    if (byte === SEMICOLON) {
      return this.#beginExtension();
    }
    this.#state = SIZE_LF;
    return byte === CR ? undefined : 'chunk';
  }

  #beginExtension(): ChunkRejectCode | undefined {
    this.#state = EXTENSION_NAME;
    this.#nameBytes = 0;
    return this.#countExtension();
  }

  #countExtension(): ChunkRejectCode | undefined {
    this.#extensionBytes += 1;
    this.#extensionsBytes += 1;
    return this.#extensionBytes > this.#limits.chunkExtensionBytesMax ||
      this.#extensionsBytes > this.#limits.chunkExtensionsBytesMax
      ? 'chunk-extension'
      : undefined;
  }

  #takeExtension(byte: number): ChunkRejectCode | undefined {
    const isToken = TOKEN[byte] === 1;
    switch (this.#state) {
      case EXTENSION_NAME:
        if (isToken) {
          this.#nameBytes += 1;
        } else if (this.#nameBytes === 0) {
          return 'chunk';
        } else if (byte === EQUALS) {
          this.#state = EXTENSION_VALUE;
        } else {
          return this.#endExtension(byte);
        }
        break;
      case EXTENSION_VALUE:
        if (!isToken && byte !== QUOTE) {
          return 'chunk';
        }
        this.#state = isToken ? EXTENSION_TOKEN : EXTENSION_QUOTED;
        break;
      case EXTENSION_TOKEN:
        if (!isToken) {
          return this.#endExtension(byte);
        }
        break;
      case EXTENSION_QUOTED:
        if (byte === QUOTE) {
          this.#state = EXTENSION_END;
        } else if (byte === BACKSLASH) {
          this.#state = EXTENSION_ESCAPE;
        } else if (FIELD_VALUE[byte] === 0) {
          return 'chunk';
        }
        break;
      case EXTENSION_ESCAPE:
        if (FIELD_VALUE[byte] === 0) {
          return 'chunk';
        }
        this.#state = EXTENSION_QUOTED;
        break;
      default:
        return this.#endExtension(byte);
    }
    return this.#countExtension();
  }

  #endExtension(byte: number): ChunkRejectCode | undefined {
    if (byte === SEMICOLON) {
      return this.#beginExtension();
    }
    this.#state = SIZE_LF;
    return byte === CR ? undefined : 'chunk';
  }

  #beginChunk(): ChunkRejectCode | undefined {
    if (this.#size === 0) {
      this.#state = TRAILER;
      return undefined;
    }
    this.#state = DATA;
    return this.bodyBytes + this.#size > this.#limits.bodyBytesMax ? 'body-length' : undefined;
  }

  /** Gathers the trailer section, and parses its lines as they become whole. */
  #takeTrailer(bytes: Buffer, end: number): number {
    const { trailers } = this;
    const limits = this.#limits;
    if (this.#trailerLength === 0 && bytes[this.pos] === CR) {
      // Nearly always there are none.
      if (this.pos + 1 < end && bytes[this.pos + 1] === LF) {
        this.pos += 2;
        return CHUNK_END;
      }
    }
    const had = this.#trailerLength;
    const n = Math.min(end - this.pos, limits.trailerBytesMax - had);
    this.#gather(bytes, n);
    const outcome = trailers.parseFields(
      this.#trailerLength,
      limits.trailerBytesMax,
      limits.trailersMax,
    );
    if (outcome === FIELDS_DONE) {
      this.pos += trailers.at - had;
      return CHUNK_END;
    }
    if (outcome === FIELDS_MORE && this.#trailerLength < limits.trailerBytesMax) {
      this.pos += n;
      return CHUNK_MORE;
    }
    this.reject =
      outcome === FIELDS_BAD
        ? 'trailer'
        : outcome === FIELDS_TOO_MANY
          ? 'trailer-count'
          : 'trailer-length';
    return CHUNK_REJECTED;
  }

  #gather(bytes: Buffer, n: number): void {
    const { trailers } = this;
    const had = this.#trailerLength;
    if (trailers.bytes.length < had + n) {
      const grown = Buffer.alloc(Math.min((had + n) * 2, this.#limits.trailerBytesMax));
      trailers.bytes.copy(grown, 0, 0, had);
      trailers.bytes = grown;
    }
    bytes.copy(trailers.bytes, had, this.pos, this.pos + n);
    this.#trailerLength = had + n;
  }
}
