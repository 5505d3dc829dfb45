/** Random 32-bit words of the system's generator, taken in batches: a call for each would cost a microsecond. */

import { randomFillSync } from 'node:crypto';

const BATCH = 256;

export class RandomWords {
  readonly #words = new Uint32Array(BATCH);
  #left = 0;

  next(): number {
    if (this.#left === 0) {
      randomFillSync(this.#words);
      this.#left = BATCH;
    }
    this.#left -= 1;
    return this.#words[this.#left];
  }
}
