/**
 * Connecting on epoll: the outcome comes as writability and SO_ERROR, or at once, and is reported by `connected` inside
 * the next batch in either case. Used by epoll.ts.
 */

import { EINPROGRESS } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import type { Completions, DriverCounters } from '../driver.js';
import { connectOutcome } from './connect-outcome.js';
import { CONNECTING, type EpollSlots, FAILED, FREE, STREAM } from './epoll-slots.js';

export class EpollConnects {
  readonly #kernel: Kernel;
  readonly #slots: EpollSlots;
  readonly #completions: Completions;
  readonly #counters: DriverCounters;
  /** Connects that ended at once: slot, errno, slot, errno, … */
  #immediate: number[] = [];

  constructor(
    kernel: Kernel,
    slots: EpollSlots,
    completions: Completions,
    counters: DriverCounters,
  ) {
    this.#kernel = kernel;
    this.#slots = slots;
    this.#completions = completions;
    this.#counters = counters;
  }

  get hasWork(): boolean {
    return this.#immediate.length > 0;
  }

  begin(slot: number, fd: number, sockaddr: Uint8Array): number {
    this.#slots.begin(slot, fd, CONNECTING);
    this.#counters.calls += 1;
    const n = this.#kernel.connect(fd, sockaddr);
    if (n === -EINPROGRESS) {
      const m = this.#slots.sync(slot);
      if (m < 0) {
        this.#slots.end(slot, FREE);
      }
      return m;
    }
    this.#immediate.push(slot, -n);
    return 0;
  }

  /** An event of a connecting slot. One that brings no outcome is ignored: it comes again. */
  onEvent(slot: number): void {
    const code = connectOutcome(this.#kernel, this.#slots.fds[slot], this.#counters);
    if (code !== undefined) {
      this.#finish(slot, code);
    }
  }

  /** Reports connects that ended at once. Returns how many. */
  report(): number {
    const list = this.#immediate;
    this.#immediate = [];
    for (let i = 0; i < list.length; i += 2) {
      if (this.#slots.kinds[list[i]] === CONNECTING) {
        this.#finish(list[i], list[i + 1]);
      }
    }
    return list.length / 2;
  }

  #finish(slot: number, code: number): void {
    if (code === 0) {
      this.#slots.kinds[slot] = STREAM;
      this.#slots.sync(slot);
    } else {
      this.#slots.flags[slot] |= FAILED;
      this.#slots.unregister(slot);
    }
    this.#completions.connected(slot, code);
  }
}
