/**
 * The memory a ring receives into: a few large buffers, given to the kernel in a ring of their own
 * (io_uring_register(2), IORING_REGISTER_PBUF_RING). Where the kernel can (6.12), it fills a buffer with one receive
 * after the other, so that small messages lie side by side; otherwise each receive takes a whole buffer.
 *
 * A buffer is free (ours), the kernel's, or retired: the kernel is done with it, and it goes back when nobody sends
 * from it any more (`pin`). When all are taken, receives end with ENOBUFS, what peers sent waits in their sockets, and
 * the driver starts the receives again once buffers are back.
 */

import type { Kernel, Region } from '../../base/kernel.js';
import { giveRegion, takeRegion } from '../../base/region-cache.js';
import {
  BUF_REG_ADDRESS,
  BUF_REG_ENTRIES,
  BUF_REG_FLAGS,
  BUF_REG_GROUP,
  BUF_REG_SIZE,
  BUF_SIZE,
  BUF_TAIL,
  CQE_BUFFER_SHIFT,
  CQE_F_BUF_MORE,
  CQE_F_BUFFER,
  PBUF_RING_INC,
  REGISTER_PBUF_RING,
} from '../../base/uring.js';

const PAGE_BYTES = 4096;
const WORD = 0x1_0000_0000;
/** One view is kept for so many bytes: of short messages in large buffers most, of many small buffers few. */
const BYTES_PER_VIEW = 128;
const SMALL_BYTES = 65_536;
const SMALL_VIEWS = 512;
const GROUP = 0;

export class UringBuffers {
  /** Buffers the kernel could fill. */
  available = 0;
  /** Retired buffers that someone sends from. */
  pinned = 0;
  /** How many buffers there can be, and of how many bytes each. */
  readonly count: number;
  readonly size: number;
  /** How many of them there are: the first ones. The memory of the others was never touched. */
  inUse = 0;

  readonly #kernel: Kernel;
  readonly #memory: Region;
  readonly #ringMemory: Region;
  readonly #isIncremental: boolean;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  /** Position of the ring in its memory, which the kernel wants at the start of a page: in 16-byte entries. */
  readonly #first: number;
  #tail = 0;
  /** By buffer: where the next receive lands; how many sends read from it; whether the kernel is done with it. */
  readonly #filled: Int32Array;
  readonly #pins: Int32Array;
  readonly #isRetired: Uint8Array;
  readonly #retired: number[] = [];
  /** Views by position and length, made once: received bytes are borrowed anyway. */
  #views!: (Buffer | undefined)[];
  #viewStarts!: Int32Array;
  #viewLengths!: Int32Array;
  #viewShift!: number;

  private constructor(kernel: Kernel, count: number, size: number, isIncremental: boolean) {
    this.#kernel = kernel;
    this.count = count;
    this.size = size;
    this.#isIncremental = isIncremental;
    this.#memory = takeRegion(kernel, count * size);
    this.#ringMemory = takeRegion(kernel, count * BUF_SIZE + PAGE_BYTES);
    const { bytes, address } = this.#ringMemory;
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.#halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
    this.#first = ((PAGE_BYTES - (address % PAGE_BYTES)) % PAGE_BYTES) / BUF_SIZE;
    this.#filled = new Int32Array(count);
    this.#pins = new Int32Array(count);
    this.#isRetired = new Uint8Array(count);
  }

  /** Up to `count` (a power of two) buffers of `size` bytes for the ring `fd`, at first `initially`; or -errno. */
  static create(
    kernel: Kernel,
    fd: number,
    { count, size, initially = count }: { count: number; size: number; initially?: number },
    mayBeIncremental: boolean,
  ): UringBuffers | number {
    let n = 0;
    for (const isIncremental of mayBeIncremental ? [true, false] : [false]) {
      const buffers = new UringBuffers(kernel, count, size, isIncremental);
      n = buffers.#register(fd);
      if (n >= 0) {
        buffers.#use(initially);
        return buffers;
      }
      buffers.release();
    }
    return n;
  }

  get isIncremental(): boolean {
    return this.#isIncremental;
  }

  #register(fd: number): number {
    const argument = Buffer.alloc(BUF_REG_SIZE);
    const address = this.#ringMemory.address + this.#first * BUF_SIZE;
    argument.writeBigUInt64LE(BigInt(address), BUF_REG_ADDRESS);
    argument.writeUInt32LE(this.count, BUF_REG_ENTRIES);
    argument.writeUInt16LE(GROUP, BUF_REG_GROUP);
    argument.writeUInt16LE(this.#isIncremental ? PBUF_RING_INC : 0, BUF_REG_FLAGS);
    this.#ringMemory.bytes.fill(0);
    return this.#kernel.ringRegister(fd, REGISTER_PBUF_RING, argument, 1);
  }

  #use(count: number): void {
    for (; this.inUse < count; this.inUse += 1) {
      this.#give(this.inUse);
    }
    this.#publish();
    this.#makeViews();
  }

  /** As many places as the buffers that there are need: more would only be spread over more of the cache. */
  #makeViews(): void {
    const total = this.inUse * this.size;
    const views =
      total > SMALL_BYTES ? 2 ** Math.ceil(Math.log2(total / BYTES_PER_VIEW)) : SMALL_VIEWS;
    this.#viewShift = Math.clz32(views - 1);
    this.#views = new Array<Buffer | undefined>(views);
    this.#viewStarts = new Int32Array(views);
    this.#viewLengths = new Int32Array(views);
  }

  /** Doubles the number of buffers, as long as there can be more. */
  grow(): void {
    if (this.inUse < this.count) {
      this.#use(Math.min(this.count, this.inUse * 2));
    }
  }

  /** Where the bytes of a completion with `n` > 0 lie: an offset into this memory. */
  take(flags: number, n: number): number {
    const buffer = flags >>> CQE_BUFFER_SHIFT;
    const start = buffer * this.size + this.#filled[buffer];
    if (!this.#isIncremental) {
      this.#retire(buffer);
    } else {
      this.#filled[buffer] += n;
      if ((flags & CQE_F_BUF_MORE) === 0) {
        this.#retire(buffer);
      }
    }
    return start;
  }

  /** A completion without bytes: a whole buffer that came with it goes back. */
  drop(flags: number): void {
    if ((flags & CQE_F_BUFFER) !== 0 && !this.#isIncremental) {
      this.#retire(flags >>> CQE_BUFFER_SHIFT);
    }
  }

  #retire(buffer: number): void {
    this.available -= 1;
    this.#isRetired[buffer] = 1;
    this.#retired.push(buffer);
  }

  view(start: number, n: number): Buffer {
    // Positions are mostly multiples of something: the product's high bits spread them (Knuth 6.4). Each has two
    // places: with one, a quarter of the views would be made again and again, and be garbage that has grown old.
    const i = (Math.imul(start + n, 0x9e37_79b1) >>> this.#viewShift) & -2;
    const starts = this.#viewStarts;
    const lengths = this.#viewLengths;
    if (starts[i] === start && lengths[i] === n) {
      return this.#views[i]!;
    }
    if (starts[i + 1] === start && lengths[i + 1] === n) {
      return this.#views[i + 1]!;
    }
    const view = this.#memory.bytes.subarray(start, start + n);
    this.#views[i + 1] = this.#views[i];
    starts[i + 1] = starts[i];
    lengths[i + 1] = lengths[i];
    this.#views[i] = view;
    starts[i] = start;
    lengths[i] = n;
    return view;
  }

  /** All buffers, one after the other. */
  get bytes(): Buffer {
    return this.#memory.bytes;
  }

  /** Of the first byte of all buffers. */
  get address(): number {
    return this.#memory.address;
  }

  /** Keeps the buffer that `start` lies in until `unpin`. False if too many are kept: others must go on receiving. */
  pin(start: number): boolean {
    if (this.pinned * 2 >= this.inUse) {
      return false;
    }
    const buffer = Math.floor(start / this.size);
    if (this.#pins[buffer] === 0) {
      this.pinned += 1;
    }
    this.#pins[buffer] += 1;
    return true;
  }

  unpin(start: number): void {
    const buffer = Math.floor(start / this.size);
    this.#pins[buffer] -= 1;
    if (this.#pins[buffer] === 0) {
      this.pinned -= 1;
      if (this.#isRetired[buffer] !== 0) {
        this.#retired.push(buffer);
      }
    }
  }

  /** Gives retired buffers back to the kernel. Their bytes must not be in use: after the batch that reported them. */
  recycle(): void {
    const list = this.#retired;
    if (list.length === 0) {
      return;
    }
    for (const buffer of list) {
      // A pinned one comes again with its unpin; one that was listed twice has been given already.
      if (this.#pins[buffer] === 0 && this.#isRetired[buffer] !== 0) {
        this.#isRetired[buffer] = 0;
        this.#give(buffer);
      }
    }
    list.length = 0;
    this.#publish();
  }

  #give(buffer: number): void {
    const at = this.#first + (this.#tail & (this.count - 1));
    const address = this.#memory.address + buffer * this.size;
    this.#filled[buffer] = 0;
    this.#words[at * 4] = address % WORD;
    this.#words[at * 4 + 1] = (address / WORD) | 0;
    this.#words[at * 4 + 2] = this.size;
    // The number alone, 16 bits: beside the first entry's is the tail.
    this.#halves[at * 8 + 6] = buffer;
    this.#tail = (this.#tail + 1) & 0xffff;
    this.available += 1;
  }

  #publish(): void {
    // The tail shares its word with the first entry's number; Atomics knows 16-bit words, too.
    Atomics.store(this.#halves, this.#first * 8 + BUF_TAIL / 2, this.#tail);
  }

  /** Gives the pages back to the system while nothing is received: only where no buffer is half filled. */
  release(): void {
    giveRegion(this.#kernel, this.#ringMemory);
    giveRegion(this.#kernel, this.#memory);
  }
}
