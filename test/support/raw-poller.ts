/**
 * Readiness for the raw sockets of a test, on a kernel and an epoll instance of their own: one for each thread, made
 * when first needed and kept. It does not keep the process alive while nobody waits.
 */

import type { Doorbell, Region } from '../../src/base/kernel.js';
import { EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from '../../src/base/layout.js';
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
} from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';

const EVENTS_MAX = 256;
export const RECEIVE_BYTES = 65_536;

interface Waiters {
  onReadable: (() => void) | undefined;
  onWritable: (() => void) | undefined;
}

export class RawPoller {
  readonly kernel = new LinuxKernel();
  /** Where received bytes go; valid until the next receive. */
  readonly received: Region = this.kernel.allocate(RECEIVE_BYTES);
  readonly #epfd = this.kernel.epollCreate();
  readonly #events = this.kernel.allocate(EVENTS_MAX * EPOLL_EVENT_SIZE);
  readonly #waiters = new Map<number, Waiters>();
  readonly #doorbell: Doorbell = this.kernel.doorbell(this.#epfd, () => this.#ring());

  constructor() {
    this.#doorbell.unref();
  }

  readable(fd: number): Promise<void> {
    return new Promise((resolve) => {
      this.#watch(fd).onReadable = resolve;
      this.#sync(fd);
    });
  }

  writable(fd: number): Promise<void> {
    return new Promise((resolve) => {
      this.#watch(fd).onWritable = resolve;
      this.#sync(fd);
    });
  }

  /** Ends all waiting for this descriptor: it is about to be closed. */
  forget(fd: number): void {
    const waiters = this.#waiters.get(fd);
    if (waiters !== undefined) {
      this.#waiters.delete(fd);
      this.kernel.epollControl(this.#epfd, EPOLL_CTL_DEL, fd, 0, 0, 0);
      waiters.onReadable?.();
      waiters.onWritable?.();
      this.#syncReference();
    }
  }

  #watch(fd: number): Waiters {
    let waiters = this.#waiters.get(fd);
    if (waiters === undefined) {
      waiters = { onReadable: undefined, onWritable: undefined };
      this.#waiters.set(fd, waiters);
      this.kernel.epollControl(this.#epfd, EPOLL_CTL_ADD, fd, 0, fd, 0);
      this.#syncReference();
    }
    return waiters;
  }

  #sync(fd: number): void {
    const waiters = this.#waiters.get(fd)!;
    const { onReadable, onWritable } = waiters;
    if (onReadable === undefined && onWritable === undefined) {
      this.forget(fd);
      return;
    }
    const mask =
      (onReadable === undefined ? 0 : EPOLLIN) | (onWritable === undefined ? 0 : EPOLLOUT);
    this.kernel.epollControl(this.#epfd, EPOLL_CTL_MOD, fd, mask, fd, 0);
  }

  #syncReference(): void {
    if (this.#waiters.size > 0) {
      this.#doorbell.ref();
    } else {
      this.#doorbell.unref();
    }
  }

  /** Promise jobs must not be started from a doorbell: the next round of the loop does the work. */
  #ring(): void {
    this.#doorbell.stop();
    setImmediate(() => {
      this.#poll();
      this.#doorbell.start();
      this.#syncReference();
    });
  }

  #poll(): void {
    const n = this.kernel.epollWait(this.#epfd, this.#events);
    const { bytes } = this.#events;
    for (let i = 0; i < n; i += 1) {
      const at = i * EPOLL_EVENT_SIZE;
      const events = bytes.readUInt32LE(at);
      const fd = bytes.readInt32LE(at + EPOLL_EVENT_DATA);
      const waiters = this.#waiters.get(fd);
      if (waiters === undefined) {
        continue;
      }
      const { onReadable, onWritable } = waiters;
      if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) !== 0) {
        waiters.onReadable = undefined;
        onReadable?.();
      }
      if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) !== 0) {
        waiters.onWritable = undefined;
        onWritable?.();
      }
      this.#sync(fd);
    }
  }
}

let poller: RawPoller | undefined;

/** The calling thread's. */
export function rawPoller(): RawPoller {
  poller ??= new RawPoller();
  return poller;
}
