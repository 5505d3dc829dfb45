/**
 * How much the process grows while something goes on. AddressSanitizer keeps freed memory for a while to see who still
 * uses it: there, growth says nothing, and is taken as none.
 */

const isMeasurable = process.env.ASAN_OPTIONS === undefined;

export class MemoryGrowth {
  readonly #before: number = process.memoryUsage.rss();
  #most: number = this.#before;

  /** Notes what is used now. */
  look(): void {
    this.#most = Math.max(this.#most, process.memoryUsage.rss());
  }

  /** The most bytes that were seen above those at the start. */
  get byteLength(): number {
    return isMeasurable ? this.#most - this.#before : 0;
  }
}
