/**
 * Warnings to the user: what has no connection or call to be told to. Peers may be able to cause them at will, so only
 * some are passed on in a second; the counters have them all.
 */

import type { Kernel } from '../base/kernel.js';

const WINDOW_MS = 1_000;
const WARNINGS_MAX = 10;

export class Warnings {
  readonly #kernel: Pick<Kernel, 'now'>;
  readonly #tell: (error: Error) => void;
  #from = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(kernel: Pick<Kernel, 'now'>, tell: (error: Error) => void) {
    this.#kernel = kernel;
    this.#tell = tell;
  }

  warn(thrown: unknown): void {
    const now = this.#kernel.now();
    if (now - this.#from >= WINDOW_MS) {
      this.#from = now;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count <= WARNINGS_MAX) {
      this.#tell(thrown instanceof Error ? thrown : new Error(`Thrown: ${String(thrown)}`));
    }
  }
}
