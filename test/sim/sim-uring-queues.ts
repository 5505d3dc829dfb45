/**
 * The memory that a simulated io_uring shares with the program: both queues with their heads, tails and flags, used as
 * io_uring(7) says. Heads and tails run through all 32 bits; who reads masks them. Completions that find the queue full
 * wait aside in order, as io_uring.c keeps them since IORING_FEAT_NODROP. Used by sim-uring.ts.
 */

import type { Region } from '../../src/base/kernel.js';
import {
  CQ_EVENTFD_DISABLED,
  CQE_SIZE,
  SQ_CQ_OVERFLOW,
  SQ_TASKRUN,
  SQE_SIZE,
} from '../../src/base/uring.js';
import type { SimEventfd } from './sim-descriptors.js';
import { readSubmission, type Submission } from './sim-uring-entry.js';
import type { SimWorld } from './sim-world.js';

/** Offsets of the words, each on a cache line of its own. */
export const SQ_HEAD = 0;
export const SQ_TAIL = 64;
export const SQ_FLAGS = 128;
export const CQ_HEAD = 192;
export const CQ_TAIL = 256;
export const CQ_FLAGS = 320;
export const CQES = 384;

interface Completion {
  readonly userLow: number;
  readonly userHigh: number;
  readonly result: number;
  readonly flags: number;
}

export class RingQueues {
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly rings: Region;
  readonly sqes: Region;
  readonly #world: SimWorld;
  readonly #thread: number;
  readonly #name: string;
  readonly #words: Buffer;
  /** The kernel's own copies: it does not believe what stands in shared memory. */
  #sqHead: number;
  #cqTail: number;
  #signalledTail: number;
  #isSignalSpent = false;
  #eventfd: SimEventfd | undefined;
  #overflow: Completion[] = [];

  /** `start` is where the queues' heads and tails begin: 0 on Linux. */
  constructor(
    world: SimWorld,
    thread: number,
    name: string,
    sqEntries: number,
    cqEntries: number,
    start: number,
  ) {
    this.#world = world;
    this.#thread = thread;
    this.#name = name;
    this.sqEntries = sqEntries;
    this.cqEntries = cqEntries;
    this.rings = world.memory.map(CQES + cqEntries * CQE_SIZE);
    this.sqes = world.memory.map(sqEntries * SQE_SIZE);
    this.#words = this.rings.bytes;
    this.#sqHead = start;
    this.#cqTail = start;
    this.#signalledTail = start;
    for (const at of [SQ_HEAD, SQ_TAIL, CQ_HEAD, CQ_TAIL]) this.#words.writeUInt32LE(start, at);
  }

  /** The program lets go of the memory. */
  unmap(): void {
    this.#world.memory.unmap(this.rings);
    this.#world.memory.unmap(this.sqes);
  }

  /** Submissions that the program has published and the kernel has not read. */
  get published(): number {
    const n = (this.#words.readUInt32LE(SQ_TAIL) - this.#sqHead) >>> 0;
    if (n > this.sqEntries) {
      this.#world.violations.fail(
        `${this.#name}: the submission queue of ${this.sqEntries} has a tail ${n} ahead of its head`,
      );
    }
    return n;
  }

  /** Takes the next submission. */
  take(): Submission {
    const at = (this.#sqHead & (this.sqEntries - 1)) * SQE_SIZE;
    const submission = readSubmission(this.sqes.bytes, at);
    this.#sqHead = (this.#sqHead + 1) >>> 0;
    return submission;
  }

  /** Tells the program what was read. Until then it may not write over it. */
  publishHead(): void {
    this.#words.writeUInt32LE(this.#sqHead, SQ_HEAD);
  }

  /** Completions that the program has not taken. */
  get waiting(): number {
    const n = (this.#cqTail - this.#words.readUInt32LE(CQ_HEAD)) >>> 0;
    if (n > this.cqEntries) {
      this.#world.violations.fail(
        `${this.#name}: the head of the completion queue has passed its tail`,
      );
    }
    return n;
  }

  get hasOverflow(): boolean {
    return this.#overflow.length > 0;
  }

  /** Posts a completion; false when there is no room, or others wait for it: nothing is posted then. */
  post(entry: Submission, result: number, flags: number): boolean {
    if (this.hasOverflow || this.waiting >= this.cqEntries) return false;
    const { userLow, userHigh } = entry;
    this.write({ userLow, userHigh, result, flags });
    return true;
  }

  /** Posts a completion, or keeps it aside. */
  put(entry: Submission, result: number, flags: number): void {
    if (this.post(entry, result, flags)) return;
    const { userLow, userHigh } = entry;
    this.#overflow.push({ userLow, userHigh, result, flags });
    this.#world.trace.call(this.#thread, 'overflow', userLow, flags, result);
    this.setFlag(SQ_CQ_OVERFLOW, true);
  }

  /** Brings in what waits aside, as far as there is room. */
  flushOverflow(): void {
    let n = 0;
    while (n < this.#overflow.length && this.waiting < this.cqEntries) {
      this.write(this.#overflow[n++]!);
    }
    this.#overflow.splice(0, n);
    if (!this.hasOverflow) this.setFlag(SQ_CQ_OVERFLOW, false);
  }

  /** Signals the eventfd if there are new completions since the last signal for them (io_eventfd_signal). */
  announce(): void {
    if (this.#signalledTail === this.#cqTail || this.isMuted) return;
    this.#signalledTail = this.#cqTail;
    this.signal();
  }

  /**
   * Signals the eventfd, unless the program does not want it. Within the signal of another eventfd Linux cannot, and
   * does it some time later, wanted or not; but never a second time, since the mark that it is under way stays until
   * the eventfd is registered anew (__io_eventfd_signal; measured on 6.18).
   */
  signal(isWithinSignal = false): void {
    const eventfd = this.#eventfd;
    if (eventfd === undefined || this.isMuted) return;
    if (!isWithinSignal) {
      eventfd.add();
    } else if (!this.#isSignalSpent) {
      this.#isSignalSpent = true;
      const deliver = (): void => eventfd.add();
      this.#world.timeline.schedule(this.#world.network.latency(), { deliver }, 0);
    }
  }

  /** The one that is registered. */
  get eventfd(): SimEventfd | undefined {
    return this.#eventfd;
  }

  set eventfd(eventfd: SimEventfd | undefined) {
    this.#eventfd = eventfd;
    this.#isSignalSpent = false;
  }

  set isWorkPending(isPending: boolean) {
    this.setFlag(SQ_TASKRUN, isPending);
  }

  private get isMuted(): boolean {
    return (this.#words.readUInt32LE(CQ_FLAGS) & CQ_EVENTFD_DISABLED) !== 0;
  }

  private setFlag(flag: number, isSet: boolean): void {
    const flags = this.#words.readUInt32LE(SQ_FLAGS);
    this.#words.writeUInt32LE(isSet ? flags | flag : flags & ~flag, SQ_FLAGS);
  }

  private write(completion: Completion): void {
    const { userLow, userHigh, result, flags } = completion;
    const at = CQES + (this.#cqTail & (this.cqEntries - 1)) * CQE_SIZE;
    this.#words.writeUInt32LE(userLow, at);
    this.#words.writeUInt32LE(userHigh, at + 4);
    this.#words.writeInt32LE(result, at + 8);
    this.#words.writeUInt32LE(flags >>> 0, at + 12);
    this.#cqTail = (this.#cqTail + 1) >>> 0;
    this.#words.writeUInt32LE(this.#cqTail, CQ_TAIL);
    this.#world.trace.call(this.#thread, 'cqe', userLow, flags, result);
  }
}
