/** Regions of the C heap, and the scratch memory that kernels of a thread share. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { loadLibc } from '../../src/base/ffi.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import {
  allocateRegion,
  DATA_OFFSET,
  MESSAGE_OFFSET,
  MESSAGE_WORDS,
  SCRATCH_DATA_BYTES,
  scratchOfThread,
  wordsOf,
} from '../../src/base/linux-memory.js';

const libc = loadLibc();

it('all of a region is writable, and regions do not overlap', () => {
  const regions = [1, 7, 4_096, 1_000_000].map((byteLength) => allocateRegion(libc, byteLength));
  for (const [i, { bytes }] of regions.entries()) {
    bytes.fill(i + 1);
  }
  for (const [i, { address, bytes }] of regions.entries()) {
    assert.ok(bytes.every((byte) => byte === i + 1));
    libc.free(address);
  }
});

it('allocateRegion() throws for a size that cannot be', () => {
  for (const byteLength of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
    assert.throws(() => allocateRegion(libc, byteLength), RangeError);
  }
});

it('wordsOf() views the whole words of a region, and writes to it', () => {
  const region = allocateRegion(libc, 11);
  const words = wordsOf(region);
  assert.equal(words.length, 2);
  words[1] = 0x04030201;
  assert.deepEqual([...region.bytes.subarray(4, 8)], [1, 2, 3, 4]);
  libc.free(region.address);
});

it('all kernels of a thread have one scratch region', () => {
  const scratch = scratchOfThread(libc);
  assert.equal(scratchOfThread(libc), scratch);
  assert.ok(new LinuxKernel().now() > 0);
  assert.ok(scratch.bytes.subarray(0, 16).some((byte) => byte !== 0));
});

it('the places in the scratch memory do not overlap', () => {
  const scratch = scratchOfThread(libc);
  assert.ok(DATA_OFFSET >= 16, 'room for the structures at the start');
  assert.equal(DATA_OFFSET + SCRATCH_DATA_BYTES, MESSAGE_OFFSET);
  assert.ok(MESSAGE_OFFSET + MESSAGE_WORDS * 4 <= scratch.bytes.byteLength);
});
