/**
 * Who owns which descriptor of the process. Threads share the table of descriptors, and a thread that dies leaves its
 * own open, so each creation, close and hand-over is noted here, in memory that all threads see; the supervisor asks
 * `ownedBy` for what a dead thread has left and closes it.
 *
 * Rules:
 * - Owner 0 means "not ours". Any other owner is a small integer that the caller chooses: the reactor's index + 1.
 * - The kernel (`LinuxKernel`) writes: `set` right after a descriptor was made, `clear` right BEFORE it is closed. In
 *   the other order another thread could get the same number in between and lose its entry.
 * - Every operation is one atomic access to one 16-bit entry: safe from any thread, and never a lock.
 * - Descriptors at or beyond `limit` are ignored: they read as not ours and are not counted. Such a descriptor works as
 *   any other, and is leaked if its thread dies. That bounds the memory where the descriptor limit is absurd (a
 *   container may have 2^30); `ignored` counts how often it happened.
 */

const HEADER_BYTES = 4;

/** The most owners: what fits an entry. */
export const DESCRIPTOR_OWNER_MAX = 0xffff;

/** Largest table, 2 MB: Linux's own default ceiling of descriptors for a process (fs.nr_open), 2^20. */
export const DESCRIPTOR_LIMIT_MAX = 0x100000;

export class DescriptorRegistry {
  /** Clone this to another thread and make a registry `from` it there. */
  readonly buffer: SharedArrayBuffer;
  /** One more than the largest descriptor that is noted. */
  readonly limit: number;
  readonly #owners: Uint16Array;
  readonly #ignored: Uint32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#ignored = new Uint32Array(buffer, 0, 1);
    this.#owners = new Uint16Array(buffer, HEADER_BYTES);
    this.limit = this.#owners.length;
  }

  /** A table for the descriptors below `limit`, at most 2^20 of them; two bytes each. */
  static create(limit: number): DescriptorRegistry {
    if (!(limit >= 1)) {
      throw new RangeError(`The descriptor limit is ${limit}; expected a number from 1`);
    }
    const entries = Math.min(Math.floor(limit), DESCRIPTOR_LIMIT_MAX);
    return new DescriptorRegistry(new SharedArrayBuffer(HEADER_BYTES + entries * 2));
  }

  /** The same table, on another thread. */
  static from(buffer: SharedArrayBuffer): DescriptorRegistry {
    if (!(buffer instanceof SharedArrayBuffer)) {
      throw new TypeError('A descriptor registry is made from a SharedArrayBuffer');
    }
    if (buffer.byteLength <= HEADER_BYTES || buffer.byteLength % 2 !== 0) {
      throw new RangeError(
        `${buffer.byteLength} bytes are not the buffer of a descriptor registry`,
      );
    }
    return new DescriptorRegistry(buffer);
  }

  /** How many times a descriptor was not noted because it is at or beyond `limit`. All threads together. */
  get ignored(): number {
    return Atomics.load(this.#ignored, 0);
  }

  /**
   * Notes that `owner` has `fd`; 0 as in `clear`. Overwrites: the system gave the number out, so what stood there is
   * outdated.
   */
  set(fd: number, owner: number): void {
    checkOwner(owner, 0);
    if (this.#isNoted(fd)) Atomics.store(this.#owners, fd, owner);
    else Atomics.add(this.#ignored, 0, 1);
  }

  /** Notes that `fd` is no longer ours. Call it before the close. */
  clear(fd: number): void {
    if (this.#isNoted(fd)) Atomics.store(this.#owners, fd, 0);
  }

  /**
   * Hands a descriptor that is ours to another owner: true. False, and nothing changes, when it is not ours (any
   * more). Called by the thread that gives it away before it tells the other one, so that there is always one owner.
   */
  transfer(fd: number, owner: number): boolean {
    checkOwner(owner, 1);
    if (!this.#isNoted(fd)) return false;
    const before = Atomics.load(this.#owners, fd);
    return before !== 0 && Atomics.compareExchange(this.#owners, fd, before, owner) === before;
  }

  /** The owner; 0 when the descriptor is not ours or beyond the limit. */
  ownerOf(fd: number): number {
    return this.#isNoted(fd) ? Atomics.load(this.#owners, fd) : 0;
  }

  /** The descriptors of one owner, in ascending order. Looks through the whole table: not for the hot path. */
  ownedBy(owner: number): number[] {
    checkOwner(owner, 1);
    const found: number[] = [];
    for (let fd = 0; fd < this.limit; fd++) {
      if (Atomics.load(this.#owners, fd) === owner) found.push(fd);
    }
    return found;
  }

  /** How many descriptors one owner has. Looks through the whole table. */
  countOf(owner: number): number {
    return this.ownedBy(owner).length;
  }

  /** How many descriptors are ours. Looks through the whole table. */
  count(): number {
    let total = 0;
    for (let fd = 0; fd < this.limit; fd++) {
      if (Atomics.load(this.#owners, fd) !== 0) total++;
    }
    return total;
  }

  #isNoted(fd: number): boolean {
    if (!Number.isInteger(fd) || fd < 0) {
      throw new RangeError(`${fd} is not a descriptor; expected an integer from 0`);
    }
    return fd < this.limit;
  }
}

function checkOwner(owner: number, least: number): void {
  if (!Number.isInteger(owner) || owner < least || owner > DESCRIPTOR_OWNER_MAX) {
    throw new RangeError(
      `Owner ${owner} is not an integer from ${least} to ${DESCRIPTOR_OWNER_MAX}`,
    );
  }
}
