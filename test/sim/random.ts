/**
 * A seeded random number generator (sfc32), the only source of chance in the simulator. Equal seeds give equal
 * sequences on every machine. Not for anything that must be hard to predict. Used by all of test/sim.
 */

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `stream` makes independent generators of one seed, so that a draw in one part does not disturb another. */
  constructor(seed: number, stream = 0) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 0x100000000) >>> 0;
    this.#c = Math.imul(stream + 1, 0x9e3779b1);
    // sfc32 needs some rounds until neighbouring seeds have nothing in common; its author uses 12 to 15.
    for (let i = 0; i < 15; i++) this.uint32();
  }

  /** 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 to 1, without 1. */
  fraction(): number {
    return this.uint32() / 0x100000000;
  }

  /** An integer from 0 to `n` - 1. The bias of 2^-32 * n does not matter here. */
  below(n: number): number {
    return Math.floor(this.fraction() * n);
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** A number between `low` and `high` whose logarithm is uniform: small ones are as likely as large ones. */
  logarithmic(low: number, high: number): number {
    return low * (high / low) ** this.fraction();
  }

  /** True with the given probability. Impossible and certain outcomes draw nothing. */
  chance(probability: number): boolean {
    if (probability <= 0) return false;
    if (probability >= 1) return true;
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('cannot pick from an empty list');
    return items[this.below(items.length)]!;
  }

  /** Shuffles in place (Fisher and Yates). */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const other = this.below(i + 1);
      const kept = items[i]!;
      items[i] = items[other]!;
      items[other] = kept;
    }
    return items;
  }

  /** Fills `bytes` with noise. */
  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.uint32() >>> 24;
  }
}
