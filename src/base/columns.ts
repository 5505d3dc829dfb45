/**
 * Tables as columns: typed arrays of one length, cut out of one piece of memory. A large piece of its own comes from
 * the system zeroed, costs only the pages that are written, and goes back to the system as a whole.
 */

type Column = Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

export class Columns {
  readonly #memory: ArrayBuffer;
  readonly #length: number;
  #at = 0;

  /** `rowBytes` is what all columns take for each entry. They must be cut in the order of their width, widest first. */
  constructor(length: number, rowBytes: number) {
    this.#memory = new ArrayBuffer(length * rowBytes);
    this.#length = length;
  }

  /** The next column: of zeros, but for the first `kept` entries of its predecessor. */
  cut<Type extends Column>(
    type: new (memory: ArrayBuffer, byteOffset: number, length: number) => Type,
    before?: Type,
    kept = 0,
  ): Type {
    const column = new type(this.#memory, this.#at, this.#length);
    this.#at += column.byteLength;
    if (before !== undefined && kept > 0) {
      column.set(before.subarray(0, kept));
    }
    return column;
  }
}
