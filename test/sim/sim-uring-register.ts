/**
 * io_uring_setup(2) and io_uring_register(2) of the simulated kernel: the checks of their arguments, and what is
 * registered. Called by sim-kernel.ts.
 */

import {
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  EMFILE,
  ENOENT,
  ENOMEM,
  ENXIO,
} from '../../src/base/errno.js';
import type { Ring } from '../../src/base/kernel.js';
import * as uring from '../../src/base/uring.js';
import { SimEventfd } from './sim-descriptors.js';
import { SimRing } from './sim-uring.js';
import { BufferGroup } from './sim-uring-buffers.js';
import { MODELLED_OPERATIONS, OP_LAST, readAddress } from './sim-uring-entry.js';
import { RingFiles } from './sim-uring-files.js';
import type { SimWorld } from './sim-world.js';

const PAGE_BYTES = 4096;
const SQ_ENTRIES_MAX = 32_768;
const FIXED_FILES_MAX = 1 << 20;
const MODELLED_SETUP =
  uring.SETUP_CQSIZE |
  uring.SETUP_SUBMIT_ALL |
  uring.SETUP_COOP_TASKRUN |
  uring.SETUP_TASKRUN_FLAG |
  uring.SETUP_SINGLE_ISSUER |
  uring.SETUP_DEFER_TASKRUN;

/** A thread is gone: its rings end what they do. */
export function leaveRings(world: SimWorld, thread: number): void {
  for (const user of world.memory.users) {
    if (user instanceof SimRing && user.thread === thread) user.leave();
  }
}

/** A ring that no descriptor names yet, or -errno. */
export function createRing(
  world: SimWorld,
  thread: number,
  name: string,
  sqEntries: number,
  cqEntries: number,
  flags: number,
): SimRing | number {
  const lengths = checkSetup(sqEntries, cqEntries, flags);
  if (typeof lengths === 'number') return lengths;
  if (world.faults.hit('regionNoMemory')) return -ENOMEM;
  return new SimRing({ world, thread, name, flags, ...lengths });
}

/** Checks what must hold when a program closes its ring and unmaps it. */
export function checkClose(world: SimWorld, thread: string, ring: Ring): void {
  const file = world.table.find(ring.fd, thread, 'ringClose');
  if (!(file instanceof SimRing)) {
    world.violations.note(`${thread}: ringClose of descriptor ${ring.fd}, which is no ring`);
    return;
  }
  if (file.requests.size === 0) return;
  const list = [...file.requests].map(({ entry }) => `operation ${entry.opcode}`).join(', ');
  world.violations.note(`${file.name}: closed with requests under way: ${list}`);
}

/** The lengths of the queues that Linux makes of those asked for, or -errno. */
function checkSetup(
  sqEntries: number,
  cqEntries: number,
  flags: number,
): { sqEntries: number; cqEntries: number } | number {
  if ((flags & ~MODELLED_SETUP) !== 0) return -EINVAL;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const isDeferred = has(uring.SETUP_DEFER_TASKRUN);
  if (isDeferred && !has(uring.SETUP_SINGLE_ISSUER)) return -EINVAL;
  if (has(uring.SETUP_TASKRUN_FLAG) && !isDeferred && !has(uring.SETUP_COOP_TASKRUN)) {
    return -EINVAL;
  }
  if (sqEntries <= 0 || sqEntries > SQ_ENTRIES_MAX) return -EINVAL;
  if (cqEntries <= 0 || cqEntries > 2 * SQ_ENTRIES_MAX) return -EINVAL;
  const lengths = { sqEntries: powerOfTwo(sqEntries), cqEntries: powerOfTwo(cqEntries) };
  return lengths.cqEntries < lengths.sqEntries ? -EINVAL : lengths;
}

export function register(
  ring: SimRing,
  thread: number,
  operation: number,
  argument: Uint8Array | undefined,
  count: number,
): number {
  if (thread !== ring.thread) return -EEXIST;
  const bytes = argument === undefined ? Buffer.alloc(0) : asBuffer(argument);
  switch (operation) {
    case uring.REGISTER_EVENTFD:
      return registerEventfd(ring, bytes, count);
    case uring.UNREGISTER_EVENTFD:
      if (argument !== undefined || count !== 0) return -EINVAL;
      if (ring.queues.eventfd === undefined) return -ENXIO;
      ring.queues.eventfd = undefined;
      return 0;
    case uring.REGISTER_PROBE:
      return probe(bytes, count);
    case uring.REGISTER_FILES2:
      return registerFiles(ring, bytes, count);
    case uring.REGISTER_PBUF_RING:
      return registerBuffers(ring, bytes, count);
    case uring.UNREGISTER_PBUF_RING: {
      if (count !== 1 || bytes.length < uring.BUF_REG_SIZE) return -EINVAL;
      return ring.groups.delete(bytes.readUInt16LE(uring.BUF_REG_GROUP)) ? 0 : -ENOENT;
    }
    default:
      ring.world.violations.note(`${ring.name}: register ${operation} is not modelled`);
      return -EINVAL;
  }
}

function registerEventfd(ring: SimRing, bytes: Buffer, count: number): number {
  if (count !== 1) return -EINVAL;
  if (bytes.length < 4) return -EFAULT;
  if (ring.queues.eventfd !== undefined) return -EBUSY;
  const file = ring.world.table.find(bytes.readInt32LE(), ring.name, 'registering an eventfd');
  if (file === undefined) return -EBADF;
  if (!(file instanceof SimEventfd)) return -EINVAL;
  ring.queues.eventfd = file;
  return 0;
}

function probe(bytes: Buffer, count: number): number {
  if (count > 256) return -EINVAL;
  const n = Math.min(count, OP_LAST);
  const byteLength = uring.PROBE_HEADER + n * uring.PROBE_OP_SIZE;
  if (bytes.length < byteLength) return -EFAULT;
  if (bytes.subarray(0, byteLength).some((byte) => byte !== 0)) return -EINVAL;
  bytes[0] = OP_LAST - 1;
  bytes[1] = n;
  for (let i = 0; i < n; i++) {
    const at = uring.PROBE_HEADER + i * uring.PROBE_OP_SIZE;
    bytes[at] = i;
    const flags = MODELLED_OPERATIONS.has(i) ? uring.OP_SUPPORTED : 0;
    bytes.writeUInt16LE(flags, at + uring.PROBE_OP_FLAGS);
  }
  return 0;
}

function registerFiles(ring: SimRing, bytes: Buffer, count: number): number {
  if (count !== uring.RSRC_REGISTER_SIZE || bytes.length < count) return -EINVAL;
  const size = bytes.readUInt32LE(0);
  const flags = bytes.readUInt32LE(4);
  if (size === 0 || flags !== uring.RSRC_REGISTER_SPARSE) return -EINVAL;
  if (bytes.subarray(8).some((byte) => byte !== 0)) return -EINVAL;
  if (ring.files !== undefined) return -EBUSY;
  if (size > FIXED_FILES_MAX || size > ring.world.shape.descriptorLimit) return -EMFILE;
  ring.files = new RingFiles(size);
  return 0;
}

function registerBuffers(ring: SimRing, bytes: Buffer, count: number): number {
  if (count !== 1 || bytes.length < uring.BUF_REG_SIZE) return -EINVAL;
  if (bytes.subarray(16, uring.BUF_REG_SIZE).some((byte) => byte !== 0)) return -EINVAL;
  const address = readAddress(bytes, uring.BUF_REG_ADDRESS);
  const entries = bytes.readUInt32LE(uring.BUF_REG_ENTRIES);
  const group = bytes.readUInt16LE(uring.BUF_REG_GROUP);
  const flags = bytes.readUInt16LE(uring.BUF_REG_FLAGS);
  if ((flags & ~uring.PBUF_RING_INC) !== 0) return -EINVAL;
  if (powerOfTwo(entries) !== entries || entries >= 65_536) return -EINVAL;
  if (ring.groups.has(group)) return -EEXIST;
  if (address === 0) return -EFAULT;
  if (address % PAGE_BYTES !== 0) return -EINVAL;
  const isIncremental = (flags & uring.PBUF_RING_INC) !== 0;
  ring.groups.set(group, new BufferGroup(ring.world, ring.name, address, entries, isIncremental));
  return 0;
}

function powerOfTwo(n: number): number {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
