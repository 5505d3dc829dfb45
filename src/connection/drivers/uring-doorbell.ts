/**
 * What the host's loop watches for the io_uring driver: an epoll over the eventfd that the rings signal and the wake
 * descriptor. The poll that a ring has on the latter does not always signal the former: one eventfd that signals
 * another does so only once (seen on 6.18; eventfd.c guards against recursion).
 */

import type { Kernel } from '../../base/kernel.js';
import { EPOLL_CTL_ADD, EPOLLIN } from '../../base/linux.js';
import { expectSuccess } from './retry.js';

export class UringDoorbell {
  /** Signalled by the rings. */
  readonly eventfd: number;
  readonly wakeDescriptor: number;
  /** Readable when either of them is. */
  readonly descriptor: number;
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
      for (const watched of [this.eventfd, this.wakeDescriptor]) {
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

  close(): void {
    for (const fd of this.#owned) {
      this.#kernel.close(fd);
    }
  }
}
