/**
 * The real kernel's hooks into Node's event loop: a doorbell on a descriptor, an alarm on a timer.
 */

import { createSocket, type Socket } from 'node:dgram';
import { Socket as NetSocket, type SocketConstructorOpts } from 'node:net';

import { SystemError } from '../errors.js';
import { errno, type Libc } from './ffi.js';
import type { Alarm, Doorbell, Kernel, OnRing } from './kernel.js';
import {
  AF_INET,
  AF_UNIX,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLLIN,
  O_CLOEXEC,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from './linux.js';

/** See Kernel.doorbell. */
export function createDoorbell(
  libc: Libc,
  kernel: Kernel,
  fd: number,
  onRing: OnRing,
  signals: readonly number[] | undefined,
): Doorbell {
  return signals === undefined
    ? new HostDoorbell(libc, kernel, fd, () => onRing(false))
    : new SignalDoorbell(libc, signals, () => onRing(true));
}

/**
 * A UDP socket of Node's whose descriptor is made to lead to an epoll instance (dup3) that watches `fd`: when that is
 * readable, Node tries to receive, which fails (ENOTSOCK), and the `error` event is the ring.
 *
 * It has to be a handle of Node's own. koffi's (`koffi.node.poll`, 3.3.4) calls into JavaScript also while a thread is
 * being ended (`worker.terminate()`, a full heap, `process.exit()`), which Node refuses, and then it aborts the
 * process: under traffic that was up to 7 of 10 ends. Node's check before they call back, and cost 2 microseconds more.
 */
class HostDoorbell implements Doorbell {
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

/**
 * Eventfds that the host reads: each takes the place (dup3) of a socket that Node reads from, so that a signal costs a
 * read and one call. A HostDoorbell costs a call that fails, and an Error with its stack: two or three microseconds
 * more, which is a tenth of what a request that comes alone costs.
 */
class SignalDoorbell implements Doorbell {
  readonly #sockets: NetSocket[] = [];
  #running = true;

  constructor(libc: Libc, signals: readonly number[], callback: () => void) {
    const onread = {
      // More than a counter: what fills the buffer would be read from once more.
      buffer: new Uint8Array(16),
      callback: (): boolean => {
        callback();
        return true;
      },
    };
    for (const signal of signals) {
      const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) {
        const code = errno();
        this.close();
        throw new SystemError('open', code, 'the doorbell');
      }
      // Before the loop looks at it next: it never sees the socket.
      this.#sockets.push(new NetSocket({ fd, readable: true, onread } as SocketConstructorOpts));
      libc.dup3(signal, fd, O_CLOEXEC);
    }
  }

  ref(): void {
    for (const socket of this.#sockets) {
      socket.ref();
    }
  }

  unref(): void {
    for (const socket of this.#sockets) {
      socket.unref();
    }
  }

  stop(): void {
    if (this.#running) {
      this.#running = false;
      for (const socket of this.#sockets) {
        socket.pause();
      }
    }
  }

  start(): void {
    if (!this.#running) {
      this.#running = true;
      for (const socket of this.#sockets) {
        socket.resume();
      }
    }
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) {
      socket.destroy();
    }
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
