/** Accepting on epoll: until it would block, up to the budget of a batch. Used by epoll.ts. */

import { EAGAIN } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import type { Completions, DriverCounters } from '../driver.js';
import { ACCEPTING, type EpollSlots, LISTENER } from './epoll-slots.js';
import { stopsAccepting } from './retry.js';

export class EpollListeners {
  readonly #kernel: Kernel;
  readonly #slots: EpollSlots;
  readonly #completions: Completions;
  readonly #counters: DriverCounters;
  readonly #budget: number;
  /** Listeners that epoll did not take, to be reported: slot, errno, slot, errno, … */
  #refused: number[] = [];

  constructor(
    kernel: Kernel,
    slots: EpollSlots,
    completions: Completions,
    counters: DriverCounters,
    budget: number,
  ) {
    this.#kernel = kernel;
    this.#slots = slots;
    this.#completions = completions;
    this.#counters = counters;
    this.#budget = budget;
  }

  get hasWork(): boolean {
    return this.#refused.length > 0;
  }

  start(slot: number): void {
    this.#slots.flags[slot] |= ACCEPTING;
    const n = this.#slots.sync(slot);
    if (n < 0) {
      this.#slots.flags[slot] &= ~ACCEPTING;
      this.#refused.push(slot, -n);
    }
  }

  /** Reports listeners that could not be registered. Returns how many. */
  report(): number {
    const list = this.#refused;
    this.#refused = [];
    for (let i = 0; i < list.length; i += 2) {
      if (this.#slots.kinds[list[i]] === LISTENER) {
        this.#completions.acceptFailed(list[i], list[i + 1]);
      }
    }
    return list.length / 2;
  }

  onEvent(slot: number): void {
    const { fds, generations, flags } = this.#slots;
    const fd = fds[slot];
    const generation = generations[slot];
    for (let i = 0; i < this.#budget; i += 1) {
      if (generations[slot] !== generation || (flags[slot] & ACCEPTING) === 0) {
        return;
      }
      this.#counters.calls += 1;
      const n = this.#kernel.accept(fd);
      if (n >= 0) {
        this.#completions.accepted(slot, n);
      } else if (n === -EAGAIN) {
        return;
      } else if (stopsAccepting(-n)) {
        flags[slot] &= ~ACCEPTING;
        this.#slots.sync(slot);
        this.#completions.acceptFailed(slot, -n);
        return;
      } else {
        this.#counters.acceptErrors += 1;
      }
    }
  }
}
