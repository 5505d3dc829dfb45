/**
 * Blocks: the pieces of memory of which every queue and buffer of a connection is a linked list. Made and freed by
 * BlockPool alone; only classes of this directory see them.
 *
 * A block is memory and a list node at once, and it is a node of one list at a time. When two lists need the same
 * bytes, the second gets a node of its own (kind SHARED) that holds a reference to the block that owns the memory:
 * netpoll let two lists share nodes, and read positions and links of one were overwritten by the other.
 *
 * Rules:
 * - Bytes [start, end) are in use. Only the node that owns the memory may append, from `end` to `limit`; for shared
 *   and foreign nodes `limit` is `end`. Bytes below `end` never change while anyone holds the block, so that views
 *   and shared nodes stay true.
 * - States: free (nobody's) → user (take) → kernel (lend: an asynchronous driver sends from it) → user (recall) → free
 *   (the last reference is released). Anything else is a programmer's error and throws.
 */

import type { Slab } from './slabs.js';

export const STATE_FREE = 0;
export const STATE_USER = 1;
export const STATE_KERNEL = 2;
export type BlockState = typeof STATE_FREE | typeof STATE_USER | typeof STATE_KERNEL;

/** A piece of a slab. In guard mode the slab has this one block. */
export const KIND_SLAB = 0;
/** A Buffer of the JavaScript heap that stands in for a block larger than a slab, or over the budget. */
export const KIND_HEAP = 1;
/** A view of another block, which it keeps alive. */
export const KIND_SHARED = 2;
/** A view of memory that is not the pool's: an owned array of the user, or the driver's receive buffer. */
export const KIND_FOREIGN = 3;
/** Without bytes: the place of a part of a file in a write queue. */
export const KIND_FILE = 4;
export type BlockKind =
  | typeof KIND_SLAB
  | typeof KIND_HEAP
  | typeof KIND_SHARED
  | typeof KIND_FOREIGN
  | typeof KIND_FILE;

/** Stands where there is no memory, so that the field keeps one type. */
export const NO_BYTES: Buffer = Buffer.alloc(0);

export class Block {
  kind: BlockKind;
  /** View of all of the block's memory; positions below are indexes into it. */
  bytes: Buffer;
  /** Off-heap address of the first byte of `bytes`; 0 for memory of the JavaScript heap. */
  address: number;
  start = 0;
  end = 0;
  limit: number;
  /** The next node of the list that holds this one; in a free block, of the free list. */
  next: Block | null = null;
  /** Holders: the list it is a node of, and each shared node. 0 when free. */
  references = 0;
  state: BlockState = STATE_FREE;
  /** Of a shared node: the block that owns the memory. */
  origin: Block | null = null;
  /** Of a slab's block. */
  readonly slab: Slab | null;
  /** Of a foreign node: to be called, by the list that holds it, when the memory is the user's again. */
  onFree: (() => void) | null = null;

  constructor(kind: BlockKind, bytes: Buffer, address: number, slab: Slab | null) {
    this.kind = kind;
    this.bytes = bytes;
    this.address = address;
    this.limit = bytes.length;
    this.slab = slab;
  }
}

/** Copies bytes [from, to) of `source` behind the last one of `target`, which must have the room. */
export function fill(target: Block, source: Uint8Array, from: number, to: number): void {
  const { end } = target;
  // `set` with a whole array takes 16 ns for 64 bytes, with a part, which needs a view, 50 ns (measured).
  const isWhole = from === 0 && to === source.length;
  target.bytes.set(isWhole ? source : source.subarray(from, to), end);
  target.end = end + (to - from);
}
