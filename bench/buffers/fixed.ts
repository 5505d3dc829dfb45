/**
 * One array for each connection, as evio and most hand-written servers have it: bytes lie in one piece, what is left
 * moves to the front when the end is reached, and the array doubles when it is full. It never shrinks.
 */

import type { Contender, ContenderKind } from './contender.js';

const FIRST_BYTES = 4096;

export class FixedBuffer implements Contender {
  wanted = -1;
  #bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  receive(network: Buffer, from: number, to: number): void {
    const needed = to - from;
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    if (this.#bytes.length - this.#end < needed) {
      this.#makeRoom(needed);
    }
    network.copy(this.#bytes, this.#end, from, to);
    this.#end += needed;
  }

  readUint32(): number | undefined {
    if (this.length < 4) {
      return undefined;
    }
    this.#start += 4;
    return this.#bytes.readUInt32BE(this.#start - 4);
  }

  next(n: number): Buffer | undefined {
    if (n > this.length) {
      return undefined;
    }
    this.#start += n;
    return this.#bytes.subarray(this.#start - n, this.#start);
  }

  skip(n: number): boolean {
    if (n > this.length) {
      return false;
    }
    this.#start += n;
    return true;
  }

  forward(n: number, socket: Buffer): void {
    // The write queue cannot keep a view of an array that is about to be overwritten.
    const copy = Buffer.allocUnsafeSlow(n);
    this.#bytes.copy(copy, 0, this.#start, this.#start + n);
    this.#start += n;
    copy.copy(socket, 0, 0, n);
  }

  endTurn(): void {}

  #makeRoom(needed: number): void {
    const { length } = this;
    let size = this.#bytes.length;
    while (size - length < needed) {
      size *= 2;
    }
    const target = size === this.#bytes.length ? this.#bytes : Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(target, 0, this.#start, this.#end);
    this.#bytes = target;
    this.#start = 0;
    this.#end = length;
  }
}

export const fixed: ContenderKind = {
  name: 'fixed array',
  make: () => new FixedBuffer(),
  offHeapBytes: () => 0,
  trim: () => {},
};
