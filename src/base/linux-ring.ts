/**
 * io_uring's three calls, and the mapping of a ring's memory. Used by linux-kernel.ts, which keeps the books of
 * descriptors. Each answers n >= 0 or -errno.
 */

import { EINTR, ENOSYS } from './errno.js';
import { errno, type Libc, viewMemory } from './ffi.js';
import type { Region, Ring } from './kernel.js';
import * as uring from './uring.js';

const PROT_READ_WRITE = 3;
/** MAP_SHARED | MAP_POPULATE: the rings are in use from the first turn on. */
const MAP_FLAGS = 0x8001;

// Words of the two tables of offsets (struct io_sqring_offsets, io_cqring_offsets).
const HEAD = 0;
const TAIL = 1;
const SQ_FLAGS = 4;
const SQ_ARRAY = 6;
const CQ_CQES = 5;
const CQ_FLAGS = 6;

/** A ring, mapped, with the submission array in order. `params` is zeroed scratch memory. */
export function createRing(
  libc: Libc,
  params: Region,
  sqEntries: number,
  cqEntries: number,
  flags: number,
): Ring | number {
  params.bytes.fill(0, 0, uring.PARAMS_SIZE);
  params.bytes.writeUInt32LE(flags | uring.SETUP_CQSIZE, uring.PARAMS_FLAGS);
  params.bytes.writeUInt32LE(cqEntries, uring.PARAMS_CQ_ENTRIES);
  const fd = libc.ringSetup(uring.SYS_IO_URING_SETUP, sqEntries, params.address);
  if (fd < 0) {
    return -errno();
  }
  const ring = mapRing(libc, fd, params.bytes);
  if (typeof ring === 'number') {
    libc.close(fd);
  }
  return ring;
}

function mapRing(libc: Libc, fd: number, params: Buffer): Ring | number {
  const features = params.readUInt32LE(uring.PARAMS_FEATURES);
  if ((features & (uring.FEAT_SINGLE_MMAP | uring.FEAT_NODROP)) !== 3) {
    return -ENOSYS;
  }
  const sqEntries = params.readUInt32LE(uring.PARAMS_SQ_ENTRIES);
  const cqEntries = params.readUInt32LE(uring.PARAMS_CQ_ENTRIES);
  const sq = (word: number): number => params.readUInt32LE(uring.PARAMS_SQ_OFFSETS + 4 * word);
  const cq = (word: number): number => params.readUInt32LE(uring.PARAMS_CQ_OFFSETS + 4 * word);
  const ringBytes = Math.max(
    sq(SQ_ARRAY) + sqEntries * 4,
    cq(CQ_CQES) + cqEntries * uring.CQE_SIZE,
  );
  const rings = map(libc, fd, ringBytes, uring.MMAP_OFFSET_RINGS);
  if (typeof rings === 'number') {
    return rings;
  }
  const sqes = map(libc, fd, sqEntries * uring.SQE_SIZE, uring.MMAP_OFFSET_SQES);
  if (typeof sqes === 'number') {
    unmap(libc, rings);
    return sqes;
  }
  for (let i = 0; i < sqEntries; i += 1) {
    rings.bytes.writeUInt32LE(i, sq(SQ_ARRAY) + 4 * i);
  }
  return {
    fd,
    sqEntries,
    cqEntries,
    rings,
    sqes,
    sqHead: sq(HEAD),
    sqTail: sq(TAIL),
    sqFlags: sq(SQ_FLAGS),
    cqHead: cq(HEAD),
    cqTail: cq(TAIL),
    cqFlags: cq(CQ_FLAGS),
    cqes: cq(CQ_CQES),
  };
}

export function enterRing(libc: Libc, fd: number, count: number, flags: number): number {
  const n = libc.ringEnter(uring.SYS_IO_URING_ENTER, fd, count, 0, flags, 0, 0);
  if (n >= 0) {
    return n;
  }
  const code = errno();
  // Interrupted before anything was done: the caller enters again in its next turn.
  return code === EINTR ? 0 : -code;
}

export function registerRing(
  libc: Libc,
  fd: number,
  operation: number,
  argument: Uint8Array | undefined,
  count: number,
): number {
  const n = libc.ringRegister(uring.SYS_IO_URING_REGISTER, fd, operation, argument ?? null, count);
  return n < 0 ? -errno() : n;
}

/** The descriptor is closed already. */
export function unmapRing(libc: Libc, ring: Ring): void {
  unmap(libc, ring.sqes);
  unmap(libc, ring.rings);
}

function map(libc: Libc, fd: number, byteLength: number, offset: number): Region | number {
  const address = libc.mmap(0, byteLength, PROT_READ_WRITE, MAP_FLAGS, fd, offset);
  if (address < 0) {
    return -errno();
  }
  return { address, bytes: Buffer.from(viewMemory(address, byteLength)) };
}

function unmap(libc: Libc, region: Region): void {
  libc.munmap(region.address, region.bytes.length);
}
