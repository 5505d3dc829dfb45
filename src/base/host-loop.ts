/**
 * The real kernel's hooks into Node's event loop: a doorbell on a descriptor, an alarm on a timer.
 */

import { createSocket, type Socket } from 'node:dgram';

import { SystemError } from '../errors.js';
import { errno, type Libc } from './ffi.js';
import type { Alarm, Doorbell, Kernel } from './kernel.js';
import {
  AF_INET,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLLIN,
  O_CLOEXEC,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from './linux.js';

/**
 * A UDP socket of Node's whose descriptor is made to lead to an epoll instance (dup3) that watches `fd`: when that is
 * readable, Node tries to receive, which fails (ENOTSOCK), and the `error` event is the ring.
 *
 * It has to be a handle of Node's own. koffi's (`koffi.node.poll`, 3.3.4) calls into JavaScript also while a thread is
 * being ended (`worker.terminate()`, a full heap, `process.exit()`), which Node refuses, and then it aborts the
 * process: under traffic that was up to 7 of 10 ends. Node's check before they call back, and cost 2 microseconds more.
 */
export class HostDoorbell implements Doorbell {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #socket: Socket;
  /** The socket's descriptor, which Node closes. */
  readonly #epfd: number;
  #running = true;
  #isClosed = false;

  constructor(libc: Libc, kernel: Kernel, fd: number, callback: () => void) {
    this.#kernel = kernel;
    this.#fd = fd;
    const epfd = libc.epoll_create1(EPOLL_CLOEXEC);
    this.#epfd = libc.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (epfd < 0 || this.#epfd < 0) {
      const code = errno();
      libc.close(epfd);
      libc.close(this.#epfd);
      throw new SystemError('open', code, 'the doorbell');
    }
    this.#socket = createSocket('udp4').on('error', callback);
    this.#socket.bind({ fd: this.#epfd, exclusive: true });
    libc.dup3(epfd, this.#epfd, O_CLOEXEC);
    libc.close(epfd);
    this.#watch(EPOLL_CTL_ADD, EPOLLIN);
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  stop(): void {
    if (this.#running && !this.#isClosed) {
      this.#running = false;
      this.#watch(EPOLL_CTL_MOD, 0);
    }
  }

  start(): void {
    if (!this.#running && !this.#isClosed) {
      this.#running = true;
      this.#watch(EPOLL_CTL_MOD, EPOLLIN);
    }
  }

  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#socket.close();
    }
  }

  #watch(operation: number, events: number): void {
    this.#kernel.epollControl(this.#epfd, operation, this.#fd, events, 0, 0);
  }
}

export class HostAlarm implements Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #referenced = false;

  constructor(callback: () => void) {
    this.#ring = callback;
  }

  set(delayMs: number): void {
    this.clear();
    // Node takes delays of up to 2^31 - 1 ms; the caller arms again when woken early.
    const delay = Math.min(Math.max(1, Math.ceil(delayMs)), 0x7fff_ffff);
    this.#timer = setTimeout(this.#ring, delay);
    if (!this.#referenced) {
      this.#timer.unref();
    }
  }

  clear(): void {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  ref(): void {
    this.#referenced = true;
    this.#timer?.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#timer?.unref();
  }
}
