/**
 * Makes rings with what the kernel at hand can, and says what that is. The newest way of working is asked for first;
 * a kernel that does not know it answers EINVAL.
 */

import type { Kernel, Ring } from '../../base/kernel.js';
import * as uring from '../../base/uring.js';
import { UringBuffers } from './uring-buffers.js';

/** Features, from a probe; each can be switched off for measurements and tests. */
export interface UringFeatures {
  /** 6.1: completions are made when this thread asks for them, and at no other time. */
  readonly deferredWork: boolean;
  /** 6.0: one submission receives until it is cancelled. */
  readonly multishotReceive: boolean;
  /** 6.12: receives share a buffer. */
  readonly incrementalBuffers: boolean;
  /** 6.8: descriptors in the ring's own table, with options and addresses. */
  readonly directDescriptors: boolean;
}

const COMMON = uring.SETUP_SUBMIT_ALL;
const DEFERRED =
  COMMON |
  uring.SETUP_SINGLE_ISSUER |
  uring.SETUP_DEFER_TASKRUN |
  uring.SETUP_COOP_TASKRUN |
  uring.SETUP_TASKRUN_FLAG;
const COOPERATIVE = COMMON | uring.SETUP_COOP_TASKRUN | uring.SETUP_TASKRUN_FLAG;

const PROBED_OPERATIONS = 64;
const SMALL_RING = 4;
const PROBE_BUFFER_BYTES = 4_096;

/** A ring as good as the features allow, or -errno. */
export function createRing(
  kernel: Kernel,
  sqEntries: number,
  cqEntries: number,
  features: UringFeatures,
): Ring | number {
  return kernel.ringCreate(sqEntries, cqEntries, features.deferredWork ? DEFERRED : COOPERATIVE);
}

/**
 * What io_uring can do here, or why it cannot be used: ENOSYS where the kernel has none, EPERM where it is forbidden
 * (kernel.io_uring_disabled, seccomp), EINVAL before Linux 5.19.
 */
export function probeUring(kernel: Kernel): UringFeatures | number {
  const ring = kernel.ringCreate(SMALL_RING, SMALL_RING * 2, COOPERATIVE);
  if (typeof ring === 'number') {
    return ring;
  }
  const operations = probeOperations(kernel, ring.fd);
  kernel.ringClose(ring);
  if (typeof operations === 'number') {
    return operations;
  }
  const deferred = kernel.ringCreate(SMALL_RING, SMALL_RING * 2, DEFERRED);
  let hasIncremental = false;
  if (typeof deferred !== 'number') {
    hasIncremental = probeIncremental(kernel, deferred.fd);
    kernel.ringClose(deferred);
  }
  return {
    deferredWork: typeof deferred !== 'number',
    // Multishot receive cannot be asked for by itself; zero-copy send came with the same release.
    multishotReceive: operations.has(uring.OP_SEND_ZC),
    incrementalBuffers: hasIncremental,
    directDescriptors: operations.has(uring.OP_FIXED_FD_INSTALL),
  };
}

function probeIncremental(kernel: Kernel, fd: number): boolean {
  const buffers = UringBuffers.create(kernel, fd, { count: 2, size: PROBE_BUFFER_BYTES }, true);
  if (typeof buffers === 'number') {
    return false;
  }
  buffers.release();
  return buffers.isIncremental;
}

function probeOperations(kernel: Kernel, fd: number): Set<number> | number {
  const bytes = new Uint8Array(uring.PROBE_HEADER + PROBED_OPERATIONS * uring.PROBE_OP_SIZE);
  const n = kernel.ringRegister(fd, uring.REGISTER_PROBE, bytes, PROBED_OPERATIONS);
  if (n < 0) {
    return n;
  }
  const known = new Set<number>();
  for (let i = 0; i < PROBED_OPERATIONS; i += 1) {
    const at = uring.PROBE_HEADER + i * uring.PROBE_OP_SIZE;
    if ((bytes[at + uring.PROBE_OP_FLAGS] & uring.OP_SUPPORTED) !== 0) {
      known.add(i);
    }
  }
  return known;
}
