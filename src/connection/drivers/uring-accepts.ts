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
import { NumberQueue } from '../number-queue.js';
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

/** What is known of a listener. */
interface Listening {
  readonly slot: number;
  /** Descriptors that were accepted and not yet reported, in order. */
  readonly kept: NumberQueue;
  /** What is left of the budget in this batch. */
  budget: number;
  /** It accepts one at a time, for so many more. */
  careful: number;
  /** In which ring it accepts. */
  unit: UringUnit | undefined;
}

export class UringAccepts {
  readonly #shared: UringShared;
  readonly #slots: s.UringSlots;
  readonly #files: UringFiles;
  readonly #budget: number;
  /** The open listeners: few, and looked at in each batch. */
  readonly #listenings: Listening[] = [];

  constructor(shared: UringShared, files: UringFiles, budget: number) {
    this.#shared = shared;
    this.#slots = shared.slots;
    this.#files = files;
    this.#budget = budget;
  }

  get hasWork(): boolean {
    const listenings = this.#listenings;
    for (let i = 0; i < listenings.length; i += 1) {
      if (listenings[i].kept.length > 0 && this.#isAccepting(listenings[i].slot)) {
        return true;
      }
    }
    return false;
  }

  #find(slot: number): Listening | undefined {
    const listenings = this.#listenings;
    for (let i = 0; i < listenings.length; i += 1) {
      if (listenings[i].slot === slot) {
        return listenings[i];
      }
    }
    return undefined;
  }

  /** A listener was opened. */
  open(slot: number): void {
    const kept = new NumberQueue();
    const unit = undefined;
    this.#listenings.push({ slot, kept, budget: this.#budget, careful: 0, unit });
  }

  #isAccepting(slot: number): boolean {
    return this.#slots.kinds[slot] === s.LISTENER && (this.#slots.flags[slot] & s.ACCEPTING) !== 0;
  }

  start(slot: number): void {
    const listening = this.#find(slot);
    if (listening !== undefined) {
      this.#slots.flags[slot] |= s.ACCEPTING;
      this.#arm(listening);
    }
  }

  stop(slot: number): void {
    if (this.#isAccepting(slot)) {
      this.#slots.flags[slot] &= ~s.ACCEPTING;
      this.#cancel(this.#find(slot));
    }
  }

  /** The listener is closed: those it accepted and did not report are closed with it. */
  end(slot: number): void {
    const listening = this.#find(slot);
    if (listening === undefined) {
      return;
    }
    this.#slots.flags[slot] &= ~s.ACCEPTING;
    this.#cancel(listening);
    this.#listenings.splice(this.#listenings.indexOf(listening), 1);
    for (let fd = listening.kept.shift(); fd !== undefined; fd = listening.kept.shift()) {
      this.#files.discard(fd);
    }
  }

  #cancel(listening: Listening | undefined): void {
    if (listening?.unit === undefined) {
      return;
    }
    const { slot, unit } = listening;
    if ((this.#slots.flags[slot] & (s.ARMED | s.CANCELLING)) === s.ARMED) {
      this.#slots.flags[slot] |= s.CANCELLING;
      const tag = s.TAG_ACCEPT | (unit.index << 8);
      unit.queue.push(OP_ASYNC_CANCEL, -1, slot, tag, 0, 0, slot, s.TAG_IGNORED);
    }
  }

  #arm(listening: Listening, full?: UringUnit): void {
    const { slot } = listening;
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
    listening.unit = unit;
    this.#slots.flags[slot] |= s.ARMED;
    this.#slots.underWay[slot] += 1;
    const flags = isDirect ? SOCK_NONBLOCK : SOCK_NONBLOCK | SOCK_CLOEXEC;
    const tag = s.TAG_ACCEPT | (unit.index << 8);
    const head = listening.careful > 0 || isNearlyFull(unit) ? OP_ACCEPT : ACCEPT_MANY;
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
    const listening = this.#find(slot);
    if (result >= 0) {
      const fd = this.#name(unit, result);
      if (listening === undefined) {
        this.#files.discard(fd);
        return;
      }
      listening.kept.push(fd);
      if ((flags & CQE_F_MORE) !== 0 && isNearlyFull(unit)) {
        this.#cancel(listening);
      }
      if (listening.careful > 0) {
        listening.careful -= 1;
        if (listening.careful > 0) {
          // The next one after this was reported.
          return;
        }
      }
    } else if (this.#files.isDirect && result === -ENFILE) {
      unit.files = unit.filesMax;
      if (listening !== undefined) {
        this.#arm(listening, unit);
      }
      return;
    } else if (stopsAccepting(-result)) {
      // Those before it first: one of them may have the descriptor that is missing.
      this.report();
      if (listening !== undefined && this.#isAccepting(slot)) {
        this.#slots.flags[slot] &= ~s.ACCEPTING;
        listening.careful = CAREFUL_ACCEPTS;
        this.#shared.completions.acceptFailed(slot, -result);
      }
    } else if (result !== -ECANCELED && result !== -EAGAIN && result !== -EINTR) {
      this.#shared.counters.acceptErrors += 1;
    }
    if (listening !== undefined) {
      this.#arm(listening);
    }
  }

  #name(unit: UringUnit, result: number): number {
    if (this.#files.isDirect) {
      unit.files += 1;
      return this.#files.nameOf(unit, result);
    }
    this.#shared.kernel.own(result);
    return result;
  }

  /** A batch begins: budgets are whole again. */
  begin(): void {
    const listenings = this.#listenings;
    for (let i = 0; i < listenings.length; i += 1) {
      listenings[i].budget = this.#budget;
    }
  }

  /** Reports what was accepted, up to the budget of each listener. Returns how many. */
  report(): number {
    const listenings = this.#listenings;
    let n = 0;
    // What is reported may close a listener: the one that takes its place in the list is reported in the next batch.
    for (let i = 0; i < listenings.length; i += 1) {
      n += this.#reportOf(listenings[i]);
    }
    return n;
  }

  #reportOf(listening: Listening): number {
    const { slot, kept } = listening;
    let n = 0;
    while (listening.budget > 0 && kept.length > 0 && this.#isAccepting(slot)) {
      listening.budget -= 1;
      n += 1;
      this.#shared.completions.accepted(slot, kept.shift()!);
      this.#arm(listening);
    }
    return n;
  }

  destroy(): void {
    for (const { kept } of this.#listenings.splice(0)) {
      for (let fd = kept.shift(); fd !== undefined; fd = kept.shift()) {
        this.#files.discardNow(fd);
      }
    }
  }
}

function isNearlyFull(unit: UringUnit): boolean {
  return unit.filesMax > 0 && unit.filesMax - unit.files <= LAST_PLACES;
}
