/**
 * Receiving on io_uring: one submission that receives until it is cancelled, or one at a time where the kernel must not
 * take more than that. Who finds no buffer waits until some are back (`feed`).
 *
 * A stream that nobody receives from has a poll for errors instead, so that a reset is noticed (`startGuards`).
 */

import { EAGAIN, ECANCELED, ECONNRESET, EINTR, ENOBUFS } from '../../base/errno.js';
import { EPOLLERR } from '../../base/linux.js';
import * as uring from '../../base/uring.js';
import { takeError } from './connect-outcome.js';
import type { UringFiles, UringShared } from './uring-files.js';
import type { UringSender } from './uring-sender.js';
import * as s from './uring-slots.js';
import type { UringUnit } from './uring-unit.js';

const RECEIVE = uring.OP_RECV | (uring.SQE_BUFFER_SELECT << 8);
const RECEIVE_MANY = RECEIVE | (uring.RECV_MULTISHOT << 16);

/** The other parts of the driver that receiving needs. */
export interface ReceiveParts {
  readonly files: UringFiles;
  readonly sender: UringSender;
  /** Reports the failure of a slot, once. */
  readonly fail: (slot: number, code: number) => void;
}

export class UringReceives {
  readonly #shared: UringShared;
  readonly #slots: s.UringSlots;
  readonly #files: UringFiles;
  readonly #sender: UringSender;
  readonly #fail: (slot: number, code: number) => void;
  readonly #head: number;
  /** Slots that are to get a poll for errors, if they still need one at the end of the batch. */
  #guards: number[] = [];

  constructor(shared: UringShared, parts: ReceiveParts, isMultishot: boolean) {
    this.#shared = shared;
    this.#slots = shared.slots;
    this.#files = parts.files;
    this.#sender = parts.sender;
    this.#fail = parts.fail;
    this.#head = isMultishot ? RECEIVE_MANY : RECEIVE;
  }

  /** Whether slots wait for `startGuards`. */
  get hasWork(): boolean {
    return this.#guards.length > 0;
  }

  start(slot: number): void {
    if (this.#slots.kinds[slot] === s.STREAM) {
      this.#slots.flags[slot] |= s.RECEIVING;
      this.#arm(slot);
    }
  }

  /** What the kernel has taken already still comes, see `receiveAhead`. */
  stop(slot: number): void {
    const flags = this.#slots.flags[slot];
    if (this.#slots.kinds[slot] !== s.STREAM) {
      return;
    }
    this.#slots.flags[slot] = (flags & ~s.RECEIVING) | s.CAREFUL;
    if ((flags & (s.ARMED | s.CANCELLING)) === s.ARMED) {
      this.#slots.flags[slot] |= s.CANCELLING;
      this.#files.cancel(slot, s.TAG_RECEIVE);
    }
    this.#guard(slot);
  }

  /** A receive has bytes, or has ended, or both. A closing slot is left to the driver. */
  onCompletion(unit: UringUnit, slot: number, result: number, flags: number): void {
    if ((flags & uring.CQE_F_MORE) === 0) {
      this.#slots.flags[slot] &= ~(s.ARMED | s.CANCELLING);
      this.#slots.underWay[slot] -= 1;
    }
    if (result > 0) {
      const { buffers } = unit;
      const start = buffers.take(flags, result);
      if (result * 2 >= buffers.size) {
        this.#slowDown(slot, flags);
      } else if (result * 16 < buffers.size) {
        this.#slots.flags[slot] &= ~s.BULK;
      }
      if (this.#slots.kinds[slot] === s.STREAM && (this.#slots.flags[slot] & s.FAILED) === 0) {
        this.#report(unit, slot, start, result);
      }
    } else {
      unit.buffers.drop(flags);
      if (this.#slots.kinds[slot] === s.STREAM && (this.#slots.flags[slot] & s.FAILED) === 0) {
        this.#onNothing(unit, slot, result);
      }
    }
    if ((flags & uring.CQE_F_MORE) === 0) {
      this.#arm(slot);
    }
  }

  #report(unit: UringUnit, slot: number, start: number, byteLength: number): void {
    const { completions } = this.#shared;
    const { buffers } = unit;
    if (completions.receivedAt?.(slot, buffers.bytes, start, start + byteLength) !== true) {
      const view = buffers.view(start, byteLength);
      this.#sender.borrow(unit, view, start);
      completions.received(slot, view);
      this.#sender.forget();
    }
  }

  /** From a firehose one receive at a time. */
  #slowDown(slot: number, flags: number): void {
    this.#slots.flags[slot] |= s.BULK;
    const isArmed = (this.#slots.flags[slot] & (s.ARMED | s.CANCELLING)) === s.ARMED;
    if ((flags & uring.CQE_F_MORE) !== 0 && isArmed && this.#slots.kinds[slot] === s.STREAM) {
      this.#slots.flags[slot] |= s.CANCELLING;
      this.#files.cancel(slot, s.TAG_RECEIVE);
    }
  }

  /** A receive ended without bytes: at the end of the stream, for want of buffers, or by an error. */
  #onNothing(unit: UringUnit, slot: number, result: number): void {
    if (result === 0) {
      this.#slots.flags[slot] |= s.ENDED;
      this.#guard(slot);
      this.#shared.completions.receiveEnded(slot);
    } else if (result === -ENOBUFS) {
      this.#slots.flags[slot] |= s.STARVED;
      unit.starved.push(slot);
    } else if (result !== -ECANCELED && result !== -EAGAIN && result !== -EINTR) {
      this.#fail(slot, -result);
    }
  }

  #arm(slot: number): void {
    const flags = this.#slots.flags[slot];
    const mask = s.RECEIVING | s.ARMED | s.ENDED | s.FAILED | s.STARVED;
    if (this.#slots.kinds[slot] !== s.STREAM || (flags & mask) !== s.RECEIVING) {
      return;
    }
    this.#slots.flags[slot] |= s.ARMED;
    this.#slots.underWay[slot] += 1;
    const head = (flags & (s.CAREFUL | s.BULK)) !== 0 ? RECEIVE : this.#head;
    this.#files.push(slot, head, 0, 0, 0, 0, s.TAG_RECEIVE);
  }

  /**
   * Buffers are back: those who waited receive again, in their order, as many as will find room, `mean` bytes each; the
   * others would only learn once more that there is none. If as many wait as there are buffers, these are too few; one
   * firehose may take what there is, and finds no more.
   */
  feed(unit: UringUnit, mean: number): void {
    const { buffers, starved } = unit;
    if (starved.length >= buffers.inUse) {
      buffers.grow();
    }
    if (buffers.available === 0) {
      return;
    }
    const most = Math.ceil((buffers.available * buffers.size) / mean);
    unit.starved = most < starved.length ? starved.splice(most) : [];
    for (const slot of starved) {
      this.#slots.flags[slot] &= ~s.STARVED;
      this.#arm(slot);
    }
  }

  #guard(slot: number): void {
    if ((this.#slots.flags[slot] & (s.GUARDED | s.GUARD_LISTED)) === 0) {
      this.#slots.flags[slot] |= s.GUARD_LISTED;
      this.#guards.push(slot);
    }
  }

  startGuards(): void {
    const list = this.#guards;
    this.#guards = [];
    for (const slot of list) {
      this.#slots.flags[slot] &= ~s.GUARD_LISTED;
      const flags = this.#slots.flags[slot];
      const isReceiving = (flags & (s.RECEIVING | s.ENDED)) === s.RECEIVING;
      if (
        this.#slots.kinds[slot] === s.STREAM &&
        !isReceiving &&
        (flags & (s.GUARDED | s.FAILED)) === 0
      ) {
        this.#slots.flags[slot] |= s.GUARDED;
        this.#slots.underWay[slot] += 1;
        // No events: errors and hang-ups are always reported, and so is a FIN, which is why one report is not enough.
        this.#files.push(slot, uring.OP_POLL_ADD, 0, 0, uring.POLL_ADD_MULTI, 0, s.TAG_GUARD);
      }
    }
  }

  onGuard(slot: number, result: number, flags: number): void {
    if ((flags & uring.CQE_F_MORE) === 0) {
      this.#slots.flags[slot] &= ~s.GUARDED;
      this.#slots.underWay[slot] -= 1;
    }
    if (
      this.#slots.kinds[slot] !== s.STREAM ||
      (this.#slots.flags[slot] & (s.FAILED | s.ARMED)) !== 0
    ) {
      return;
    }
    // A mere hang-up waits for `receive`.
    if (result > 0 && (result & EPOLLERR) !== 0) {
      const { kernel, counters } = this.#shared;
      // Negative when a direct descriptor cannot be asked.
      const code = Math.abs(this.#files.use(slot, (fd) => takeError(kernel, fd, counters)));
      this.#fail(slot, code === 0 ? ECONNRESET : code);
    }
  }
}
