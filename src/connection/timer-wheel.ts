/**
 * A hierarchical timing wheel: a million timers cost 24 bytes each, or 12 where slots name them, and no object. A
 * reactor has one for the user's timers and one for connections' deadlines, calls `advance` once a turn and arms the
 * host's alarm for `nextDeadline`. The wheel has no clock of its own.
 *
 * Rules:
 * - Times are milliseconds with a fraction on the kernel's monotonic scale. A deadline is rounded up to a tick of 1 ms
 *   and `now` down, so that nothing fires early; it fires less than 2 ms late, as far as the wheel is concerned.
 * - `set`, `clear` and `reset` are O(1). `reset` to a later time, which is what activity does to an idle deadline, is
 *   one store: the timer stays where it is and is moved on when its old time comes.
 * - An id is above 0 and never names another timer (see timer-nodes.ts): clearing it late, or twice, is harmless. But
 *   where slots name timers (slot-timers.ts) the slot is the id.
 * - Timers of the same tick fire in no particular order.
 *
 * Structure: 6 levels of 64 slots, so that 2^36 ms (2.2 years) are in range; what lies beyond is parked in one more
 * list. A timer lies on the level of the highest base-64 digit in which its tick differs from the wheel's. (The wheels
 * are those of Varghese and Lauck, 1987; the choice by digit, in place of by distance, is William Ahern's timeout.c.)
 * Two things follow: everything on a level is due before anything on the next, so the earliest slot is the first bit of
 * the lowest level in use; and a jump of `now` over days visits only the slots in use.
 */

import { SlotTimers } from './slot-timers.js';
import { LEVEL_BITS, LEVELS, SLOTS } from './timer-lists.js';
import { TimerNodes } from './timer-nodes.js';

export { TIMERS_MAX } from './timer-nodes.js';

/** Ticks that a slot of each level spans. */
const SPAN = [1, 2 ** 6, 2 ** 12, 2 ** 18, 2 ** 24, 2 ** 30];
/** Ticks in range of the six levels: a window, aligned to its size. */
const WINDOW = 2 ** 36;
/** The low five digits of a tick make a small integer; the rest is computed apart. */
const LOW = 2 ** 30;
const LOW_INVERSE = 2 ** -30;
/** Later deadlines count as this one: 142,000 years, exact in a double with room for sums. */
const TICK_MAX = 2 ** 52;

/** Timers of a slot that is being moved to lower levels. */
const CASCADING = LEVELS * SLOTS;
/** Timers that firing callbacks set for a time that is due: they wait for the next advance. */
const LATE = CASCADING + 1;
/** Timers beyond the window. */
const FAR = CASCADING + 2;

/**
 * Moving a timer to a lower level costs a fraction of firing it, but a million of them may lie in one slot, and to move
 * them all would stop the reactor: an advance makes at most this many moves for each timer it may fire.
 */
const MOVES_PER_FIRE = 4;
/** `nextDeadline` looks through a list of up to this many to be exact, so that an idle process wakes but once. */
const EXACT_MAX = 8;

export type TimerWheelOptions = {
  /** The time to start at, in milliseconds. */
  readonly now: number;
} & (
  | {
      /** The most timers at a time; memory grows by doubling up to this. 1 to `TIMERS_MAX`. */
      readonly capacityMax: number;
    }
  | {
      /**
       * Payloads are slots, less than this, each with one timer at most, whose id is the slot. Half the memory, in
       * exchange for ids that never go stale; and a deadline counts as no more than 49 days ahead.
       */
      readonly slots: number;
    }
);

/** Called for each timer that fires; its id is stale by then. May set, reset and clear; must not call `advance`. */
export type Fire = (payload: number, id: number) => void;

export class TimerWheel {
  readonly #nodes: TimerNodes | SlotTimers;
  #refused = 0;
  /** Every timer of an earlier tick has fired. Also split: its low five digits, and the rest. */
  #tick = 0;
  #low = 0;
  #high = 0;
  /** The tick an advance is running up to, and -1 outside of it. */
  #barrier = -1;
  /** No timer on the FAR list lies in an earlier window than this. */
  #farWindow = Number.POSITIVE_INFINITY;

  constructor(options: TimerWheelOptions) {
    if (!(options.now >= 0 && options.now <= TICK_MAX)) {
      throw new RangeError(`now must be 0 to 2^52 milliseconds, not ${options.now}`);
    }
    this.#nodes =
      'slots' in options ? new SlotTimers(options.slots) : new TimerNodes(options.capacityMax);
    this.#moveTo(Math.floor(options.now));
  }

  /** How many timers are set. */
  get size(): number {
    return this.#nodes.size;
  }

  /** How many timers fit the memory that is taken now. */
  get capacity(): number {
    return this.#nodes.capacity;
  }

  /** How often `set` was refused because `capacityMax` timers were set. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Sets a timer for an absolute time; one that has passed is due at the next advance. `payload` is any 32-bit integer.
   * Returns the id, or -1 when `capacityMax` timers are set. Throws RangeError for a deadline that is not a number.
   */
  set(deadlineMs: number, payload: number): number {
    const nodes = this.#nodes;
    const tick = this.#tickOf(deadlineMs);
    const node = nodes.take(tick, payload);
    if (node === 0) {
      this.#refused++;
      return -1;
    }
    nodes.link(node, tick === this.#barrier ? LATE : this.#listOf(tick));
    return nodes.idOf(node);
  }

  /** Gives a timer a new time. False when it is not set any more. */
  reset(id: number, deadlineMs: number): boolean {
    const nodes = this.#nodes;
    const tick = this.#tickOf(deadlineMs);
    const node = nodes.find(id);
    if (node === 0) {
      return false;
    }
    const before = nodes.tick(node, this.#tick);
    nodes.setTick(node, tick);
    if (tick < before || tick === this.#barrier) {
      nodes.unlink(node);
      nodes.link(node, tick === this.#barrier ? LATE : this.#listOf(tick));
    }
    return true;
  }

  /** Takes a timer back: it will not fire. False when it fired or was cleared before. */
  clear(id: number): boolean {
    const node = this.#nodes.find(id);
    if (node === 0) {
      return false;
    }
    this.#nodes.unlink(node);
    this.#nodes.giveBack(node);
    return true;
  }

  isActive(id: number): boolean {
    return this.#nodes.find(id) !== 0;
  }

  /** The payload of a timer that is set, and -1 for any other id. */
  payloadOf(id: number): number {
    const node = this.#nodes.find(id);
    return node === 0 ? -1 : this.#nodes.payload(node);
  }

  /** The deadline of a timer that is set, rounded up to whole milliseconds, and Infinity for any other id. */
  deadlineOf(id: number): number {
    const node = this.#nodes.find(id);
    return node === 0 ? Number.POSITIVE_INFINITY : this.#nodes.tick(node, this.#tick);
  }

  /**
   * Fires what is due, oldest tick first, at most `budget` timers. What a callback sets or resets to a time that is due
   * fires in a later advance, even one with the same time. True: the budget is used up and due timers may be left, so
   * call again soon. False: none is left. A `now` before that of an earlier advance does nothing. When `fire` throws,
   * its timer is gone, the others stay, and the error is the caller's.
   */
  advance(nowMs: number, fire: Fire, budget: number): boolean {
    if (this.#barrier >= 0) {
      throw new Error('advance must not be called by a timer that fires');
    }
    const nowTick = Math.min(Math.floor(nowMs), TICK_MAX);
    if (!(nowTick >= this.#tick)) {
      return false;
    }
    if (this.#nodes.isEmpty(CASCADING) && this.#startOf(this.#firstList()) > nowTick) {
      this.#moveTo(nowTick);
      return false;
    }
    this.#barrier = nowTick;
    try {
      return this.#run(nowTick, fire, budget);
    } finally {
      this.#barrier = -1;
      this.#admitLate();
    }
  }

  /**
   * No timer is due before this time, in milliseconds: exact while few are set, else up to the length of a slot early.
   * In the past when timers are due. Infinity when none is set.
   */
  nextDeadline(): number {
    const nodes = this.#nodes;
    if (!nodes.isEmpty(CASCADING)) {
      return this.#tick;
    }
    const list = this.#firstList();
    const start = this.#startOf(list);
    if (list < 0) {
      return start;
    }
    // A timer that was reset to later may still lie in this slot, before others that are due earlier.
    let earliest = list === FAR ? TICK_MAX : start + SPAN[list >> LEVEL_BITS];
    let node = nodes.first(list);
    for (let n = 0; node !== list; n++) {
      if (n === EXACT_MAX) {
        return start;
      }
      earliest = Math.min(earliest, nodes.tick(node, this.#tick));
      node = nodes.next(node);
    }
    return earliest;
  }

  /**
   * Gives memory of timers that are gone back to the system, where it can. With slots: none has a timer from `limit`
   * on. Not to be called by a timer that fires.
   */
  trim(limit: number): void {
    this.#nodes.trim(limit);
  }

  #run(nowTick: number, fire: Fire, budget: number): boolean {
    const nodes = this.#nodes;
    let moves = budget * MOVES_PER_FIRE;
    let fires = budget;
    for (;;) {
      moves = this.#cascade(moves);
      if (!nodes.isEmpty(CASCADING)) {
        return true;
      }
      const list = this.#firstList();
      const start = this.#startOf(list);
      if (start > nowTick) {
        this.#moveTo(nowTick);
        return false;
      }
      this.#moveTo(start);
      if (list >= SLOTS) {
        nodes.moveAll(list, CASCADING);
        this.#farWindow = list === FAR ? Number.POSITIVE_INFINITY : this.#farWindow;
        continue;
      }
      const node = nodes.first(list);
      if (nodes.tick(node, this.#tick) > start) {
        if (moves <= 0) {
          return true;
        }
        moves--;
        this.#relink(node);
        continue;
      }
      if (fires <= 0) {
        return true;
      }
      fires--;
      const payload = nodes.payload(node);
      const id = nodes.idOf(node);
      nodes.unlink(node);
      nodes.giveBack(node);
      fire(payload, id);
    }
  }

  /** Moves timers of the slot at whose start the wheel is to where they now belong. Returns how many moves are left. */
  #cascade(moves: number): number {
    let left = moves;
    for (
      let node = this.#nodes.first(CASCADING);
      node !== CASCADING && left > 0;
      node = this.#nodes.first(CASCADING)
    ) {
      this.#relink(node);
      left--;
    }
    return left;
  }

  #admitLate(): void {
    const nodes = this.#nodes;
    for (let node = nodes.first(LATE); node !== LATE; node = nodes.first(LATE)) {
      this.#relink(node);
    }
  }

  #relink(node: number): void {
    this.#nodes.unlink(node);
    this.#nodes.link(node, this.#listOf(this.#nodes.tick(node, this.#tick)));
  }

  #moveTo(tick: number): void {
    this.#tick = tick;
    this.#high = Math.floor(tick * LOW_INVERSE);
    this.#low = (tick - this.#high * LOW) | 0;
  }

  /** The tick of a deadline: never one that the wheel has passed. */
  #tickOf(deadlineMs: number): number {
    if (Number.isNaN(deadlineMs)) {
      throw new RangeError('A deadline must be a number of milliseconds, not NaN');
    }
    // What is due while an advance is running is due at its end: the wheel moves on meanwhile.
    const earliest = Math.max(this.#tick, this.#barrier);
    const latest = Math.min(this.#tick + this.#nodes.aheadMax, TICK_MAX);
    return Math.max(Math.min(Math.ceil(deadlineMs), latest), earliest);
  }

  /** The list that a tick belongs to, seen from where the wheel is. */
  #listOf(tick: number): number {
    const high = Math.floor(tick * LOW_INVERSE);
    if (high === this.#high) {
      const low = (tick - high * LOW) | 0;
      // The place of the highest bit that differs, divided by 6: x * 43 >> 8 is exact below 30.
      const level = ((31 - Math.clz32((low ^ this.#low) | 1)) * 43) >> 8;
      return (level << LEVEL_BITS) | ((low >> (level * LEVEL_BITS)) & (SLOTS - 1));
    }
    if (high >> LEVEL_BITS === this.#high >> LEVEL_BITS) {
      return ((LEVELS - 1) << LEVEL_BITS) | (high & (SLOTS - 1));
    }
    this.#farWindow = Math.min(this.#farWindow, high >> LEVEL_BITS);
    return FAR;
  }

  /** The list with the earliest slot, FAR if only that is left, or -1. Those of CASCADING and LATE do not count. */
  #firstList(): number {
    const list = this.#nodes.firstUsed();
    return list < 0 && !this.#nodes.isEmpty(FAR) ? FAR : list;
  }

  /** The first tick of a list's slot; Infinity for none. */
  #startOf(list: number): number {
    if (list < 0) {
      return Number.POSITIVE_INFINITY;
    }
    if (list === FAR) {
      return this.#farWindow * WINDOW;
    }
    const span = SPAN[list >> LEVEL_BITS];
    const turn = span * SLOTS;
    return Math.floor(this.#tick / turn) * turn + (list & (SLOTS - 1)) * span;
  }
}
