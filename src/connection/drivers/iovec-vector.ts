/**
 * The SendVector of drivers that send with iovecs: an array of (address, length) in off-heap memory, bounded by
 * IOV_MAX, reused for every send. Made by a driver, filled by `gather`.
 */

import { ENODATA } from '../../base/errno.js';
import type { Kernel, Region } from '../../base/kernel.js';
import { IOV_MAX } from '../../base/linux.js';
import { takeRegion } from '../../base/region-cache.js';
import type { SendVector } from '../driver.js';

const IOVEC_BYTES = 16;
const WORD = 0x1_0000_0000;

export class IovecVector implements SendVector {
  readonly region: Region;
  readonly #kernel: Pick<Kernel, 'addressOf' | 'sendAt' | 'sendVector' | 'sendFile'>;
  readonly #words: Uint32Array;
  count = 0;
  byteLength = 0;
  /** The file of which a part is to be sent; -1: it is memory. */
  #file = -1;
  #offset = 0;

  constructor(
    kernel: Pick<
      Kernel,
      'allocate' | 'release' | 'addressOf' | 'sendAt' | 'sendVector' | 'sendFile'
    >,
  ) {
    this.#kernel = kernel;
    this.region = takeRegion(kernel, IOV_MAX * IOVEC_BYTES);
    const { buffer, byteOffset, length: byteLength } = this.region.bytes;
    this.#words = new Uint32Array(buffer, byteOffset, byteLength / 4);
  }

  reset(): void {
    this.count = 0;
    this.byteLength = 0;
    this.#file = -1;
  }

  append(address: number, byteLength: number): boolean {
    if (this.count === IOV_MAX) {
      return false;
    }
    const words = this.#words;
    const i = this.count * 4;
    words[i] = address % WORD;
    words[i + 1] = (address / WORD) | 0;
    words[i + 2] = byteLength;
    words[i + 3] = (byteLength / WORD) | 0;
    this.count += 1;
    this.byteLength += byteLength;
    return true;
  }

  /**
   * The address is used in the same call that gathers, before anything can move or free the array: the queue holds it.
   */
  appendBytes(bytes: Uint8Array): boolean {
    if (this.count === IOV_MAX) {
      return false;
    }
    return this.append(this.#kernel.addressOf(bytes), bytes.length);
  }

  appendFile(file: number, offset: number, byteLength: number): boolean {
    if (this.count > 0) {
      return false;
    }
    this.#file = file;
    this.#offset = offset;
    this.count = 1;
    this.byteLength = byteLength;
    return true;
  }

  /** Sends what was appended; the call without iovecs when it is one range. n bytes or -errno. */
  send(fd: number): number {
    if (this.#file >= 0) {
      const n = this.#kernel.sendFile(fd, this.#file, this.#offset, this.byteLength);
      return n === 0 ? -ENODATA : n;
    }
    if (this.count === 1) {
      const address = this.#words[1] * WORD + this.#words[0];
      return this.#kernel.sendAt(fd, address, this.byteLength);
    }
    return this.#kernel.sendVector(fd, this.region, this.count);
  }
}
