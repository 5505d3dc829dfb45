/**
 * What the io_uring driver sends from. The kernel reads the bytes after the call that submitted them, so that they lie
 * in off-heap memory that nobody frees meanwhile: blocks of the write queue, lent to the driver until `sent`; receive
 * buffers, pinned; or copies, made here. The JavaScript heap never.
 *
 * The vectors themselves (iovecs and message headers) are read when they are submitted: they lie in an arena that
 * starts anew after each submission.
 */

import { ENODATA } from '../../base/errno.js';
import type { Kernel, Region } from '../../base/kernel.js';
import { IOVEC_SIZE, MSGHDR_SIZE } from '../../base/layout.js';
import { giveRegion, takeRegion } from '../../base/region-cache.js';
import type { SendVector } from '../driver.js';
import type { UringUnit } from './uring-unit.js';

const WORD = 0x1_0000_0000;
/** Ranges in one send: with blocks of some kilobytes far more than a socket takes at once. */
const VECTOR_MAX = 64;
const MESSAGE_BYTES = 64;
const OPERATION_BYTES = MESSAGE_BYTES + VECTOR_MAX * IOVEC_SIZE;
const ARENA_BYTES = 128 * OPERATION_BYTES;
/** Copies of heap arrays: of this size, and of the small one when many peers are slow, so that their sum is bounded. */
const COPY_BYTES = 16_384;
const SMALL_COPY_BYTES = 2_048;
const COPIES_MAX = 512;

/** The vector of one send. `reset` says for which slot, and whether heap arrays may be copied. */
export class UringVector implements SendVector {
  count = 0;
  byteLength = 0;
  /** The first range is a heap array, and may not be copied: it has to be sent during a call. */
  isOnHeap = false;
  /** What failed, if a part of a file could not be read. */
  errno = 0;

  readonly #kernel: Kernel;
  readonly #arena: Region;
  readonly #words: Uint32Array;
  /** Where this send's message header lies in the arena; the iovecs follow. */
  #at = -OPERATION_BYTES;
  #slot = 0;
  #mayCopy = false;
  /** By slot: what was copied for its send. */
  readonly #copies = new Map<number, Region>();
  #copiedBytes = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#arena = takeRegion(kernel, ARENA_BYTES);
    const { buffer, byteOffset, length: byteLength } = this.#arena.bytes;
    this.#words = new Uint32Array(buffer, byteOffset, byteLength / 4);
  }

  /** Whether there is no place for another send before the next submission. */
  get isFull(): boolean {
    return this.#at + 2 * OPERATION_BYTES > ARENA_BYTES;
  }

  get isEmpty(): boolean {
    return this.#at < 0;
  }

  /** Everything in the arena was submitted. */
  clear(): void {
    this.#at = -OPERATION_BYTES;
  }

  reset(slot: number, mayCopy: boolean): void {
    this.#at += OPERATION_BYTES;
    this.#slot = slot;
    this.#mayCopy = mayCopy;
    this.#copiedBytes = 0;
    this.count = 0;
    this.byteLength = 0;
    this.isOnHeap = false;
    this.errno = 0;
  }

  /** Takes the place in the arena back: one range needs no vector. */
  giveBack(): void {
    this.#at -= OPERATION_BYTES;
  }

  append(address: number, byteLength: number): boolean {
    if (this.count === VECTOR_MAX) {
      return false;
    }
    const words = this.#words;
    const i = (this.#at + MESSAGE_BYTES + this.count * IOVEC_SIZE) >> 2;
    words[i] = address % WORD;
    words[i + 1] = (address / WORD) | 0;
    words[i + 2] = byteLength;
    words[i + 3] = 0;
    this.count += 1;
    this.byteLength += byteLength;
    return true;
  }

  appendBytes(bytes: Uint8Array): boolean {
    if (!this.#mayCopy) {
      this.isOnHeap = this.count === 0;
      return false;
    }
    if (this.count === VECTOR_MAX) {
      return false;
    }
    const copy = this.#copyOf(this.#slot);
    const n = Math.min(bytes.length, copy.bytes.length - this.#copiedBytes);
    if (n === 0) {
      return false;
    }
    copy.bytes.set(n === bytes.length ? bytes : bytes.subarray(0, n), this.#copiedBytes);
    this.append(copy.address + this.#copiedBytes, n);
    this.#copiedBytes += n;
    return n === bytes.length;
  }

  /** What may be copied is read into memory; else it has to be sent during a call, as an array of the heap. */
  appendFile(file: number, offset: number, byteLength: number): boolean {
    if (this.count > 0 || !this.#mayCopy) {
      this.isOnHeap = this.count === 0;
      return false;
    }
    const copy = this.#copyOf(this.#slot);
    const size = Math.min(byteLength, copy.bytes.length);
    const n = this.#kernel.readAt(file, offset, copy, 0, size);
    if (n <= 0) {
      this.errno = n === 0 ? ENODATA : -n;
      this.finish(this.#slot);
      return false;
    }
    this.#copiedBytes = n;
    return this.append(copy.address, n);
  }

  #copyOf(slot: number): Region {
    let copy = this.#copies.get(slot);
    if (copy === undefined) {
      const size = this.#copies.size < COPIES_MAX ? COPY_BYTES : SMALL_COPY_BYTES;
      copy = takeRegion(this.#kernel, size);
      this.#copies.set(slot, copy);
    }
    return copy;
  }

  /** The send of the slot is over: what was copied for it is free. */
  finish(slot: number): void {
    if (this.#copies.size > 0) {
      const copy = this.#copies.get(slot);
      if (copy !== undefined) {
        this.#copies.delete(slot);
        giveRegion(this.#kernel, copy);
      }
    }
  }

  /** Low and high word of the first range's address. */
  get firstLow(): number {
    return this.#words[(this.#at + MESSAGE_BYTES) >> 2] | 0;
  }

  get firstHigh(): number {
    return this.#words[((this.#at + MESSAGE_BYTES) >> 2) + 1] | 0;
  }

  /** Writes the message header; returns its address. */
  header(): number {
    const words = this.#words;
    const i = this.#at >> 2;
    const vector = this.#arena.address + this.#at + MESSAGE_BYTES;
    words.fill(0, i, i + MSGHDR_SIZE / 4);
    words[i + 4] = vector % WORD;
    words[i + 5] = (vector / WORD) | 0;
    words[i + 6] = this.count;
    return this.#arena.address + this.#at;
  }

  release(): void {
    giveRegion(this.#kernel, this.#arena);
    for (const copy of this.#copies.values()) {
      giveRegion(this.#kernel, copy);
    }
    this.#copies.clear();
  }
}

/**
 * Sends straight from receive buffers, as echoes and proxies do, or from pieces of a slab: what is left of each, in
 * parallel arrays that grow to the largest number at one time.
 */
export class DirectSends {
  readonly starts: number[] = [0];
  readonly lefts: number[] = [0];
  readonly sizes: number[] = [0];
  /** Whose receive buffers; undefined for a piece of the slab. */
  readonly units: (UringUnit | undefined)[] = [undefined];
  readonly #free: number[] = [];

  /** A record's number, above 0. */
  add(start: number, byteLength: number, unit: UringUnit | undefined): number {
    const record = this.#free.pop() ?? this.starts.length;
    this.starts[record] = start;
    this.lefts[record] = byteLength;
    this.sizes[record] = byteLength;
    this.units[record] = unit;
    return record;
  }

  remove(record: number): void {
    this.#free.push(record);
  }
}
