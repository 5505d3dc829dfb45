/**
 * Pooled off-heap blocks of one reactor, in sizes of a power of two from 1 KiB to a slab (slabs.ts). A reactor makes
 * one pool and closes it at its end; the buffers and queues of this directory take from it.
 *
 * - `bytesMax` bounds the bytes that are out. `take` then returns null, which its caller turns into `full`. For what
 *   cannot be refused, such as bytes that the peer has sent already, `takeAnyway` steps over the bound with memory of
 *   the JavaScript heap; the pool is overdrawn then, and the caller makes the connection pay: it pauses or closes it.
 * - Who takes a block, shares or wraps one holds a reference, and releases it once. Misuse throws.
 * - Memory that users may have seen is never unmapped while the thread runs, except in guard mode.
 * - Guard mode trades speed for proof: each block is allocated and released on its own, so that AddressSanitizer sees
 *   overflows and uses after free. Freed blocks are filled with 0xDB and kept for a while; that the poison is intact is
 *   checked at every take and at the close, which finds writes through stale views without a sanitizer too.
 */

import type { Region } from '../base/kernel.js';
import {
  Block,
  KIND_FILE,
  KIND_FOREIGN,
  KIND_HEAP,
  KIND_SHARED,
  KIND_SLAB,
  NO_BYTES,
  STATE_FREE,
  STATE_KERNEL,
  STATE_USER,
} from './block.js';
import type { LinkedBuffer } from './linked-buffer.js';
import { allocateOrNull, type BlockKernel, Slab, Slabs } from './slabs.js';

export { Block } from './block.js';
export { type BlockKernel, releaseCachedSlabs } from './slabs.js';

export interface BlockPoolOptions {
  /** The most bytes that may be out at a time. 256 MiB. */
  bytesMax?: number;
  /** Bytes of a slab, and of the largest block: a power of two, 64 KiB or more. 1 MiB. */
  slabBytes?: number;
  /**
   * Idle slabs that keep their pages, at least; an eighth of those in use if that is more. 16: frames of 1 MiB took
   * five times as long with 4, which were given back and faulted in again for each frame (measured, bench/buffers.ts).
   */
  slabsReserve?: number;
  /** Guard mode; see above. */
  guard?: boolean;
}

export interface BlockPoolCounters {
  /** The most bytes that were out at a time. */
  usedBytesPeak: number;
  /** Takes refused because of `bytesMax`, or because the system had no memory. */
  refused: number;
  /** Times that heap memory stood in for a refused block. */
  overdrafts: number;
  /** Bytes of heap memory that are out. */
  heapBytes: number;
}

/** The smallest block. Below it the objects that describe a block (about 230 bytes) would outweigh it. */
export const BLOCK_BYTES_MIN = 1024;
/** The largest block of a list: its bytes need not be in one piece, and larger blocks would stand half empty. */
export const BLOCK_BYTES_MAX = 65536;

const POISON_BYTE = 0xdb;
/** How many freed blocks guard mode keeps and checks. */
const QUARANTINE = 16;
/** Spare nodes kept for sharing and wrapping. */
const SPARE_NODES_MAX = 4096;

/** Index of the smallest class that holds `byteLength`. */
function classOf(byteLength: number): number {
  return byteLength <= BLOCK_BYTES_MIN ? 0 : 22 - Math.clz32(byteLength - 1);
}

/** Heap memory has a quarter more than was asked for, so that a peek that grows step by step is not quadratic. */
function heapSize(byteLength: number): number {
  return byteLength + (byteLength >>> 2);
}

export class BlockPool {
  readonly counters: BlockPoolCounters = {
    usedBytesPeak: 0,
    refused: 0,
    overdrafts: 0,
    heapBytes: 0,
  };
  readonly bytesMax: number;
  readonly guard: boolean;
  /** Capacity of the blocks that are out, and how many they are. Shared and foreign nodes are not counted. */
  usedBytes = 0;
  usedBlocks = 0;
  /** Empty buffers to be used again; see takeBuffer in linked-buffer.ts. */
  readonly spareBuffers: LinkedBuffer[] = [];

  private readonly kernel: BlockKernel;
  private readonly slabs: Slabs;
  private readonly slabBytes: number;
  private spareNodes: Block | null = null;
  private spareNodeCount = 0;
  private readonly quarantine: Region[] = [];
  private readonly poison: Buffer;
  private isClosed = false;

  constructor(kernel: BlockKernel, options: BlockPoolOptions = {}) {
    const { bytesMax = 256 << 20, slabBytes = 1 << 20, slabsReserve = 16, guard = false } = options;
    if (slabBytes < BLOCK_BYTES_MAX || (slabBytes & (slabBytes - 1)) !== 0) {
      throw new RangeError(`slabBytes is ${slabBytes}; expected a power of two from 65536`);
    }
    if (!(bytesMax >= 0)) {
      throw new RangeError(`bytesMax is ${bytesMax}; expected 0 or more`);
    }
    this.kernel = kernel;
    this.bytesMax = bytesMax;
    this.guard = guard;
    this.slabs = new Slabs(kernel, slabBytes, slabsReserve, classOf(slabBytes) + 1);
    this.slabBytes = slabBytes;
    this.poison = guard ? Buffer.alloc(slabBytes, POISON_BYTE) : NO_BYTES;
  }

  /** Bytes of all slabs; in guard mode 0. */
  get mappedBytes(): number {
    return this.slabs.mappedBytes;
  }

  /** Bytes of slabs that are not out and have not been given back to the system. */
  get freeBytes(): number {
    if (this.guard) {
      return 0;
    }
    const { mappedBytes, discardedBytes } = this.slabs;
    return mappedBytes - discardedBytes - (this.usedBytes - this.counters.heapBytes);
  }

  /** Heap memory stands in for blocks; takes fail until some are back. */
  get isOverdrawn(): boolean {
    return this.usedBytes > this.bytesMax;
  }

  /**
   * An empty block for a list that wants to add `byteLength` bytes: of that many at least, or of BLOCK_BYTES_MAX if
   * that is less. One reference, the caller's. Null when it would pass `bytesMax`.
   */
  take(byteLength: number): Block | null {
    return this.takeWhole(Math.min(byteLength, BLOCK_BYTES_MAX));
  }

  /** The same for `byteLength` bytes in one piece, however many. */
  takeWhole(byteLength: number): Block | null {
    if (this.isClosed) {
      throw new Error('Cannot take a block: the pool is closed');
    }
    const isLarge = byteLength > this.slabBytes;
    const index = classOf(byteLength);
    const size = isLarge ? heapSize(byteLength) : BLOCK_BYTES_MIN << index;
    if (this.usedBytes + size <= this.bytesMax) {
      const block = isLarge
        ? this.takeHeap(byteLength)
        : this.guard
          ? this.takeGuarded(index, size)
          : this.slabs.take(index, size);
      if (block !== null) {
        return this.hold(block, size);
      }
    }
    this.counters.refused += 1;
    return null;
  }

  /** The same, but never null: in place of a refusal there is heap memory, and the pool may be overdrawn. */
  takeAnyway(byteLength: number): Block {
    const block = this.takeWhole(byteLength);
    if (block !== null) {
      return block;
    }
    this.counters.overdrafts += 1;
    return this.hold(this.takeHeap(byteLength), heapSize(byteLength));
  }

  /** A node for another list with bytes [from, to) of `block`, without a copy. Released like a block. */
  share(block: Block, from: number, to: number): Block {
    if (block.state === STATE_FREE || block.kind === KIND_FOREIGN) {
      throw new Error('Cannot share a block that is free, or memory that is not the pool’s');
    }
    const origin = block.origin ?? block;
    const node = this.takeNode(KIND_SHARED, origin.bytes);
    origin.references += 1;
    node.origin = origin;
    node.address = origin.address;
    node.start = from;
    node.end = to;
    node.limit = to;
    return node;
  }

  /** A node with all of `bytes`, memory that is not the pool's. Released like a block. */
  wrap(bytes: Buffer, onFree: (() => void) | null): Block {
    const node = this.takeNode(KIND_FOREIGN, bytes);
    node.end = bytes.length;
    node.limit = bytes.length;
    node.onFree = onFree;
    return node;
  }

  /** A node without bytes, for the place of a part of a file. */
  mark(): Block {
    return this.takeNode(KIND_FILE, NO_BYTES);
  }

  /** One more holder of the same node. */
  retain(block: Block): void {
    if (block.state === STATE_FREE) {
      throw new Error('Cannot retain a block that is free');
    }
    block.references += 1;
  }

  /** One holder less; the last one frees the memory, or lets go of the block that a shared node views. */
  release(block: Block): void {
    if (block.state === STATE_FREE) {
      throw new Error('Cannot release a block that is free already');
    }
    if (block.references > 1) {
      block.references -= 1;
      return;
    }
    if (block.state === STATE_KERNEL) {
      throw new Error('Cannot free a block that is being sent');
    }
    block.references = 0;
    block.state = STATE_FREE;
    block.start = 0;
    block.end = 0;
    if (block.kind === KIND_SLAB) {
      this.freeSlabBlock(block);
    } else if (block.kind === KIND_HEAP) {
      this.freeHeap(block);
    } else {
      this.freeNode(block);
    }
  }

  /** Releases `head` and all that follow it. */
  releaseList(head: Block | null): void {
    let block = head;
    while (block !== null) {
      const next = block.next;
      this.release(block);
      block = next;
    }
  }

  /** An asynchronous driver sends from it from now on. */
  lend(block: Block): void {
    if (block.state !== STATE_USER) {
      throw new Error('Cannot lend a block that is free or lent');
    }
    block.state = STATE_KERNEL;
  }

  /** The driver is done with it. */
  recall(block: Block): void {
    if (block.state !== STATE_KERNEL) {
      throw new Error('Cannot recall a block that is not lent');
    }
    block.state = STATE_USER;
  }

  /** Gives the pages of all idle slabs back: for a reactor that goes idle. Returns how many bytes that were. */
  trim(): number {
    const before = this.slabs.discardedBytes;
    this.slabs.discardIdle(0);
    return this.slabs.discardedBytes - before;
  }

  /**
   * Leaves the slabs to the thread, for the next pool on this kernel. Returns the number of blocks that are still out,
   * which should be 0; their slabs follow when they are released.
   */
  close(): number {
    if (!this.isClosed) {
      this.isClosed = true;
      this.slabs.close();
      this.spareNodes = null;
      this.checkPoison();
      while (this.quarantine.length > 0) {
        this.kernel.release(this.quarantine.pop()!);
      }
    }
    return this.usedBlocks;
  }

  /** Guard mode: throws if a freed block was written to. */
  checkPoison(): void {
    for (const { bytes } of this.quarantine) {
      if (bytes.compare(this.poison, 0, bytes.length) !== 0) {
        const at = bytes.findIndex((byte) => byte !== POISON_BYTE);
        throw new Error(
          `A freed block of ${bytes.length} bytes was written to at ${at}: a view was kept too long`,
        );
      }
    }
  }

  private hold(block: Block, size: number): Block {
    block.state = STATE_USER;
    block.references = 1;
    block.next = null;
    this.usedBlocks += 1;
    this.usedBytes += size;
    if (this.usedBytes > this.counters.usedBytesPeak) {
      this.counters.usedBytesPeak = this.usedBytes;
    }
    return block;
  }

  private freeSlabBlock(block: Block): void {
    this.usedBlocks -= 1;
    this.usedBytes -= block.bytes.length;
    if (this.guard) {
      this.freeGuarded(block);
    } else {
      this.slabs.put(block);
    }
  }

  private takeGuarded(index: number, size: number): Block | null {
    this.checkPoison();
    const region = allocateOrNull(this.kernel, size);
    if (region === null) {
      return null;
    }
    const slab = new Slab(region);
    slab.shape(index, size);
    return slab.take();
  }

  private freeGuarded(block: Block): void {
    const { region } = block.slab!;
    region.bytes.fill(POISON_BYTE);
    this.quarantine.push(region);
    if (this.quarantine.length > QUARANTINE || this.isClosed) {
      this.checkPoison();
      this.kernel.release(this.quarantine.shift()!);
    }
  }

  private takeHeap(byteLength: number): Block {
    const bytes = Buffer.allocUnsafeSlow(heapSize(byteLength));
    this.counters.heapBytes += bytes.length;
    return new Block(KIND_HEAP, bytes, 0, null);
  }

  private freeHeap(block: Block): void {
    const { bytes } = block;
    this.usedBlocks -= 1;
    this.usedBytes -= bytes.length;
    this.counters.heapBytes -= bytes.length;
    if (this.guard) {
      bytes.fill(POISON_BYTE);
    }
    block.bytes = NO_BYTES;
  }

  private takeNode(
    kind: typeof KIND_SHARED | typeof KIND_FOREIGN | typeof KIND_FILE,
    bytes: Buffer,
  ): Block {
    let node = this.spareNodes;
    if (node === null) {
      node = new Block(kind, bytes, 0, null);
    } else {
      this.spareNodes = node.next;
      this.spareNodeCount -= 1;
      node.kind = kind;
      node.bytes = bytes;
    }
    node.state = STATE_USER;
    node.references = 1;
    node.next = null;
    return node;
  }

  private freeNode(node: Block): void {
    const { origin } = node;
    node.origin = null;
    node.onFree = null;
    node.bytes = NO_BYTES;
    node.address = 0;
    node.limit = 0;
    if (this.spareNodeCount < SPARE_NODES_MAX && !this.isClosed) {
      node.next = this.spareNodes;
      this.spareNodes = node;
      this.spareNodeCount += 1;
    }
    if (origin !== null) {
      this.release(origin);
    }
  }
}
