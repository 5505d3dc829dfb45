/**
 * The memory of a batch of messages, off the heap: an array of `mmsghdr`, one iovec, one name and one place for
 * ancillary data for each, and after them whatever room for payload the batch has. Filled and read as 32-bit words.
 * Used by receive-batch.ts and send-batch.ts alone.
 */

import type { Kernel, Region } from '../../base/kernel.js';
import {
  IOVEC_BASE,
  IOVEC_LENGTH,
  IOVEC_SIZE,
  MMSGHDR_LENGTH,
  MMSGHDR_SIZE,
  MSGHDR_CONTROL,
  MSGHDR_CONTROL_LENGTH,
  MSGHDR_FLAGS,
  MSGHDR_NAME,
  MSGHDR_NAME_LENGTH,
  MSGHDR_VECTOR,
  MSGHDR_VECTOR_LENGTH,
} from '../../base/layout.js';
import { giveRegion, takeRegion } from '../../base/region-cache.js';

/** Room for any address. */
export const NAME_BYTES = 128;
/** Room for the ancillary data that are asked for, and for those that are sent: at most three messages of 40 bytes. */
export const CONTROL_BYTES = 128;

const WORD = 0x1_0000_0000;
const HEAD_WORDS = MMSGHDR_SIZE / 4;
const VECTOR_WORDS = IOVEC_SIZE / 4;

export class MessageTable {
  readonly region: Region;
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly count: number;
  /** Where things start, in bytes from the start of the region. */
  readonly namesAt: number;
  readonly controlsAt: number;
  readonly payloadAt: number;
  readonly #kernel: Kernel;
  readonly #vectorsAt: number;

  constructor(kernel: Kernel, count: number, payloadBytes: number) {
    this.#kernel = kernel;
    this.count = count;
    this.#vectorsAt = count * MMSGHDR_SIZE;
    this.namesAt = this.#vectorsAt + count * IOVEC_SIZE;
    this.controlsAt = this.namesAt + count * NAME_BYTES;
    this.payloadAt = this.controlsAt + count * CONTROL_BYTES;
    this.region = takeRegion(kernel, this.payloadAt + payloadBytes);
    this.bytes = this.region.bytes;
    const { buffer, byteOffset } = this.bytes;
    this.words = new Int32Array(buffer, byteOffset, this.payloadAt / 4);
    this.words.fill(0);
    for (let i = 0; i < count; i += 1) {
      const head = i * HEAD_WORDS;
      this.#putAddress(head + MSGHDR_VECTOR / 4, this.#vectorsAt + i * IOVEC_SIZE);
      this.words[head + MSGHDR_VECTOR_LENGTH / 4] = 1;
    }
  }

  release(): void {
    giveRegion(this.#kernel, this.region);
  }

  /** Where the name, and the ancillary data, of message `i` are. */
  nameAt(i: number): number {
    return this.namesAt + i * NAME_BYTES;
  }

  controlAt(i: number): number {
    return this.controlsAt + i * CONTROL_BYTES;
  }

  setName(i: number, byteLength: number): void {
    const head = i * HEAD_WORDS;
    if (byteLength === 0) {
      this.words[head + MSGHDR_NAME / 4] = 0;
      this.words[head + MSGHDR_NAME / 4 + 1] = 0;
    } else {
      this.#putAddress(head + MSGHDR_NAME / 4, this.nameAt(i));
    }
    this.words[head + MSGHDR_NAME_LENGTH / 4] = byteLength;
  }

  /** How much of a name the kernel is to write, once its place is set. */
  setNameRoom(i: number, byteLength: number): void {
    this.words[i * HEAD_WORDS + MSGHDR_NAME_LENGTH / 4] = byteLength;
  }

  setControl(i: number, byteLength: number): void {
    const head = i * HEAD_WORDS;
    this.#putAddress(head + MSGHDR_CONTROL / 4, this.controlAt(i));
    this.words[head + MSGHDR_CONTROL_LENGTH / 4] = byteLength;
  }

  setControlRoom(i: number, byteLength: number): void {
    this.words[i * HEAD_WORDS + MSGHDR_CONTROL_LENGTH / 4] = byteLength;
  }

  /** `at`: bytes from the start of the region. */
  setPayload(i: number, at: number, byteLength: number): void {
    const vector = this.#vectorsAt / 4 + i * VECTOR_WORDS;
    this.#putAddress(vector + IOVEC_BASE / 4, at);
    this.words[vector + IOVEC_LENGTH / 4] = byteLength;
  }

  setPayloadLength(i: number, byteLength: number): void {
    this.words[this.#vectorsAt / 4 + i * VECTOR_WORDS + IOVEC_LENGTH / 4] = byteLength;
  }

  payloadOffset(i: number): number {
    const vector = this.#vectorsAt / 4 + i * VECTOR_WORDS;
    const low = this.words[vector + IOVEC_BASE / 4] >>> 0;
    return (this.words[vector + IOVEC_BASE / 4 + 1] >>> 0) * WORD + low - this.region.address;
  }

  payloadLength(i: number): number {
    return this.words[this.#vectorsAt / 4 + i * VECTOR_WORDS + IOVEC_LENGTH / 4];
  }

  nameLength(i: number): number {
    return this.words[i * HEAD_WORDS + MSGHDR_NAME_LENGTH / 4];
  }

  controlLength(i: number): number {
    return this.words[i * HEAD_WORDS + MSGHDR_CONTROL_LENGTH / 4];
  }

  flags(i: number): number {
    return this.words[i * HEAD_WORDS + MSGHDR_FLAGS / 4];
  }

  /** What the call that received or sent message `i` said. */
  length(i: number): number {
    return this.words[i * HEAD_WORDS + MMSGHDR_LENGTH / 4];
  }

  #putAddress(word: number, offset: number): void {
    const address = this.region.address + offset;
    const high = Math.floor(address / WORD);
    this.words[word] = address - high * WORD;
    this.words[word + 1] = high;
  }
}
