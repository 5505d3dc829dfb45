/**
 * Accepting on io_uring: one submission that accepts until it is cancelled. What the kernel accepted beyond the budget
 * of a batch, or after accepting was stopped, is kept and reported later, in order.
 */

import { EAGAIN, ECANCELED, EINTR, ENFILE } from '../../base/errno.js';
import { SOCK_CLOEXEC, SOCK_NONBLOCK } from '../../base/linux.js';
import {
  ACCEPT_MULTISHOT,
  CQE_F_MORE,
  FILE_INDEX_ALLOC,
  OP_ACCEPT,
  OP_ASYNC_CANCEL,
} from '../../base/uring.js';
import { stopsAccepting } from './retry.js';
import type { UringFiles, UringShared } from './uring-files.js';
import * as s from './uring-slots.js';
import type { UringUnit } from './uring-unit.js';

/** After descriptors ran out, so many are accepted one by one, each when the one before was dealt with. */
const CAREFUL_ACCEPTS = 64;
/**
 * A connection for which a table of files has no place is accepted and closed by the kernel. So the last places of a
 * table are filled one by one: more than a backlog, which one submission may accept before we know.
 */
const LAST_PLACES = 6_000;
const ACCEPT_MANY = OP_ACCEPT | (ACCEPT_MULTISHOT << 16);

export class UringAccepts {
  readonly #shared: UringShared;
  readonly #slots: s.UringSlots;
  readonly #files: UringFiles;
  readonly #budget: number;
  /** Accepted and not yet reported: slot, descriptor, slot, descriptor, … */
  #kept: number[] = [];
  /** What is left of each listener's budget in this batch. */
  readonly #left = new Map<number, number>();
  /** Listeners that accept one at a time, and for how many more. */
  readonly #careful = new Map<number, number>();
  /** In which ring each listener accepts. */
  readonly #units = new Map<number, UringUnit>();

  constructor(shared: UringShared, files: UringFiles, budget: number) {
    this.#shared = shared;
    this.#slots = shared.slots;
    this.#files = files;
    this.#budget = budget;
  }

  get hasWork(): boolean {
    for (let i = 0; i < this.#kept.length; i += 2) {
      if (this.#isAccepting(this.#kept[i])) {
        return true;
      }
    }
    return false;
  }

  #isAccepting(slot: number): boolean {
    return this.#slots.kinds[slot] === s.LISTENER && (this.#slots.flags[slot] & s.ACCEPTING) !== 0;
  }

  start(slot: number): void {
    if (this.#slots.kinds[slot] === s.LISTENER) {
      this.#slots.flags[slot] |= s.ACCEPTING;
      this.#arm(slot);
    }
  }

  stop(slot: number): void {
    if (this.#isAccepting(slot)) {
      this.#slots.flags[slot] &= ~s.ACCEPTING;
      this.#cancel(slot);
    }
  }

  /** The listener is closed: those it accepted and did not report are closed with it. */
  end(slot: number): void {
    this.#slots.flags[slot] &= ~s.ACCEPTING;
    this.#careful.delete(slot);
    this.#cancel(slot);
    const kept = this.#kept;
    this.#kept = [];
    for (let i = 0; i < kept.length; i += 2) {
      if (kept[i] === slot) {
        this.#files.discard(kept[i + 1]);
      } else {
        this.#kept.push(kept[i], kept[i + 1]);
      }
    }
  }

  #cancel(slot: number): void {
    const flags = this.#slots.flags[slot];
    const unit = this.#units.get(slot);
    if (unit !== undefined && (flags & (s.ARMED | s.CANCELLING)) === s.ARMED) {
      this.#slots.flags[slot] |= s.CANCELLING;
      const tag = s.TAG_ACCEPT | (unit.index << 8);
      unit.queue.push(OP_ASYNC_CANCEL, -1, slot, tag, 0, 0, slot, s.TAG_IGNORED);
    }
  }

  #arm(slot: number, full?: UringUnit): void {
    if (!this.#isAccepting(slot) || (this.#slots.flags[slot] & s.ARMED) !== 0) {
      return;
    }
    const { isDirect } = this.#files;
    const unit = isDirect ? this.#files.unitWithRoom(full) : this.#files.first;
    if (typeof unit === 'number') {
      this.#slots.flags[slot] &= ~s.ACCEPTING;
      this.#shared.completions.acceptFailed(slot, -unit);
      return;
    }
    this.#units.set(slot, unit);
    this.#slots.flags[slot] |= s.ARMED;
    this.#slots.underWay[slot] += 1;
    const flags = isDirect ? SOCK_NONBLOCK : SOCK_NONBLOCK | SOCK_CLOEXEC;
    const tag = s.TAG_ACCEPT | (unit.index << 8);
    const head = this.#careful.has(slot) || isNearlyFull(unit) ? OP_ACCEPT : ACCEPT_MANY;
    const at = unit.queue.push(head, this.#slots.fds[slot], 0, 0, 0, flags, slot, tag);
    if (isDirect) {
      unit.queue.entries[at + 11] = FILE_INDEX_ALLOC | 0;
    }
  }

  onCompletion(slot: number, unitIndex: number, result: number, flags: number): void {
    const unit = this.#files.units[unitIndex];
    if ((flags & CQE_F_MORE) === 0) {
      this.#slots.flags[slot] &= ~(s.ARMED | s.CANCELLING);
      this.#slots.underWay[slot] -= 1;
    }
    if (result >= 0) {
      this.#keep(slot, this.#name(unit, result));
      if ((flags & CQE_F_MORE) !== 0 && isNearlyFull(unit)) {
        this.#cancel(slot);
      }
      if (this.#isCareful(slot)) {
        // The next one after this was reported.
        return;
      }
    } else if (this.#files.isDirect && result === -ENFILE) {
      unit.files = unit.filesMax;
      this.#arm(slot, unit);
      return;
    } else if (stopsAccepting(-result)) {
      // Those before it first: one of them may have the descriptor that is missing.
      this.report();
      if (this.#isAccepting(slot)) {
        this.#slots.flags[slot] &= ~s.ACCEPTING;
        this.#careful.set(slot, CAREFUL_ACCEPTS);
        this.#shared.completions.acceptFailed(slot, -result);
      }
    } else if (result !== -ECANCELED && result !== -EAGAIN && result !== -EINTR) {
      this.#shared.counters.acceptErrors += 1;
    }
    this.#arm(slot);
  }

  /** Counts the accepts of a careful listener. */
  #isCareful(slot: number): boolean {
    const left = this.#careful.get(slot);
    if (left === undefined) {
      return false;
    }
    if (left === 1) {
      this.#careful.delete(slot);
      return false;
    }
    this.#careful.set(slot, left - 1);
    return true;
  }

  #name(unit: UringUnit, result: number): number {
    if (this.#files.isDirect) {
      unit.files += 1;
      return this.#files.nameOf(unit, result);
    }
    this.#shared.kernel.own(result);
    return result;
  }

  #keep(slot: number, fd: number): void {
    if (this.#slots.kinds[slot] === s.LISTENER) {
      this.#kept.push(slot, fd);
    } else {
      this.#files.discard(fd);
    }
  }

  /** A batch begins: budgets are whole again. */
  begin(): void {
    this.#left.clear();
  }

  /** Reports what was accepted, up to the budget of each listener. Returns how many. */
  report(): number {
    const kept = this.#kept;
    this.#kept = [];
    const left = this.#left;
    let n = 0;
    for (let i = 0; i < kept.length; i += 2) {
      const [slot, fd] = [kept[i], kept[i + 1]];
      const budget = left.get(slot) ?? this.#budget;
      if (this.#slots.kinds[slot] !== s.LISTENER) {
        this.#files.discard(fd);
      } else if (budget > 0 && this.#isAccepting(slot)) {
        left.set(slot, budget - 1);
        n += 1;
        this.#shared.completions.accepted(slot, fd);
        this.#arm(slot);
      } else {
        this.#kept.push(slot, fd);
      }
    }
    return n;
  }

  destroy(): void {
    for (let i = 1; i < this.#kept.length; i += 2) {
      this.#files.discardNow(this.#kept[i]);
    }
    this.#kept = [];
  }
}

function isNearlyFull(unit: UringUnit): boolean {
  return unit.filesMax > 0 && unit.filesMax - unit.files <= LAST_PLACES;
}
