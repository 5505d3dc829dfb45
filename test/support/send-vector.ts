/** A send vector for tests: ranges are looked up by address, as the kernel does when the send is carried out. */

import assert from 'node:assert/strict';
import type { SendVector } from '../../src/connection/driver.js';
import type { MemoryKernel } from './memory-kernel.js';

export class FakeVector implements SendVector {
  count = 0;
  byteLength = 0;
  readonly ranges: Uint8Array[] = [];
  file: { file: number; offset: number; byteLength: number } | undefined;
  readonly kernel: MemoryKernel;
  readonly countMax: number;

  constructor(kernel: MemoryKernel, countMax = 1024) {
    this.kernel = kernel;
    this.countMax = countMax;
  }

  append(address: number, byteLength: number): boolean {
    return this.appendBytes(this.kernel.bytesAt(address, byteLength));
  }

  appendBytes(bytes: Uint8Array): boolean {
    if (this.count === this.countMax) {
      return false;
    }
    assert.ok(bytes.length > 0);
    this.count += 1;
    this.byteLength += bytes.length;
    this.ranges.push(bytes);
    return true;
  }

  appendFile(file: number, offset: number, byteLength: number): boolean {
    if (this.count > 0) {
      return false;
    }
    this.count = 1;
    this.byteLength = byteLength;
    this.file = { file, offset, byteLength };
    return true;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.ranges);
  }
}
