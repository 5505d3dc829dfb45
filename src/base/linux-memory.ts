/**
 * Off-heap memory of the real kernel: malloc'ed regions with a view, and the scratch memory in which a thread's kernels
 * pass small structures to system calls.
 */

import { type Libc, viewMemory } from './ffi.js';
import type { Region } from './kernel.js';

/** More than this in one call would not fit the 32-bit lengths of our prototypes. */
export const CALL_BYTES_MAX = 0x4000_0000;
const SCRATCH_BYTES = 4096;

/** Places in the scratch memory. */
export const DATA_OFFSET = 64;
export const MESSAGE_OFFSET = 2048;
export const MESSAGE_WORDS = 14;
export const SCRATCH_DATA_BYTES = MESSAGE_OFFSET - DATA_OFFSET;

let threadScratch: Region | undefined;

/** One scratch region for each thread, for ever: kernels come and go with their reactors. */
export function scratchOfThread(libc: Libc): Region {
  threadScratch ??= allocateRegion(libc, SCRATCH_BYTES);
  return threadScratch;
}

export function allocateRegion(libc: Libc, byteLength: number): Region {
  if (!Number.isInteger(byteLength) || byteLength <= 0 || byteLength > CALL_BYTES_MAX) {
    throw new RangeError(`Cannot allocate ${byteLength} bytes: expected 1 to ${CALL_BYTES_MAX}`);
  }
  const address = libc.calloc(1, byteLength);
  if (address === 0) {
    throw new RangeError(`Cannot allocate ${byteLength} bytes: out of memory`);
  }
  return { address, bytes: Buffer.from(viewMemory(address, byteLength)) };
}

export function wordsOf(region: Region): Int32Array {
  return new Int32Array(region.bytes.buffer, region.bytes.byteOffset, region.bytes.length / 4);
}
