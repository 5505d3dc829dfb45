/**
 * The reading side: received bytes as a linked list of blocks, read by position, without a copy where the bytes asked
 * for lie in one block. ConnectionReader and ConnectionWriter (stream.ts) are made of it.
 *
 * - During a hook the last node may be borrowed: a view of the driver's receive buffer, so that received bytes are
 *   seen without a copy. `settle`, called when the hook returns, copies what was left unread into blocks.
 * - Nodes that are read to the end go to the list of spent ones and keep their memory until `release`, since views of
 *   them are out. An empty buffer after `release` holds no block.
 * - Bytes that are asked for in one piece and straddle nodes are joined: copied once into one block, which replaces
 *   them in the list. There is no second place that caches them and could be stale (netpoll#335). When the first block
 *   has room behind its bytes, only what is missing is copied there, so that repeated peeks at ever more bytes copy
 *   each byte once or twice.
 * - A slice has shared nodes of its own (see block.ts) and may outlive this buffer.
 * - A search remembers how far it came: a peer that sends a line byte by byte does not make it quadratic.
 */

import { type Block, fill, NO_BYTES } from './block.js';
import { BlockChain } from './block-chain.js';
import type { BlockPool } from './block-pool.js';

/** Pieces below this are copied rather than shared: a few bytes should not keep a large block. */
const SHARE_BYTES_MIN = 512;
/** Ranges up to this are searched by a loop, since a call into C++ costs 20 ns (measured). */
const LOOP_BYTES_MAX = 16;
const SPARE_BUFFERS_MAX = 1024;

export class LinkedBuffer extends BlockChain {
  private spent: Block | null = null;
  private borrowed: Block | null = null;
  /** What was searched for last, and how many positions from the start are known not to begin with it. */
  private soughtFor: number | string = -1;
  private soughtTo = 0;

  /** Unread bytes. */
  get length(): number {
    return this.byteLength;
  }

  get isBorrowing(): boolean {
    return this.borrowed !== null;
  }

  /** Appends a copy. True if the pool is within its budget afterwards; the bytes are kept in any case. */
  appendCopy(bytes: Uint8Array): boolean {
    this.refuseBorrowed();
    this.append(bytes, 0, bytes.length, true);
    return !this.pool.isOverdrawn;
  }

  /** Appends a block with its bytes; the caller's reference becomes this buffer's. */
  appendBlock(block: Block): void {
    this.refuseBorrowed();
    if (block.start === block.end) {
      this.pool.release(block);
    } else {
      this.appendNode(block);
    }
  }

  /** Appends driver memory without a copy, until `settle`. */
  borrow(bytes: Buffer): void {
    this.refuseBorrowed();
    if (bytes.length > 0) {
      this.borrowed = this.pool.wrap(bytes, null);
      this.appendNode(this.borrowed);
    }
  }

  /**
   * Ends a hook: keeps what is unread of the borrowed bytes, and releases what was read. False when the pool is
   * overdrawn by that: the bytes are safe, but their connection should be paused or closed.
   */
  settle(): boolean {
    const node = this.borrowed;
    if (node !== null && node.start < node.end) {
      this.unlinkTail(node);
      this.append(node.bytes, node.start, node.end, true);
      this.pool.release(node);
      this.borrowed = null;
      this.release();
      return !this.pool.isOverdrawn;
    }
    this.release();
    return true;
  }

  /** The first `n` bytes without taking them; undefined if there are fewer. */
  peek(n: number): Buffer | undefined {
    if (n === 0) {
      return NO_BYTES;
    }
    const block = this.front(n);
    return block === null ? undefined : block.bytes.subarray(block.start, block.start + n);
  }

  next(n: number): Buffer | undefined {
    const bytes = this.peek(n);
    if (bytes !== undefined) {
      this.drop(n);
    }
    return bytes;
  }

  skip(n: number): boolean {
    if (n > this.byteLength) {
      return false;
    }
    this.drop(n);
    return true;
  }

  /** Takes everything up to and with the first `delimiter`: a byte, or a text of one or more bytes of UTF-8. */
  until(delimiter: number | string): Buffer | undefined {
    if (typeof delimiter === 'number') {
      const at = this.indexOf(delimiter, this.byteLength);
      return at < 0 ? undefined : this.next(at + 1);
    }
    const pattern = patternOf(delimiter);
    const at =
      pattern.length === 1
        ? this.indexOf(pattern[0]!, this.byteLength)
        : this.indexOfPattern(delimiter, pattern);
    return at < 0 ? undefined : this.next(at + pattern.length);
  }

  /** Position of the first `byte` among the first `limit` bytes, or -1. */
  indexOf(byte: number, limit: number): number {
    const end = Math.min(limit, this.byteLength);
    const from = this.soughtFor === byte ? this.soughtTo : 0;
    if (from >= end) {
      return -1;
    }
    let base = 0;
    let found = -1;
    for (let node = this.head; node !== null && base < end; node = node.next) {
      const size = node.end - node.start;
      if (base + size > from) {
        const start = node.start + Math.max(0, from - base);
        const at = indexIn(node, byte, start, node.start + Math.min(size, end - base));
        if (at >= 0) {
          found = base + at - node.start;
          break;
        }
      }
      base += size;
    }
    this.soughtFor = byte;
    this.soughtTo = found < 0 ? end : found;
    return found;
  }

  /**
   * The first node, with at least `n` > 0 bytes in one piece: for readers that take them straight from `bytes` at
   * `start`, and then `drop` them. Null if there are fewer.
   */
  front(n: number): Block | null {
    if (n > this.byteLength) {
      return null;
    }
    const head = this.head!;
    return head.end - head.start >= n ? head : this.join(head, n);
  }

  /** Takes `n` bytes, no more than there are. */
  drop(n: number): void {
    this.byteLength -= n;
    this.soughtTo = n < this.soughtTo ? this.soughtTo - n : 0;
    let rest = n;
    while (rest > 0) {
      const head = this.head!;
      const size = head.end - head.start;
      if (rest < size) {
        head.start += rest;
        return;
      }
      rest -= size;
      this.spendHead(head);
    }
    if (this.head === null) {
      this.forget();
    }
  }

  /** Takes the first `n` bytes, no more than there are, and puts them at the end of `target`: shared where large. */
  moveTo(target: BlockChain, n: number): void {
    let rest = n;
    while (rest > 0) {
      const head = this.head!;
      const size = Math.min(rest, head.end - head.start);
      const { start } = head;
      if (size < SHARE_BYTES_MIN || head === this.borrowed) {
        target.append(head.bytes, start, start + size, true);
      } else {
        target.appendNode(this.pool.share(head, start, start + size));
      }
      this.drop(size);
      rest -= size;
    }
  }

  /** Takes `n` bytes as a buffer of their own; undefined if there are fewer. End it with `giveBuffer`. */
  slice(n: number): LinkedBuffer | undefined {
    if (n > this.byteLength) {
      return undefined;
    }
    const slice = takeBuffer(this.pool);
    this.moveTo(slice, n);
    return slice;
  }

  /** Lets go of what was read; views of it are invalid afterwards. */
  release(): void {
    let node = this.spent;
    this.spent = null;
    while (node !== null) {
      const { next } = node;
      if (node === this.borrowed) {
        this.borrowed = null;
      }
      this.pool.release(node);
      node = next;
    }
  }

  /** Lets go of everything, read or not. */
  clear(): void {
    const { head } = this;
    this.forget();
    this.soughtTo = 0;
    this.borrowed = null;
    this.pool.releaseList(head);
    this.release();
  }

  private spendHead(head: Block): void {
    this.head = head.next;
    head.start = head.end;
    head.next = this.spent;
    this.spent = head;
  }

  /** Makes the first `n` bytes lie in one block; there are as many, and more than `head` has. */
  private join(head: Block, n: number): Block {
    let have = head.end - head.start;
    let front = head;
    if (head.limit - head.end < n - have) {
      front = this.pool.takeAnyway(n);
      fill(front, head.bytes, head.start, head.end);
      this.spendHead(head);
      front.next = this.head;
      this.head = front;
    }
    while (have < n) {
      const node = front.next!;
      const size = Math.min(n - have, node.end - node.start);
      fill(front, node.bytes, node.start, node.start + size);
      node.start += size;
      have += size;
      if (node.start === node.end) {
        front.next = node.next;
        node.next = this.spent;
        this.spent = node;
      }
    }
    if (front.next === null) {
      this.tail = front;
    }
    return front;
  }

  private indexOfPattern(text: string, pattern: Buffer): number {
    const last = this.byteLength - pattern.length;
    const from = this.soughtFor === text ? this.soughtTo : 0;
    let base = 0;
    let found = -1;
    for (let node = this.head; node !== null && base <= last && found < 0; node = node.next) {
      const size = node.end - node.start;
      if (base + size > from) {
        const start = node.start + Math.max(0, from - base);
        const at = indexOfPatternIn(node, pattern, start, last - base);
        found = at < 0 ? -1 : base + at - node.start;
      }
      base += size;
    }
    this.soughtFor = text;
    this.soughtTo = found < 0 ? Math.max(from, last + 1) : found;
    return found;
  }

  /** Takes the last node, which is `node`, out of the chain; its reference is the caller's again. */
  private unlinkTail(node: Block): void {
    let previous = this.head!;
    if (previous === node) {
      this.forget();
      return;
    }
    while (previous.next !== node) {
      previous = previous.next!;
    }
    previous.next = null;
    this.tail = previous;
    this.byteLength -= node.end - node.start;
  }

  private refuseBorrowed(): void {
    if (this.borrowed !== null) {
      throw new Error('Cannot append before the borrowed bytes are settled');
    }
  }
}

/** An empty buffer, used before or new. Give it back with `giveBuffer`. */
export function takeBuffer(pool: BlockPool): LinkedBuffer {
  return pool.spareBuffers.pop() ?? new LinkedBuffer(pool);
}

/** Releases everything in a buffer. The caller must have no other use for it. */
export function giveBuffer(buffer: LinkedBuffer): void {
  buffer.clear();
  if (buffer.pool.spareBuffers.length < SPARE_BUFFERS_MAX) {
    buffer.pool.spareBuffers.push(buffer);
  }
}

/** Index in the block's bytes of the first `byte` in [start, stop), or -1. */
function indexIn(node: Block, byte: number, start: number, stop: number): number {
  const { bytes } = node;
  if (stop - start <= LOOP_BYTES_MAX) {
    for (let i = start; i < stop; i++) {
      if (bytes[i] === byte) {
        return i;
      }
    }
    return -1;
  }
  if (stop < bytes.length) {
    if (stop === node.end && stop < node.limit) {
      // Node's indexOf has no end. A sentinel in the free part of the block bounds it without a view.
      bytes[stop] = byte;
    } else {
      const at = bytes.subarray(start, stop).indexOf(byte);
      return at < 0 ? -1 : at + start;
    }
  }
  const at = bytes.indexOf(byte, start);
  return at < stop ? at : -1;
}

/**
 * Index in the block's bytes of the first match that begins at `start` or later in this node, and at most `last` bytes
 * behind the node's start; it may end in a later node. -1 if there is none.
 */
function indexOfPatternIn(node: Block, pattern: Buffer, start: number, last: number): number {
  const { bytes, end } = node;
  if (end - start >= pattern.length) {
    const at = bytes.subarray(start, end).indexOf(pattern);
    if (at >= 0) {
      return at + start;
    }
  }
  const stop = Math.min(end, node.start + last + 1);
  for (let i = Math.max(start, end - pattern.length + 1); i < stop; i++) {
    if (matchesAt(node, i, pattern)) {
      return i;
    }
  }
  return -1;
}

/** Whether `pattern` begins at `index` of the node's bytes; that as many bytes follow was checked. */
function matchesAt(node: Block, index: number, pattern: Buffer): boolean {
  let at = node;
  let i = index;
  for (const byte of pattern) {
    while (i === at.end) {
      at = at.next!;
      i = at.start;
    }
    if (at.bytes[i] !== byte) {
      return false;
    }
    i += 1;
  }
  return true;
}

let patternText = '\n';
let pattern: Buffer = Buffer.from(patternText);

/** The delimiter's bytes; the last one is kept, since a protocol has one or two. */
function patternOf(text: string): Buffer {
  if (text !== patternText) {
    if (text.length === 0) {
      throw new RangeError('The delimiter is empty; expected one byte or more');
    }
    pattern = Buffer.from(text);
    patternText = text;
  }
  return pattern;
}
