/**
 * Where a slot's descriptor lives: in the process's table, as usual, or, as a direct descriptor, in the table of one of
 * the driver's rings. Everything of a direct descriptor goes through its own ring; for what there is no operation, such
 * as socket options, it gets a number of the process for a moment.
 *
 * Above the driver a direct descriptor is a number, too: DIRECT_BASE + ring << 16 + place.
 */

import { EBADF, ENFILE } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import { SHUT_WR } from '../../base/linux.js';
import * as uring from '../../base/uring.js';
import { SystemError } from '../../errors.js';
import type { Completions, DriverCounters } from '../driver.js';
import type { UringOptions } from './uring.js';
import * as s from './uring-slots.js';
import { UringUnit } from './uring-unit.js';

const DIRECT_BASE = 0x4000_0000;
const PLACE_MASK = 0xffff;
const SQ_ENTRIES = 1_024;
/** Half a megabyte fits the cache; more are taken when many connections wait for one (`UringReceives.feed`). */
const BUFFER_COUNT = 8;
const BUFFER_COUNT_MAX = 128;
/** A ring among many has less of everything: fifty of them serve a million connections, and their memory counts. */
const SHARED_SQ_ENTRIES = 256;
const SHARED_BUFFER_COUNT = 4;
const SHARED_BUFFER_BYTES = 16_384;

/** What the parts of the driver have in common. */
export interface UringShared {
  readonly kernel: Kernel;
  readonly completions: Completions;
  readonly counters: DriverCounters;
  readonly slots: s.UringSlots;
}

export class UringFiles {
  readonly units: UringUnit[] = [];
  readonly #shared: UringShared;
  readonly #kernel: Kernel;
  readonly #slots: s.UringSlots;
  readonly #options: UringOptions;
  readonly #eventfd: number;

  constructor(shared: UringShared, options: UringOptions, eventfd: number) {
    this.#shared = shared;
    this.#kernel = shared.kernel;
    this.#slots = shared.slots;
    this.#options = options;
    this.#eventfd = eventfd;
    this.#addUnit();
  }

  /** Whether accepted connections become direct descriptors. */
  get isDirect(): boolean {
    return (this.#options.directFiles ?? 0) > 0;
  }

  get first(): UringUnit {
    return this.units[0];
  }

  #addUnit(): UringUnit {
    const { receiveBytes, features, requestPoll, directFiles = 0 } = this.#options;
    const isShared = directFiles > 0;
    const sqEntries = isShared ? SHARED_SQ_ENTRIES : SQ_ENTRIES;
    const unit = new UringUnit(
      this.#kernel,
      this.units.length,
      {
        sqEntries,
        cqEntries: sqEntries * 8,
        buffers: {
          count: isShared ? SHARED_BUFFER_COUNT : BUFFER_COUNT_MAX,
          initially: isShared ? SHARED_BUFFER_COUNT : BUFFER_COUNT,
          size: isShared ? Math.min(receiveBytes, SHARED_BUFFER_BYTES) : receiveBytes,
        },
        files: directFiles,
        eventfd: this.#eventfd,
        features,
        requestPoll,
      },
      this.#shared.counters,
    );
    this.units.push(unit);
    return unit;
  }

  /** A ring with a free place for a direct descriptor, or -errno. `full` has none, the kernel says. */
  unitWithRoom(full?: UringUnit): UringUnit | number {
    for (const unit of this.units) {
      if (unit !== full && unit.files < unit.filesMax) {
        return unit;
      }
    }
    const unitsMax = Math.ceil(this.#options.slots / this.first.filesMax);
    if (this.units.length >= unitsMax) {
      return -ENFILE;
    }
    try {
      return this.#addUnit();
    } catch (error) {
      if (error instanceof SystemError) {
        return -error.errno;
      }
      throw error;
    }
  }

  unitOf(slot: number): UringUnit {
    return this.units.length === 1 ? this.units[0] : this.units[this.#slots.rings[slot]];
  }

  /** Starts a use of a slot. */
  begin(slot: number, fd: number, kind: number): void {
    if (fd < DIRECT_BASE) {
      this.#slots.begin(slot, fd, kind, 0);
      if (this.isDirect) {
        this.#slots.rings[slot] = 0;
      }
    } else {
      this.#slots.begin(slot, fd & PLACE_MASK, kind, s.DIRECT);
      this.#slots.rings[slot] = (fd - DIRECT_BASE) >> 16;
    }
  }

  /** The number that a direct descriptor has above the driver. */
  nameOf(unit: UringUnit, place: number): number {
    return DIRECT_BASE + unit.index * 0x1_0000 + place;
  }

  /** Submits an operation on the slot's descriptor; see UringQueue.push. */
  push(
    slot: number,
    head: number,
    low: number,
    high: number,
    byteLength: number,
    flags: number,
    tag: number,
  ): void {
    const isFixed = (this.#slots.flags[slot] & s.DIRECT) !== 0;
    const { queue } = this.unitOf(slot);
    const fixed = isFixed ? uring.SQE_FIXED_FILE << 8 : 0;
    queue.push(head | fixed, this.#slots.fds[slot], low, high, byteLength, flags, slot, tag);
  }

  /** Cancels the operation of the slot that has the tag. */
  cancel(slot: number, tag: number): void {
    const { queue } = this.unitOf(slot);
    queue.push(uring.OP_ASYNC_CANCEL, -1, slot, tag, 0, 0, slot, s.TAG_IGNORED);
  }

  /** Cancels all operations on the slot's descriptor. */
  cancelAll(slot: number): void {
    const isFixed = (this.#slots.flags[slot] & s.DIRECT) !== 0;
    const flags =
      uring.ASYNC_CANCEL_ALL | uring.ASYNC_CANCEL_FD | (isFixed ? uring.ASYNC_CANCEL_FD_FIXED : 0);
    const fd = this.#slots.fds[slot];
    this.#slots.underWay[slot] += 1;
    const { queue } = this.unitOf(slot);
    queue.push(uring.OP_ASYNC_CANCEL, fd, 0, 0, 0, flags, slot, s.TAG_CANCEL);
  }

  shutdown(slot: number): number {
    this.#shared.counters.calls += 1;
    if ((this.#slots.flags[slot] & s.DIRECT) === 0) {
      return this.#kernel.shutdown(this.#slots.fds[slot], SHUT_WR);
    }
    // A failure means that the connection is gone, which the receive, or the poll for errors, reports.
    this.push(slot, uring.OP_SHUTDOWN, 0, 0, SHUT_WR, 0, s.TAG_IGNORED);
    return 0;
  }

  /** Closes the slot's descriptor, which nothing uses any more. False if a completion will say when it is closed. */
  close(slot: number): boolean {
    const fd = this.#slots.fds[slot];
    if ((this.#slots.flags[slot] & s.DIRECT) !== 0) {
      this.#slots.underWay[slot] += 1;
      this.#closePlace(this.unitOf(slot), fd, slot, s.TAG_CLOSE);
      return false;
    }
    this.#slots.fds[slot] = -1;
    this.#shared.counters.calls += 1;
    this.#kernel.close(fd);
    return true;
  }

  /** The close of a direct descriptor has completed. */
  closed(slot: number): void {
    this.unitOf(slot).files -= 1;
    this.#slots.fds[slot] = -1;
  }

  /** Closes an accepted descriptor that never got a slot. */
  discard(fd: number): void {
    if (fd < DIRECT_BASE) {
      this.#shared.counters.calls += 1;
      this.#kernel.close(fd);
      return;
    }
    const unit = this.units[(fd - DIRECT_BASE) >> 16];
    unit.files -= 1;
    this.#closePlace(unit, fd & PLACE_MASK, 0, s.TAG_IGNORED);
  }

  /** The same when the rings are closed: those with their tables have closed what was in them. */
  discardNow(fd: number): void {
    if (fd < DIRECT_BASE) {
      this.#kernel.close(fd);
    }
  }

  #closePlace(unit: UringUnit, place: number, slot: number, tag: number): void {
    const at = unit.queue.push(uring.OP_CLOSE, 0, 0, 0, 0, 0, slot, tag);
    unit.queue.entries[at + 11] = place + 1;
  }

  /** Calls `operation` with a descriptor of the process that refers to the slot's socket. Its answer, or -errno. */
  use(slot: number, operation: (fd: number) => number): number {
    const { flags, fds } = this.#slots;
    if (fds[slot] < 0 || this.#slots.kinds[slot] === s.FREE) {
      return -EBADF;
    }
    if ((flags[slot] & s.DIRECT) === 0) {
      return operation(fds[slot]);
    }
    this.push(slot, uring.OP_FIXED_FD_INSTALL, 0, 0, 0, 0, s.TAG_COMMAND);
    const fd = this.unitOf(slot).queue.finishNow(slot, s.TAG_COMMAND, s.TAG_IGNORED);
    if (fd < 0) {
      return fd;
    }
    this.#kernel.own(fd);
    const n = operation(fd);
    this.#kernel.close(fd);
    return n;
  }

  get hasPending(): boolean {
    for (const unit of this.units) {
      if (unit.queue.pending > 0) {
        return true;
      }
    }
    return false;
  }

  get hasWork(): boolean {
    for (const unit of this.units) {
      if (unit.hasWork) {
        return true;
      }
    }
    return false;
  }

  signalEventfd(isWanted: boolean): void {
    for (const unit of this.units) {
      unit.queue.signalEventfd(isWanted);
    }
  }

  /** Ends everything: cancels, waits for the ends, closes descriptors and rings. */
  destroy(rounds: number): void {
    const { kinds, fds, flags } = this.#slots;
    for (const unit of this.units) {
      const isQuiet = this.#quiet(unit, rounds);
      this.#kernel.ringClose(unit.queue.ring);
      if (isQuiet) {
        unit.release();
      }
    }
    for (let slot = 0; slot < fds.length; slot += 1) {
      if (kinds[slot] !== s.FREE && fds[slot] >= 0 && (flags[slot] & s.DIRECT) === 0) {
        this.#kernel.close(fds[slot]);
      }
      kinds[slot] = s.FREE;
    }
  }

  /** Cancels everything in a ring; false if something is still under way after so many rounds. */
  #quiet(unit: UringUnit, rounds: number): boolean {
    const { queue } = unit;
    const all = uring.ASYNC_CANCEL_ALL | uring.ASYNC_CANCEL_ANY;
    queue.push(uring.OP_ASYNC_CANCEL, -1, 0, 0, 0, all, 0, s.TAG_IGNORED);
    for (let i = 0; i < rounds && queue.underWay > 0; i += 1) {
      queue.enter();
      const end = queue.tail;
      for (let head = queue.head; head !== end; head = (head + 1) | 0) {
        const at = queue.completionsAt + ((head & queue.completionMask) << 2);
        if ((queue.words[at + 3] & uring.CQE_F_MORE) === 0) {
          queue.underWay -= 1;
        }
        const result = queue.words[at + 2];
        if ((queue.words[at + 1] & 0xff) === s.TAG_ACCEPT && result >= 0 && !this.isDirect) {
          this.#kernel.close(result);
        }
      }
      queue.release(end);
    }
    return queue.underWay === 0;
  }
}
