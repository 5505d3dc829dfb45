/**
 * The reader and the writer of a connection: the public face (streams.ts) of linked buffers. Made by the connection
 * when its user first asks for one, closed by it at its end; both are safe to keep and to call after that.
 *
 * - A reader or writer without bytes has no buffer, so that an idle one is one small object.
 * - The connection feeds its reader with `borrow` before a hook and `settle` after it, or with `append` while no hook
 *   runs (it is paused). User code may call the other methods at any time.
 * - A slice is a reader with blocks of its own; its user ends it with `release`.
 * - Memory is never refused here: what the peer sent and what was committed is kept, in heap memory if need be. It is
 *   the connection that acts when `settle` or `append` says that the pool is overdrawn, and `flush` may say `full`.
 */

import type { WriteResult } from '../api.js';
import type { Reader, Writer } from '../streams.js';
import { type Block, NO_BYTES } from './block.js';
import type { BlockChain } from './block-chain.js';
import type { BlockPool } from './block-pool.js';
import { giveBuffer, type LinkedBuffer, takeBuffer } from './linked-buffer.js';

function checkCount(n: number): void {
  if (n >>> 0 !== n) {
    throw new RangeError(`The number of bytes is ${n}; expected an integer from 0 to 4294967295`);
  }
}

function checkValue(value: number, max: number): void {
  if (!(value >= 0 && value <= max) || Math.floor(value) !== value) {
    throw new RangeError(`The value is ${value}; expected an integer from 0 to ${max}`);
  }
}

export class ConnectionReader implements Reader {
  readonly pool: BlockPool;
  private buffer: LinkedBuffer | null = null;
  private readonly isSlice: boolean;
  private isClosed = false;

  constructor(pool: BlockPool, slice: LinkedBuffer | null = null) {
    this.pool = pool;
    this.buffer = slice;
    this.isSlice = slice !== null;
  }

  get length(): number {
    return this.buffer === null ? 0 : this.buffer.byteLength;
  }

  next(n: number): Buffer | undefined {
    checkCount(n);
    return this.buffer === null ? noBytes(n) : this.buffer.next(n);
  }

  peek(n: number): Buffer | undefined {
    checkCount(n);
    return this.buffer === null ? noBytes(n) : this.buffer.peek(n);
  }

  skip(n: number): boolean {
    checkCount(n);
    return this.buffer === null ? n === 0 : this.buffer.skip(n);
  }

  until(delimiter: number | string): Buffer | undefined {
    if (typeof delimiter === 'number') {
      checkValue(delimiter, 0xff);
    } else if (typeof delimiter !== 'string' || delimiter.length === 0) {
      throw new TypeError('The delimiter must be a byte or a text that is not empty');
    }
    return this.buffer === null ? undefined : this.buffer.until(delimiter);
  }

  indexOf(byte: number, limit: number = Number.POSITIVE_INFINITY): number {
    checkValue(byte, 0xff);
    return this.buffer === null ? -1 : this.buffer.indexOf(byte, limit);
  }

  readByte(): number | undefined {
    const block = this.front(1);
    return block === null ? undefined : this.took(1, block.bytes[block.start]!);
  }

  readUint16(): number | undefined {
    const block = this.front(2);
    return block === null ? undefined : this.took(2, block.bytes.readUInt16BE(block.start));
  }

  readUint32(): number | undefined {
    const block = this.front(4);
    return block === null ? undefined : this.took(4, block.bytes.readUInt32BE(block.start));
  }

  readUint16LE(): number | undefined {
    const block = this.front(2);
    return block === null ? undefined : this.took(2, block.bytes.readUInt16LE(block.start));
  }

  readUint32LE(): number | undefined {
    const block = this.front(4);
    return block === null ? undefined : this.took(4, block.bytes.readUInt32LE(block.start));
  }

  readString(n: number, encoding: BufferEncoding = 'utf8'): string | undefined {
    checkCount(n);
    if (n === 0) {
      return '';
    }
    const block = this.front(n);
    if (block === null) {
      return undefined;
    }
    const text = block.bytes.toString(encoding, block.start, block.start + n);
    this.buffer!.drop(n);
    return text;
  }

  readCopy(n: number): Buffer | undefined {
    checkCount(n);
    if (n > this.length) {
      return undefined;
    }
    const copy = Buffer.allocUnsafe(n);
    let at = 0;
    while (at < n) {
      const { bytes, start, end } = this.buffer!.head!;
      const size = Math.min(n - at, end - start);
      bytes.copy(copy, at, start, start + size);
      this.buffer!.drop(size);
      at += size;
    }
    return copy;
  }

  slice(n: number): Reader | undefined {
    checkCount(n);
    if (n > this.length) {
      return undefined;
    }
    const slice = this.buffer === null ? takeBuffer(this.pool) : this.buffer.slice(n)!;
    return new ConnectionReader(this.pool, slice);
  }

  release(): void {
    if (this.buffer === null) {
      return;
    }
    if (this.isSlice) {
      this.giveBack();
    } else {
      this.buffer.release();
    }
  }

  /** Shows `bytes`, memory of the driver, behind what is unread. Ends with `settle`. For the connection. */
  borrow(bytes: Buffer): void {
    if (!this.isClosed) {
      this.open().borrow(bytes);
    }
  }

  /**
   * Ends a hook: keeps what is unread of the borrowed bytes and invalidates the views that were read. False when the
   * pool is overdrawn by that; nothing is lost, but the connection should be paused or closed. For the connection.
   */
  settle(): boolean {
    if (this.buffer === null) {
      return true;
    }
    const isWithinBudget = this.buffer.settle();
    if (this.buffer.byteLength === 0) {
      this.giveBack();
    }
    return isWithinBudget;
  }

  /** Keeps a copy of `bytes`, while nothing is borrowed. Answers as `settle` does. For the connection. */
  append(bytes: Uint8Array): boolean {
    return this.isClosed || this.open().appendCopy(bytes);
  }

  /** Moves `n` bytes, no more than there are, to the end of `target`. For writers. */
  moveTo(target: BlockChain, n: number): void {
    this.buffer?.moveTo(target, n);
  }

  /** Drops everything, now and in future. Slices live on. */
  close(): void {
    this.isClosed = true;
    if (this.buffer !== null) {
      this.giveBack();
    }
  }

  private took(n: number, value: number): number {
    this.buffer!.drop(n);
    return value;
  }

  private front(n: number): Block | null {
    return this.buffer === null ? null : this.buffer.front(n);
  }

  private open(): LinkedBuffer {
    this.buffer ??= takeBuffer(this.pool);
    return this.buffer;
  }

  private giveBack(): void {
    const buffer = this.buffer!;
    this.buffer = null;
    giveBuffer(buffer);
  }
}

function noBytes(n: number): Buffer | undefined {
  return n === 0 ? NO_BYTES : undefined;
}

export class ConnectionWriter implements Writer {
  readonly pool: BlockPool;
  private readonly send: (buffer: LinkedBuffer) => WriteResult;
  private buffer: LinkedBuffer | null = null;
  /** Where the last `reserve` pointed: the tail of the buffer, or a block that is not in it yet. */
  private reserved: Block | null = null;
  private reservedBytes = 0;
  private isClosed = false;

  /**
   * `send` gets a buffer with at least one byte. With `sent` or `queued` it has taken all blocks out of it, with `full`
   * and `closed` none.
   */
  constructor(pool: BlockPool, send: (buffer: LinkedBuffer) => WriteResult) {
    this.pool = pool;
    this.send = send;
  }

  get length(): number {
    return this.buffer === null ? 0 : this.buffer.byteLength;
  }

  reserve(n: number): Buffer {
    checkCount(n);
    this.cancel();
    if (n === 0 || this.isClosed) {
      // After the end there is nowhere to write to, but the caller may fill what it asked for.
      this.reservedBytes = n;
      return Buffer.alloc(n);
    }
    const block = this.open().roomFor(n);
    this.reserved = block;
    this.reservedBytes = n;
    return block.bytes.subarray(block.end, block.end + n);
  }

  commit(n: number): void {
    checkCount(n);
    if (n > this.reservedBytes) {
      throw new RangeError(`Cannot commit ${n} bytes: ${this.reservedBytes} are reserved`);
    }
    const block = this.reserved;
    if (block === null || n === 0) {
      this.cancel();
      return;
    }
    this.reserved = null;
    this.reservedBytes = 0;
    this.add(block, n);
  }

  writeBytes(bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError('The bytes must be a Uint8Array');
    }
    if (this.begin()) {
      this.open().append(bytes, 0, bytes.length, true);
    }
  }

  writeString(text: string, encoding: BufferEncoding = 'utf8'): void {
    if (typeof text !== 'string') {
      throw new TypeError('The text must be a string');
    }
    if (this.begin()) {
      this.open().appendEncoded(text, encoding, true);
    }
  }

  writeByte(byte: number): void {
    checkValue(byte, 0xff);
    if (this.begin()) {
      const block = this.open().roomFor(1);
      block.bytes[block.end] = byte;
      this.add(block, 1);
    }
  }

  writeUint16(value: number): void {
    checkValue(value, 0xffff);
    if (this.begin()) {
      const block = this.open().roomFor(2);
      block.bytes.writeUInt16BE(value, block.end);
      this.add(block, 2);
    }
  }

  writeUint32(value: number): void {
    checkValue(value, 0xffff_ffff);
    if (this.begin()) {
      const block = this.open().roomFor(4);
      block.bytes.writeUInt32BE(value, block.end);
      this.add(block, 4);
    }
  }

  append(reader: Reader): void {
    if (!(reader instanceof ConnectionReader) || reader.pool !== this.pool) {
      throw new TypeError('The reader must be one of a connection of the same reactor');
    }
    if (this.begin()) {
      reader.moveTo(this.open(), reader.length);
    } else {
      reader.skip(reader.length);
    }
  }

  flush(): WriteResult {
    if (!this.begin()) {
      return 'closed';
    }
    const { buffer } = this;
    if (buffer === null || buffer.byteLength === 0) {
      return 'sent';
    }
    // The user's callbacks may run inside and write more: into another buffer.
    this.buffer = null;
    const result = this.send(buffer);
    if ((result === 'sent' || result === 'queued') && buffer.byteLength > 0) {
      throw new Error(`The flush is ${result}, but its blocks were not taken`);
    }
    if (result !== 'full' || this.isClosed) {
      giveBuffer(buffer);
      return result;
    }
    const later = this.buffer as LinkedBuffer | null;
    if (later !== null) {
      buffer.appendChain(later);
      giveBuffer(later);
    }
    this.buffer = buffer;
    return result;
  }

  /** Drops everything, now and in future: `flush` says `closed`. */
  close(): void {
    this.cancel();
    this.isClosed = true;
    if (this.buffer !== null) {
      giveBuffer(this.buffer);
      this.buffer = null;
    }
  }

  /** Every call ends a reservation. False after the end, when nothing is taken any more. */
  private begin(): boolean {
    if (this.reservedBytes > 0) {
      this.cancel();
    }
    return !this.isClosed;
  }

  private cancel(): void {
    const block = this.reserved;
    this.reserved = null;
    this.reservedBytes = 0;
    if (block !== null && block !== this.buffer!.tail) {
      this.pool.release(block);
    }
  }

  /** Counts the first `n` bytes behind the block's end as written. */
  private add(block: Block, n: number): void {
    const buffer = this.buffer!;
    block.end += n;
    if (block === buffer.tail) {
      buffer.byteLength += n;
    } else {
      buffer.appendNode(block);
    }
  }

  private open(): LinkedBuffer {
    this.buffer ??= takeBuffer(this.pool);
    return this.buffer;
  }
}
