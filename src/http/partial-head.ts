/**
 * The beginning of a head that came in pieces: kept until the rest is there. A head that comes as a whole is parsed
 * where it lies, and nothing is copied. Used by the readers of requests and of responses. No I/O.
 */

import type { FieldBlock } from './field-block.js';
import { HEAD_DONE, HEAD_MORE } from './request-head.js';

const NO_BYTES = Buffer.alloc(0);
const FIRST_BYTES = 512;

interface Limits {
  readonly headBytesMax: number;
}

/** A head of either kind. */
interface Head<HeadLimits extends Limits> extends FieldBlock {
  restart(bytes: Buffer, base: number): void;
  parse(end: number, limits: HeadLimits): number;
}

export class PartialHead<HeadLimits extends Limits> {
  /** After a `parse`: where to go on in its bytes. */
  pos = 0;
  /** Bytes of the head that are kept. */
  length = 0;
  #bytes: Buffer = NO_BYTES;
  readonly #head: Head<HeadLimits>;
  readonly #limits: HeadLimits;

  constructor(head: Head<HeadLimits>, limits: HeadLimits) {
    this.#head = head;
    this.#limits = limits;
  }

  /** Parses on with what came, from `start` to `end` of `bytes`: an outcome of the head's own `parse`. */
  parse(bytes: Buffer, start: number, end: number): number {
    const head = this.#head;
    const had = this.length;
    let outcome: number;
    if (had === 0) {
      head.restart(bytes, start);
      outcome = head.parse(end, this.#limits);
    } else {
      this.#keep(bytes, start, Math.min(end, start + this.#limits.headBytesMax - had));
      outcome = head.parse(this.length, this.#limits);
    }
    this.pos = start;
    if (outcome === HEAD_MORE) {
      if (had === 0) {
        this.#keep(bytes, start, end);
        head.bytes = this.#bytes;
        head.base = 0;
      }
      this.pos = end;
    } else if (outcome === HEAD_DONE) {
      // The head stays readable, since nothing is written into it before the next one.
      this.pos = start + head.at - had;
      this.length = 0;
    }
    return outcome;
  }

  /** Gives up what was begun. Memory of more than `spare` bytes is let go. */
  forget(spare = Number.POSITIVE_INFINITY): void {
    this.length = 0;
    if (this.#bytes.length > spare) {
      this.#bytes = NO_BYTES;
    }
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    const had = this.length;
    const length = had + end - start;
    if (this.#bytes.length < length) {
      const wanted = Math.max(length, this.#bytes.length * 2, FIRST_BYTES);
      const grown = Buffer.allocUnsafeSlow(
        Math.max(length, Math.min(wanted, this.#limits.headBytesMax)),
      );
      this.#bytes.copy(grown, 0, 0, had);
      this.#bytes = grown;
      this.#head.bytes = grown;
    }
    bytes.copy(this.#bytes, had, start, end);
    this.length = length;
  }
}
