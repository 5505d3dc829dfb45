/** What the real kernel does to, and says of, this process and its threads. Used by linux-kernel.ts. */

import { errno, type Libc } from './ffi.js';
import type { Region } from './kernel.js';
import * as linux from './linux.js';
import { DATA_OFFSET, wordsOf } from './linux-memory.js';

const CPU_MASK_BYTES = 128;
const UNLIMITED = 0x7fff_ffff;

/** Soft limit of open descriptors. */
export function descriptorLimit(libc: Libc, scratch: Region): number {
  const n = libc.getrlimit(linux.RLIMIT_NOFILE, scratch.address);
  const words = wordsOf(scratch);
  return n < 0 || words[1] !== 0 ? UNLIMITED : words[0] >>> 0;
}

/** Pins the calling thread to one CPU. 0 or -errno; throws RangeError for what is no CPU's number. */
export function pinThread(libc: Libc, scratch: Region, cpu: number): number {
  if (!Number.isInteger(cpu) || cpu < 0 || cpu >= CPU_MASK_BYTES * 8) {
    throw new RangeError(
      `Cannot pin a thread to CPU ${cpu}: expected 0 to ${CPU_MASK_BYTES * 8 - 1}`,
    );
  }
  const mask = scratch.bytes.subarray(DATA_OFFSET, DATA_OFFSET + CPU_MASK_BYTES);
  mask.fill(0);
  mask[cpu >> 3] = 1 << (cpu & 7);
  const n = libc.sched_setaffinity(0, CPU_MASK_BYTES, scratch.address + DATA_OFFSET);
  return n < 0 ? -errno() : n;
}
