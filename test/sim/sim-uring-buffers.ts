/**
 * A group of provided buffers (io_uring/kbuf.c): a ring in the program's memory, whose tail the program moves and whose
 * head only the kernel knows. With PBUF_RING_INC a buffer is filled by several receives: the kernel writes into its
 * entry where the free rest begins. A buffer in the ring is the kernel's: what was in it is overwritten here with noise
 * when it comes in, so that code which still reads it is found. Used by sim-uring.ts.
 */

import {
  BUF_SIZE,
  BUF_TAIL,
  CQE_BUFFER_SHIFT,
  CQE_F_BUF_MORE,
  CQE_F_BUFFER,
} from '../../src/base/uring.js';
import { readAddress, writeAddress } from './sim-uring-entry.js';
import type { SimWorld } from './sim-world.js';

const BUF_ADDRESS = 0;
const BUF_LENGTH = 8;
const BUF_ID = 12;
const NOISE = 0xdb;

export interface ProvidedBuffer {
  readonly id: number;
  readonly bytes: Uint8Array;
}

export class BufferGroup {
  readonly address: number;
  readonly #world: SimWorld;
  readonly #name: string;
  readonly #entries: number;
  readonly #isIncremental: boolean;
  /** Both are 16 bits wide and run freely. */
  #head = 0;
  #seenTail = 0;
  /** The numbers of the buffers that are the kernel's. */
  readonly #ids = new Set<number>();

  constructor(
    world: SimWorld,
    name: string,
    address: number,
    entries: number,
    isIncremental: boolean,
  ) {
    this.#world = world;
    this.#name = name;
    this.address = address;
    this.#entries = entries;
    this.#isIncremental = isIncremental;
    this.memory();
  }

  get byteLength(): number {
    return this.#entries * BUF_SIZE;
  }

  /** Buffers that the kernel may fill, the started one included. */
  get available(): number {
    return (this.#seenTail - this.#head) & 0xffff;
  }

  /** Looks at what the program has added since the last time. */
  look(): void {
    const bytes = this.memory();
    const tail = bytes.readUInt16LE(BUF_TAIL);
    if (((tail - this.#head) & 0xffff) > this.#entries) {
      this.#world.violations.fail(
        `${this.#name}: more buffers are provided than the ring of ${this.#entries} holds`,
      );
    }
    while (this.#seenTail !== tail) {
      const at = this.offsetOf(this.#seenTail);
      const id = bytes.readUInt16LE(at + BUF_ID);
      if (this.#ids.has(id)) {
        this.#world.violations.fail(
          `${this.#name}: buffer ${id} is provided again while the kernel has it`,
        );
      }
      this.#ids.add(id);
      this.rangeAt(bytes, at).fill(NOISE);
      this.#seenTail = (this.#seenTail + 1) & 0xffff;
    }
  }

  /** The buffer to fill next: it is not taken before `commit`. Undefined when there is none. */
  select(): ProvidedBuffer | undefined {
    this.look();
    if (this.#head === this.#seenTail) return undefined;
    const bytes = this.memory();
    const at = this.offsetOf(this.#head);
    return { id: bytes.readUInt16LE(at + BUF_ID), bytes: this.rangeAt(bytes, at) };
  }

  /** The first `n` bytes of the selected buffer were filled: the flags of the completion. */
  commit(buffer: ProvidedBuffer, n: number): number {
    const flags = ((buffer.id << CQE_BUFFER_SHIFT) | CQE_F_BUFFER) >>> 0;
    if (this.#isIncremental) {
      const bytes = this.memory();
      const at = this.offsetOf(this.#head);
      const left = buffer.bytes.length - n;
      bytes.writeUInt32LE(left, at + BUF_LENGTH);
      if (left > 0) {
        writeAddress(bytes, at + BUF_ADDRESS, readAddress(bytes, at + BUF_ADDRESS) + n);
        return (flags | CQE_F_BUF_MORE) >>> 0;
      }
    }
    this.#ids.delete(buffer.id);
    this.#head = (this.#head + 1) & 0xffff;
    return flags;
  }

  /** What of the given memory the kernel may still use, or undefined. */
  usedIn(address: number, byteLength: number): string | undefined {
    const end = address + byteLength;
    if (this.address < end && address < this.address + this.byteLength) return 'the buffer ring';
    const bytes = this.memory();
    const tail = bytes.readUInt16LE(BUF_TAIL);
    for (let i = this.#head; i !== tail; i = (i + 1) & 0xffff) {
      const at = this.offsetOf(i);
      const start = readAddress(bytes, at + BUF_ADDRESS);
      const stop = start + bytes.readUInt32LE(at + BUF_LENGTH);
      if (start < end && address < stop) return `buffer ${bytes.readUInt16LE(at + BUF_ID)}`;
    }
    return undefined;
  }

  private memory(): Buffer {
    return this.#world.memory.view(this.address, this.byteLength, 'buffer ring') as Buffer;
  }

  private rangeAt(bytes: Buffer, at: number): Uint8Array {
    const address = readAddress(bytes, at + BUF_ADDRESS);
    const byteLength = bytes.readUInt32LE(at + BUF_LENGTH);
    return this.#world.memory.view(address, byteLength, 'provided buffer');
  }

  private offsetOf(position: number): number {
    return (position & (this.#entries - 1)) * BUF_SIZE;
  }
}
