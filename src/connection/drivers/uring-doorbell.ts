/**
 * What the host's loop watches for the io_uring driver: an epoll over the eventfd that the rings signal and the wake
 * descriptor. The poll that a ring has on the latter does not always signal the former: one eventfd that signals
 * another does so only once (seen on 6.18; eventfd.c guards against recursion).
 */

import type { Kernel } from '../../base/kernel.js';
import { EPOLL_CTL_ADD, EPOLLIN } from '../../base/linux.js';
import type { DriverCounters } from '../driver.js';
import { expectSuccess } from './retry.js';

export class UringDoorbell {
  /** Signalled by the rings. */
  readonly eventfd: number;
  readonly wakeDescriptor: number;
  /** Both. */
  readonly signals: readonly number[];
  /** Readable when either of them is. */
  readonly descriptor: number;
  /** It may ring, and has to be silenced. */
  isResting = false;
  /** The host has read the eventfd. */
  isDrained = false;
  readonly #kernel: Kernel;
  /** Those that are closed with it. */
  readonly #owned: number[] = [];

  /** `wakeDescriptor` stays the caller's; without one an eventfd is made. Throws SystemError, leaving nothing. */
  constructor(kernel: Kernel, wakeDescriptor: number | undefined) {
    this.#kernel = kernel;
    try {
      this.eventfd = this.#own(expectSuccess('eventfd', kernel.eventfd()));
      this.wakeDescriptor = wakeDescriptor ?? this.#own(expectSuccess('eventfd', kernel.eventfd()));
      this.descriptor = this.#own(expectSuccess('epoll_create1', kernel.epollCreate()));
      this.signals = [this.eventfd, this.wakeDescriptor];
      for (const watched of this.signals) {
        const n = kernel.epollControl(this.descriptor, EPOLL_CTL_ADD, watched, EPOLLIN, 0, 0);
        expectSuccess('epoll_ctl', n);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #own(fd: number): number {
    this.#owned.push(fd);
    return fd;
  }

  /** The rings signal no more: reads what they have signalled. */
  silence(counters: DriverCounters): void {
    if (!this.isDrained) {
      counters.calls += 1;
      this.#kernel.drain(this.eventfd);
    }
    this.isDrained = false;
    this.isResting = false;
  }

  close(): void {
    for (const fd of this.#owned) {
      this.#kernel.close(fd);
    }
  }
}
