/**
 * The memory of reads without a buffer. One piece takes what is received for the next batch while the user has the
 * other, that of the batch before. A read gets all of its bytes or waits for the next batch, unless the piece is empty:
 * so nobody ever gets his in crumbs because others came first.
 */

export class SharedMemory {
  readonly #size: number;
  #filling: Buffer | undefined;
  #lent: Buffer | undefined;
  #used = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** A copy of `bytes` from `at` on, as far as there is room for it; undefined: wait for the next batch. */
  copy(bytes: Uint8Array, at: number): Buffer | undefined {
    const wanted = bytes.length - at;
    const room = this.#size - this.#used;
    if (wanted > room && this.#used > 0) {
      return undefined;
    }
    // Not from Node's pool, and only when first needed: its pages are taken one by one, as they are written.
    this.#filling ??= Buffer.allocUnsafeSlow(this.#size);
    const n = Math.min(wanted, room);
    const start = this.#used;
    const end = start + n;
    this.#filling.set(n === bytes.length ? bytes : bytes.subarray(at, at + n), start);
    this.#used = end;
    return this.#filling.subarray(start, end);
  }

  /** The batch goes to the user; what the last one lay in is filled next. */
  turn(): void {
    if (this.#used > 0) {
      const lent = this.#lent;
      this.#lent = this.#filling;
      this.#filling = lent;
      this.#used = 0;
    }
  }
}
