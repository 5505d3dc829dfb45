/** Accepting on epoll: until it would block, up to the budget of a batch. Used by epoll.ts. */

import { EAGAIN } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import type { Completions, DriverCounters } from '../driver.js';
import { ACCEPTING, type EpollSlots } from './epoll-slots.js';
import { stopsAccepting } from './retry.js';

export class EpollListeners {
  readonly #kernel: Kernel;
  readonly #slots: EpollSlots;
  readonly #completions: Completions;
  readonly #counters: DriverCounters;
  readonly #budget: number;

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
