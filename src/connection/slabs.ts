/**
 * Slabs: regions of off-heap memory that are cut into blocks of one size each. Part of BlockPool, which does the
 * accounting; this file keeps the lists.
 *
 * - A slab of which nothing is out is idle. More idle ones than a reserve give their pages back (`Kernel.discard`); the
 *   address range stays mapped, so that a stale view of a user reads garbage but never faults. They are blank then, fit
 *   any block size, and are used before new ones are allocated.
 * - `close` leaves the slabs to a cache of the thread, from which the next reactor on the same kernel takes them.
 *   `releaseCachedSlabs` unmaps them when the thread ends.
 * - A slab holds one block size, so at worst one block keeps the pages of a slab.
 */

import type { Kernel, Region } from '../base/kernel.js';
import { Block, KIND_SLAB } from './block.js';

/** What a pool needs of the kernel. */
export type BlockKernel = Pick<Kernel, 'allocate' | 'release' | 'discard'>;

/** Blocks are cut one by one as they are first needed: a slab costs the objects and pages that were used of it. */
export class Slab {
  readonly region: Region;
  /** Index of the size class; -1 while blank. */
  sizeClass = -1;
  blockBytes = 0;
  /** How many blocks fit, were cut, and are out. */
  count = 0;
  cut = 0;
  used = 0;
  /** Blocks that were cut and are free. */
  free: Block | null = null;
  /** Links of the list of slabs of a class that have both free and used blocks. */
  previous: Slab | null = null;
  next: Slab | null = null;

  constructor(region: Region) {
    this.region = region;
  }

  shape(sizeClass: number, blockBytes: number): void {
    this.sizeClass = sizeClass;
    this.blockBytes = blockBytes;
    this.count = Math.floor(this.region.bytes.length / blockBytes);
    this.cut = 0;
    this.free = null;
  }

  /** A free block; only when there is one. */
  take(): Block {
    const block = this.free;
    this.used += 1;
    if (block !== null) {
      this.free = block.next;
      return block;
    }
    const offset = this.cut * this.blockBytes;
    this.cut += 1;
    const bytes = this.region.bytes.subarray(offset, offset + this.blockBytes);
    return new Block(KIND_SLAB, bytes, this.region.address + offset, this);
  }

  put(block: Block): void {
    block.next = this.free;
    this.free = block;
    this.used -= 1;
  }

  /** Forgets the blocks; only when none is out. */
  blank(): void {
    this.sizeClass = -1;
    this.free = null;
  }
}

/** Slabs of closed pools, by kernel: a kernel belongs to one thread, and so do its regions. */
const cache = new WeakMap<BlockKernel, Slab[]>();

function cacheOf(kernel: BlockKernel): Slab[] {
  let slabs = cache.get(kernel);
  if (slabs === undefined) {
    slabs = [];
    cache.set(kernel, slabs);
  }
  return slabs;
}

/** Null where `allocate` throws: a reactor without memory refuses work, it does not fall. */
export function allocateOrNull(kernel: BlockKernel, byteLength: number): Region | null {
  try {
    return kernel.allocate(byteLength);
  } catch {
    return null;
  }
}

/** Unmaps what closed pools left to the thread: only when nobody can hold a view any more. Returns the bytes. */
export function releaseCachedSlabs(kernel: BlockKernel): number {
  let byteLength = 0;
  for (const slab of cacheOf(kernel)) {
    byteLength += slab.region.bytes.length;
    kernel.release(slab.region);
  }
  cache.delete(kernel);
  return byteLength;
}

export class Slabs {
  /** Bytes of all slabs, and of those the ones whose pages were given back. */
  mappedBytes = 0;
  discardedBytes = 0;

  private readonly kernel: BlockKernel;
  private readonly slabBytes: number;
  private readonly reserve: number;
  /** By class: the slabs with both used and free blocks, and the idle ones. */
  private readonly partial: (Slab | null)[] = [];
  private readonly idle: Slab[][] = [];
  private idleCount = 0;
  private slabCount = 0;
  private readonly blank: Slab[] = [];
  private isClosed = false;

  constructor(kernel: BlockKernel, slabBytes: number, reserve: number, classes: number) {
    this.kernel = kernel;
    this.slabBytes = slabBytes;
    this.reserve = reserve;
    for (let index = 0; index < classes; index++) {
      this.partial.push(null);
      this.idle.push([]);
    }
  }

  /** Null when the system has no memory. */
  take(sizeClass: number, blockBytes: number): Block | null {
    const slab = this.partial[sizeClass] ?? this.open(sizeClass, blockBytes);
    if (slab === null) {
      return null;
    }
    const block = slab.take();
    if (slab.used === slab.count) {
      this.unlink(slab);
    }
    return block;
  }

  put(block: Block): void {
    const slab = block.slab!;
    const wasFull = slab.used === slab.count;
    slab.put(block);
    if (slab.used > 0) {
      if (wasFull) {
        this.link(slab);
      }
      return;
    }
    if (!wasFull) {
      this.unlink(slab);
    }
    if (this.isClosed) {
      this.kernel.discard(slab.region);
      slab.blank();
      cacheOf(this.kernel).push(slab);
      return;
    }
    this.idle[slab.sizeClass]!.push(slab);
    this.idleCount += 1;
    // An eighth of what is in use as reserve: a busy reactor does not give back and fault in the same pages in turn.
    const inUse = this.slabCount - this.blank.length - this.idleCount;
    this.discardIdle(Math.max(this.reserve, inUse >> 3));
  }

  /** Leaves `reserve` idle slabs and makes the others blank, those of large blocks first. */
  discardIdle(reserve: number): void {
    for (let index = this.idle.length - 1; index >= 0 && this.idleCount > reserve; index--) {
      const slabs = this.idle[index]!;
      while (slabs.length > 0 && this.idleCount > reserve) {
        const slab = slabs.pop()!;
        this.idleCount -= 1;
        this.kernel.discard(slab.region);
        slab.blank();
        this.blank.push(slab);
        this.discardedBytes += this.slabBytes;
      }
    }
  }

  /** Leaves the slabs to the thread. Those of which a block is out follow when it comes back. */
  close(): void {
    this.discardIdle(0);
    this.isClosed = true;
    const slabs = cacheOf(this.kernel);
    for (const slab of this.blank) {
      slabs.push(slab);
    }
    this.blank.length = 0;
  }

  /** Puts a slab with free blocks into the list of its class: an idle, blank, cached or new one, in that order. */
  private open(sizeClass: number, blockBytes: number): Slab | null {
    let slab = this.idle[sizeClass]!.pop();
    if (slab !== undefined) {
      this.idleCount -= 1;
    } else {
      slab = this.popBlank() ?? this.popIdle() ?? this.map();
      if (slab === undefined) {
        return null;
      }
      slab.shape(sizeClass, blockBytes);
    }
    this.link(slab);
    return slab;
  }

  private popBlank(): Slab | undefined {
    const slab = this.blank.pop();
    if (slab !== undefined) {
      this.discardedBytes -= this.slabBytes;
    }
    return slab;
  }

  /** An idle slab of another class. */
  private popIdle(): Slab | undefined {
    if (this.idleCount === 0) {
      return undefined;
    }
    for (const slabs of this.idle) {
      const slab = slabs.pop();
      if (slab !== undefined) {
        this.idleCount -= 1;
        slab.blank();
        return slab;
      }
    }
    return undefined;
  }

  private map(): Slab | undefined {
    const slabs = cacheOf(this.kernel);
    // A pool with other options may have left slabs of another size.
    const found = slabs.findLastIndex((slab) => slab.region.bytes.length === this.slabBytes);
    let slab: Slab;
    if (found >= 0) {
      slab = slabs.splice(found, 1)[0]!;
    } else {
      const region = allocateOrNull(this.kernel, this.slabBytes);
      if (region === null) {
        return undefined;
      }
      slab = new Slab(region);
    }
    this.slabCount += 1;
    this.mappedBytes += this.slabBytes;
    return slab;
  }

  private link(slab: Slab): void {
    const head = this.partial[slab.sizeClass] ?? null;
    slab.previous = null;
    slab.next = head;
    if (head !== null) {
      head.previous = slab;
    }
    this.partial[slab.sizeClass] = slab;
  }

  private unlink(slab: Slab): void {
    if (slab.previous === null) {
      this.partial[slab.sizeClass] = slab.next;
    } else {
      slab.previous.next = slab.next;
    }
    if (slab.next !== null) {
      slab.next.previous = slab.previous;
    }
    slab.previous = null;
    slab.next = null;
  }
}
