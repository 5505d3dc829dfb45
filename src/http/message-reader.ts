/**
 * What the readers of requests and of responses have in common: their events, where they are in the bytes of the last
 * `next`, and bodies in chunks. No I/O.
 */

import {
  CHUNK_DATA,
  CHUNK_END,
  CHUNK_MORE,
  ChunkedDecoder,
  type ChunkLimits,
} from './chunked-decoder.js';
import type { FieldBlock } from './field-block.js';

/** Events of `next`. */
export const READ_MORE = 0;
/** A head is there: see `head` and `framing`. */
export const READ_HEAD = 1;
/** A piece of the body, from `dataStart` to `dataEnd`. */
export const READ_DATA = 2;
/** The message is complete: see `trailers`. Comes after each head, at once if there is no body. */
export const READ_END = 3;
/** See `reject`. Whatever follows is not looked at. */
export const READ_REJECTED = 4;

export abstract class MessageReader {
  /** Where to go on. */
  pos = 0;
  dataStart = 0;
  dataEnd = 0;
  readonly #chunkLimits: ChunkLimits;
  #chunks: ChunkedDecoder | undefined;

  constructor(limits: ChunkLimits) {
    this.#chunkLimits = limits;
  }

  /** The trailer section of the last message, if it had one. */
  get trailers(): FieldBlock | undefined {
    const { trailers } = this.#chunks ?? {};
    return trailers !== undefined && trailers.count > 0 ? trailers : undefined;
  }

  /** The last chunk, and its trailer section, was read. */
  protected abstract endChunks(): void;
  /** Nothing more is read. Answers READ_REJECTED. */
  protected abstract fail(reject: ChunkedDecoder['reject']): number;

  protected beginChunks(): void {
    this.#chunks ??= new ChunkedDecoder(this.#chunkLimits);
    this.#chunks.restart();
  }

  /** What remains of an earlier message's trailers is not the next one's. */
  protected clearChunks(): void {
    this.#chunks?.restart();
  }

  /** Lets go of their memory. */
  protected dropChunks(): void {
    this.#chunks = undefined;
  }

  /** The next `n` bytes are of the body. */
  protected takeData(start: number, n: number): number {
    this.dataStart = start;
    this.dataEnd = start + n;
    this.pos = start + n;
    return READ_DATA;
  }

  protected readChunks(bytes: Buffer, start: number, end: number): number {
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
        this.endChunks();
        return READ_END;
      default:
        return this.fail(chunks.reject);
    }
  }
}
