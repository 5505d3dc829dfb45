/**
 * Addresses of the off-heap memory that one thread has, in shared memory, so that whoever supervises the thread can
 * free them after it died. Written by the thread's kernel; read only when that thread is gone.
 */

/**
 * Far more than a reactor has: its blocks come in slabs. What does not fit is not noted, and leaks if the thread dies.
 */
const ENTRIES = 4_096;
/** Mappings: two for each ring. */
const MAPPINGS = 512;

export class RegionRegistry {
  readonly buffer: SharedArrayBuffer;
  readonly #addresses: Float64Array;
  /** Addresses, and at the same places of the second half, lengths. */
  readonly #mappings: Float64Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#addresses = new Float64Array(buffer, 0, ENTRIES);
    this.#mappings = new Float64Array(buffer, ENTRIES * 8);
  }

  static create(): RegionRegistry {
    return new RegionRegistry(new SharedArrayBuffer((ENTRIES + 2 * MAPPINGS) * 8));
  }

  static from(buffer: SharedArrayBuffer): RegionRegistry {
    return new RegionRegistry(buffer);
  }

  add(address: number): void {
    const i = this.#addresses.indexOf(0);
    if (i >= 0) {
      this.#addresses[i] = address;
    }
  }

  remove(address: number): void {
    const i = this.#addresses.indexOf(address);
    if (i >= 0) {
      this.#addresses[i] = 0;
    }
  }

  /** All addresses noted; the registry is empty afterwards. */
  takeAll(): number[] {
    const list = Array.from(this.#addresses).filter((address) => address !== 0);
    this.#addresses.fill(0);
    return list;
  }

  addMapping(address: number, byteLength: number): void {
    const i = this.#mappings.subarray(0, MAPPINGS).indexOf(0);
    if (i >= 0) {
      this.#mappings[MAPPINGS + i] = byteLength;
      this.#mappings[i] = address;
    }
  }

  removeMapping(address: number): void {
    const i = this.#mappings.subarray(0, MAPPINGS).indexOf(address);
    if (i >= 0) {
      this.#mappings[i] = 0;
    }
  }

  /** All mappings noted, as address and length; none is afterwards. */
  takeMappings(): { address: number; byteLength: number }[] {
    const list: { address: number; byteLength: number }[] = [];
    for (let i = 0; i < MAPPINGS; i += 1) {
      const address = this.#mappings[i];
      if (address !== 0) {
        list.push({ address, byteLength: this.#mappings[MAPPINGS + i] });
        this.#mappings[i] = 0;
      }
    }
    return list;
  }
}
