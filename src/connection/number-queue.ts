/**
 * Numbers, first in, first out, in a ring of 64-bit words that doubles when it is full: however many wait, and however
 * few of them are taken at a time, nothing is copied but for that, and the garbage collector has nothing to do. Used
 * by drivers for descriptors.
 */

const FIRST_PLACES = 16;
/** More than these are given up when nothing waits: a storm is over. */
const KEPT_PLACES = 16_384;

export class NumberQueue {
  /** A power of two of places. */
  #places = new Float64Array(FIRST_PLACES);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#places.length) {
      this.#grow();
    }
    this.#places[(this.#head + this.#length) & (this.#places.length - 1)] = value;
    this.#length += 1;
  }

  /** The first of them, or undefined. */
  shift(): number | undefined {
    if (this.#length === 0) {
      return undefined;
    }
    const value = this.#places[this.#head];
    this.#head = (this.#head + 1) & (this.#places.length - 1);
    this.#length -= 1;
    if (this.#length === 0 && this.#places.length > KEPT_PLACES) {
      this.#places = new Float64Array(FIRST_PLACES);
      this.#head = 0;
    }
    return value;
  }

  #grow(): void {
    const places = new Float64Array(this.#places.length * 2);
    places.set(this.#places.subarray(this.#head));
    places.set(this.#places.subarray(0, this.#head), this.#places.length - this.#head);
    this.#places = places;
    this.#head = 0;
  }
}
