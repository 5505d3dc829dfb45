/**
 * A program on one io_uring, for tests: writes submissions, enters, and takes completions, on any kernel. The scripts
 * of the differential test log what it takes as text; what differs between kernels (descriptors, ports) is left out.
 */

import type { Kernel, Region, Ring } from '../../src/base/kernel.js';
import * as uring from '../../src/base/uring.js';
import {
  CQE_F_SOCK_NONEMPTY,
  type Submission,
  writeAddress,
  writeSubmission,
} from './sim-uring-entry.js';

export const DEFERRED =
  uring.SETUP_SUBMIT_ALL |
  uring.SETUP_SINGLE_ISSUER |
  uring.SETUP_DEFER_TASKRUN |
  uring.SETUP_COOP_TASKRUN |
  uring.SETUP_TASKRUN_FLAG;
export const COOPERATIVE =
  uring.SETUP_SUBMIT_ALL | uring.SETUP_COOP_TASKRUN | uring.SETUP_TASKRUN_FLAG;

const PAGE_BYTES = 4096;

export interface Completion {
  readonly user: number;
  readonly result: number;
  readonly flags: number;
}

export class RingRig {
  readonly kernel: Kernel;
  readonly ring: Ring;
  readonly #regions: Region[] = [];
  #pending = 0;

  constructor(kernel: Kernel, sqEntries = 64, cqEntries = 128, flags = DEFERRED) {
    this.kernel = kernel;
    const ring = kernel.ringCreate(sqEntries, cqEntries, flags);
    if (typeof ring === 'number') throw new Error(`ringCreate: ${ring}`);
    this.ring = ring;
  }

  /** Memory that is released with the rig. */
  memory(byteLength: number): Region {
    const region = this.kernel.allocate(byteLength);
    this.#regions.push(region);
    return region;
  }

  /** Cancels what is left, so that nothing is under way, and closes. */
  close(): void {
    const { OP_ASYNC_CANCEL, ASYNC_CANCEL_ALL, ASYNC_CANCEL_ANY } = uring;
    const opFlags = ASYNC_CANCEL_ALL | ASYNC_CANCEL_ANY;
    this.add({ opcode: OP_ASYNC_CANCEL, fd: -1, opFlags, userLow: 0xffff });
    for (let i = 0; i < 50; i++) {
      this.enter();
      this.take();
    }
    this.kernel.ringClose(this.ring);
    for (const region of this.#regions) this.kernel.release(region);
  }

  /** Writes one submission, to be submitted by the next enter. */
  add(fields: Partial<Submission>): void {
    const { ring } = this;
    const words = ring.rings.bytes;
    const tail = words.readUInt32LE(ring.sqTail);
    writeSubmission(ring.sqes.bytes, (tail & (ring.sqEntries - 1)) * uring.SQE_SIZE, fields);
    words.writeUInt32LE((tail + 1) >>> 0, ring.sqTail);
    this.#pending++;
  }

  /** Submits what was added; brings completions only with ENTER_GETEVENTS. */
  enter(flags = uring.ENTER_GETEVENTS, count = this.#pending): number {
    const n = this.kernel.ringEnter(this.ring.fd, count, flags);
    if (n > 0) this.#pending -= n;
    return n;
  }

  /** Takes all completions that are in the queue. */
  take(most = Number.POSITIVE_INFINITY): Completion[] {
    const { ring } = this;
    const words = ring.rings.bytes;
    const list: Completion[] = [];
    let head = words.readUInt32LE(ring.cqHead);
    while (head !== words.readUInt32LE(ring.cqTail) && list.length < most) {
      const at = ring.cqes + (head & (ring.cqEntries - 1)) * uring.CQE_SIZE;
      list.push({
        user: words.readUInt32LE(at),
        result: words.readInt32LE(at + 8),
        flags: words.readUInt32LE(at + 12),
      });
      head = (head + 1) >>> 0;
    }
    words.writeUInt32LE(head, ring.cqHead);
    return list;
  }

  /** The flags that the kernel shows in the submission queue. */
  get sqFlags(): string {
    const flags = this.ring.rings.bytes.readUInt32LE(this.ring.sqFlags);
    const names: string[] = [];
    if ((flags & uring.SQ_TASKRUN) !== 0) names.push('work');
    if ((flags & uring.SQ_CQ_OVERFLOW) !== 0) names.push('overflow');
    return names.join(' ');
  }

  mute(isMuted: boolean): void {
    const flags = isMuted ? uring.CQ_EVENTFD_DISABLED : 0;
    this.ring.rings.bytes.writeUInt32LE(flags, this.ring.cqFlags);
  }

  registerEventfd(fd: number): number {
    const bytes = new Uint8Array(Int32Array.of(fd).buffer);
    return this.kernel.ringRegister(this.ring.fd, uring.REGISTER_EVENTFD, bytes, 1);
  }

  registerFiles(size: number): number {
    const bytes = Buffer.alloc(uring.RSRC_REGISTER_SIZE);
    bytes.writeUInt32LE(size, 0);
    bytes.writeUInt32LE(uring.RSRC_REGISTER_SPARSE, 4);
    const { fd } = this.ring;
    return this.kernel.ringRegister(fd, uring.REGISTER_FILES2, bytes, bytes.length);
  }

  /** A group of provided buffers, none of them given to the kernel yet. */
  group(id: number, entries: number, size: number, flags = 0): BufferRig {
    return new BufferRig(this, id, entries, size, flags);
  }
}

export class BufferRig {
  readonly result: number;
  readonly memory: Region;
  readonly size: number;
  readonly #ring: Region;
  readonly #first: number;
  readonly #entries: number;
  #tail = 0;

  constructor(rig: RingRig, id: number, entries: number, size: number, flags: number) {
    this.size = size;
    this.#entries = entries;
    this.memory = rig.memory(entries * size);
    this.#ring = rig.memory(PAGE_BYTES + entries * uring.BUF_SIZE);
    this.#first = (PAGE_BYTES - (this.#ring.address % PAGE_BYTES)) % PAGE_BYTES;
    const bytes = Buffer.alloc(uring.BUF_REG_SIZE);
    writeAddress(bytes, uring.BUF_REG_ADDRESS, this.#ring.address + this.#first);
    bytes.writeUInt32LE(entries, uring.BUF_REG_ENTRIES);
    bytes.writeUInt16LE(id, uring.BUF_REG_GROUP);
    bytes.writeUInt16LE(flags, uring.BUF_REG_FLAGS);
    this.result = rig.kernel.ringRegister(rig.ring.fd, uring.REGISTER_PBUF_RING, bytes, 1);
  }

  /** Gives the buffer with this number to the kernel. */
  give(...ids: number[]): void {
    const { bytes } = this.#ring;
    for (const id of ids) {
      const at = this.#first + (this.#tail & (this.#entries - 1)) * uring.BUF_SIZE;
      writeAddress(bytes, at, this.memory.address + id * this.size);
      bytes.writeUInt32LE(this.size, at + 8);
      bytes.writeUInt16LE(id, at + 12);
      this.#tail = (this.#tail + 1) & 0xffff;
    }
    bytes.writeUInt16LE(this.#tail, this.#first + uring.BUF_TAIL);
  }

  text(id: number, byteLength: number, offset = 0): string {
    const start = id * this.size + offset;
    return this.memory.bytes.toString('latin1', start, start + byteLength);
  }
}

/** A completion as text: user data, result, flags by name. A descriptor is written as such. */
export function format(completion: Completion, isDescriptor = false): string {
  const { user, result, flags } = completion;
  const parts = [`${user}`, isDescriptor && result >= 0 ? 'fd' : `${result}`];
  if ((flags & uring.CQE_F_BUFFER) !== 0) parts.push(`buffer ${flags >>> uring.CQE_BUFFER_SHIFT}`);
  if ((flags & uring.CQE_F_BUF_MORE) !== 0) parts.push('goes on');
  if ((flags & CQE_F_SOCK_NONEMPTY) !== 0) parts.push('nonempty');
  if ((flags & uring.CQE_F_MORE) !== 0) parts.push('more');
  return parts.join(' ');
}
