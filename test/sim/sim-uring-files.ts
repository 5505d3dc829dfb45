/**
 * A ring's own table of files (io_uring/filetable.c): direct descriptors, which have no number of the process's table.
 * A free place is looked for from where the last one was taken or given back. Used by sim-uring.ts.
 */

import { EBADF, EINVAL, ENFILE } from '../../src/base/errno.js';
import type { Description } from './sim-descriptors.js';

export class RingFiles {
  readonly #places: (Description | undefined)[];
  #hint = 0;
  count = 0;

  constructor(size: number) {
    this.#places = new Array<Description | undefined>(size).fill(undefined);
  }

  find(index: number): Description | undefined {
    return this.#places[index];
  }

  /** The place given to `description`, or -ENFILE. */
  install(description: Description): number {
    const size = this.#places.length;
    for (let i = 0; i < size; i++) {
      const index = (this.#hint + i) % size;
      if (this.#places[index] !== undefined) continue;
      this.#places[index] = description;
      this.#hint = index + 1;
      this.count++;
      description.references++;
      return index;
    }
    return -ENFILE;
  }

  remove(index: number): number {
    if (index >= this.#places.length) return -EINVAL;
    const description = this.#places[index];
    if (description === undefined) return -EBADF;
    this.#places[index] = undefined;
    this.#hint = index;
    this.count--;
    description.drop();
    return 0;
  }

  clear(): void {
    for (let i = 0; i < this.#places.length; i++) if (this.#places[i] !== undefined) this.remove(i);
  }
}
