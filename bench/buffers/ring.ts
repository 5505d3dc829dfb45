/**
 * A ring for each connection, as gnet's elastic ring without its shared loop buffer: positions run on and are masked,
 * so that what is left never moves; what wraps around is copied when it is asked for in one piece. Doubles when it
 * is full and never shrinks.
 */

import type { Contender, ContenderKind } from './contender.js';

const FIRST_BYTES = 4096;

export class RingBuffer implements Contender {
  wanted = -1;
  #bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #mask = FIRST_BYTES - 1;
  /** Positions of the first and behind the last byte; only their difference and masked values matter. */
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  receive(network: Buffer, from: number, to: number): void {
    const needed = to - from;
    if (this.#mask + 1 - this.length < needed) {
      this.#grow(needed);
    }
    const at = this.#end & this.#mask;
    const first = Math.min(needed, this.#mask + 1 - at);
    network.copy(this.#bytes, at, from, from + first);
    if (first < needed) {
      network.copy(this.#bytes, 0, from + first, to);
    }
    this.#end += needed;
  }

  readUint32(): number | undefined {
    if (this.length < 4) {
      return undefined;
    }
    const at = this.#start & this.#mask;
    let value = 0;
    if (at + 4 <= this.#mask + 1) {
      value = this.#bytes.readUInt32BE(at);
    } else {
      for (let i = 0; i < 4; i++) {
        value = value * 256 + this.#bytes[(at + i) & this.#mask]!;
      }
    }
    this.#take(4);
    return value;
  }

  next(n: number): Buffer | undefined {
    if (n > this.length) {
      return undefined;
    }
    const at = this.#start & this.#mask;
    let view: Buffer;
    if (at + n <= this.#mask + 1) {
      view = this.#bytes.subarray(at, at + n);
    } else {
      view = Buffer.allocUnsafeSlow(n);
      this.#copyTo(view, n);
    }
    this.#take(n);
    return view;
  }

  skip(n: number): boolean {
    if (n > this.length) {
      return false;
    }
    this.#take(n);
    return true;
  }

  forward(n: number, socket: Buffer): void {
    const copy = Buffer.allocUnsafeSlow(n);
    this.#copyTo(copy, n);
    this.#take(n);
    copy.copy(socket, 0, 0, n);
  }

  endTurn(): void {}

  #take(n: number): void {
    this.#start += n;
    if (this.#start === this.#end) {
      // Start over: no wrap, and positions that stay small integers.
      this.#start = 0;
      this.#end = 0;
    }
  }

  #copyTo(target: Buffer, n: number): void {
    const at = this.#start & this.#mask;
    const first = Math.min(n, this.#mask + 1 - at);
    this.#bytes.copy(target, 0, at, at + first);
    if (first < n) {
      this.#bytes.copy(target, first, 0, n - first);
    }
  }

  #grow(needed: number): void {
    const { length } = this;
    let size = this.#mask + 1;
    while (size - length < needed) {
      size *= 2;
    }
    const target = Buffer.allocUnsafeSlow(size);
    this.#copyTo(target, length);
    this.#bytes = target;
    this.#mask = size - 1;
    this.#start = 0;
    this.#end = length;
  }
}

export const ring: ContenderKind = {
  name: 'ring buffer',
  make: () => new RingBuffer(),
  offHeapBytes: () => 0,
  trim: () => {},
};
