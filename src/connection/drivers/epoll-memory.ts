/**
 * Where the epoll driver receives: into a region of its own, whose bytes are borrowed by whom they are reported to, or
 * straight into memory that the slot's owner has for them. The call is over when it returns, and nothing else runs in
 * between: so that may be any array. Used by epoll.ts alone.
 */

import type { Kernel, Region } from '../../base/kernel.js';
import { giveRegion, takeRegion } from '../../base/region-cache.js';
import { ViewCache } from './view-cache.js';

export class EpollMemory {
  readonly #kernel: Kernel;
  readonly #region: Region;
  readonly #views: ViewCache;
  /** Where the last receive went, if not to the region. */
  #room: Uint8Array | undefined = undefined;
  /** The bytes last reported, if they are the first of the region. */
  #borrowed: Buffer | undefined = undefined;
  /** The most that the last receive could bring. */
  capacity = 0;

  constructor(kernel: Kernel, receiveBytes: number) {
    this.#kernel = kernel;
    this.#region = takeRegion(kernel, receiveBytes);
    this.#views = new ViewCache(this.#region.bytes);
  }

  /** As Kernel.receive; `room`: memory of at least one byte to be used instead of the region, no more than that is. */
  receive(fd: number, room: Uint8Array | undefined): number {
    const { length: byteLength } = this.#region.bytes;
    if (room === undefined) {
      this.capacity = byteLength;
      return this.#kernel.receive(fd, this.#region);
    }
    this.#borrowed = undefined;
    this.capacity = Math.min(room.length, byteLength);
    const n = this.#kernel.receiveInto(fd, room, this.capacity);
    // Nothing of the user's is held longer than he is told of it.
    this.#room = n > 0 ? room : undefined;
    return n;
  }

  /** The `n` bytes that the last receive brought. */
  received(n: number): Buffer {
    const room = this.#room;
    if (room === undefined) {
      this.#borrowed = this.#views.first(n);
      return this.#borrowed;
    }
    this.#room = undefined;
    return n === room.length && Buffer.isBuffer(room)
      ? room
      : Buffer.from(room.buffer as ArrayBuffer, room.byteOffset, n);
  }

  /** As Kernel.send. */
  send(fd: number, bytes: Uint8Array): number {
    // What was just received is often what is sent: its address is known, and need not be looked up (measured).
    return bytes === this.#borrowed
      ? this.#kernel.sendAt(fd, this.#region.address, bytes.length)
      : this.#kernel.send(fd, bytes);
  }

  free(): void {
    giveRegion(this.#kernel, this.#region);
  }
}
