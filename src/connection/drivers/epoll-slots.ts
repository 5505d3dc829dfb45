/**
 * What the epoll driver knows of its slots: typed arrays of descriptor, generation, kind, activity and registered mask,
 * and the epoll registrations kept in line with them. Used by epoll.ts alone.
 */

import { Columns } from '../../base/columns.js';
import { EBADF } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
} from '../../base/linux.js';
import type { DriverCounters } from '../driver.js';

/** What a slot is. */
export const FREE = 0;
export const STREAM = 1;
export const LISTENER = 2;
export const CONNECTING = 3;
export const CLOSING = 4;
/** A descriptor whose calls are made above the driver. */
export const POLLED = 5;

/** What a slot does, as bits. */
export const REGISTERED = 1;
export const RECEIVING = 2;
export const SENDING = 4;
export const ENDED = 8;
export const ACCEPTING = 16;
export const FAILED = 32;
export const ROOMY = 64;

/** The slot number of the wake descriptor's registration. */
export const WAKE = -1;

export class EpollSlots {
  fds!: Int32Array;
  /** These stay: events of former uses may still come. */
  readonly generations: Int32Array;
  kinds!: Uint8Array;
  flags!: Uint8Array;
  /** The mask each slot is registered with. */
  #masks!: Uint8Array;
  readonly #capacity: number;
  readonly #kernel: Kernel;
  readonly #epfd: number;
  readonly #counters: DriverCounters;

  constructor(kernel: Kernel, epfd: number, capacity: number, counters: DriverCounters) {
    this.#kernel = kernel;
    this.#epfd = epfd;
    this.#counters = counters;
    this.#capacity = capacity;
    this.generations = new Int32Array(capacity);
    this.trim(0);
  }

  /** Makes new columns, which hold the first slots only; see Driver.trim. */
  trim(limit: number): void {
    const columns = new Columns(this.#capacity, 7);
    this.fds = columns.cut(Int32Array, this.fds, limit);
    this.kinds = columns.cut(Uint8Array, this.kinds, limit);
    this.flags = columns.cut(Uint8Array, this.flags, limit);
    this.#masks = columns.cut(Uint8Array, this.#masks, limit);
  }

  /** Starts a use of a slot. */
  begin(slot: number, fd: number, kind: number): void {
    if (this.kinds[slot] !== FREE) {
      throw new Error(`Cannot use slot ${slot}: it is in use (a slot is free after closed)`);
    }
    this.kinds[slot] = kind;
    this.fds[slot] = fd;
    this.flags[slot] = 0;
    this.#masks[slot] = 0;
  }

  /** Ends a use: events that still come do not match the generation. Returns the descriptor, which is out of epoll. */
  end(slot: number, kind: number): number {
    this.unregister(slot);
    const fd = this.fds[slot];
    this.fds[slot] = -1;
    this.flags[slot] = 0;
    this.kinds[slot] = kind;
    this.generations[slot] += 1;
    return fd;
  }

  /** Whether the slot has a descriptor. */
  isOpen(slot: number): boolean {
    return this.kinds[slot] !== FREE && this.kinds[slot] !== CLOSING;
  }

  /** Closes all descriptors, for good. */
  closeAll(): void {
    for (let slot = 0; slot < this.fds.length; slot += 1) {
      if (this.isOpen(slot)) {
        this.#kernel.close(this.end(slot, FREE));
      }
    }
  }

  /** Ends an activity of slots of one kind. A stream that never received is registered now, for its errors. */
  stop(slot: number, kind: number, flag: number): void {
    if (this.kinds[slot] === kind) {
      this.flags[slot] &= ~flag;
      this.sync(slot, kind === STREAM);
    }
  }

  /** Epoll is told when something arrives: most who stop go on before that, which then costs no call. */
  stopReceiving(slot: number): void {
    if ((this.flags[slot] & REGISTERED) === 0) {
      this.stop(slot, STREAM, RECEIVING);
    } else if (this.kinds[slot] === STREAM) {
      this.flags[slot] &= ~RECEIVING;
    }
  }

  /** What a watched slot waits for. 0 or -errno. */
  want(slot: number, events: number): number {
    if (this.kinds[slot] !== POLLED) {
      return -EBADF;
    }
    const receiving = (events & EPOLLIN) === 0 ? 0 : RECEIVING;
    const sending = (events & EPOLLOUT) === 0 ? 0 : SENDING;
    this.flags[slot] = (this.flags[slot] & ~(RECEIVING | SENDING)) | receiving | sending;
    return this.sync(slot, true);
  }

  /** Brings the registration in line with what the slot does. 0 or -errno. */
  sync(slot: number, forErrors = false): number {
    const flags = this.flags[slot];
    if ((flags & FAILED) !== 0) {
      return 0;
    }
    let mask = 0;
    if ((flags & (RECEIVING | ENDED)) === RECEIVING || (flags & ACCEPTING) !== 0) {
      mask |= EPOLLIN;
    }
    if ((flags & SENDING) !== 0 || this.kinds[slot] === CONNECTING) {
      mask |= EPOLLOUT;
    }
    const registered = (flags & REGISTERED) !== 0;
    if (registered ? mask === this.#masks[slot] : mask === 0 && !forErrors) {
      return 0;
    }
    this.#masks[slot] = mask;
    this.flags[slot] |= REGISTERED;
    const operation = registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    const n = this.control(operation, this.fds[slot], mask, slot, this.generations[slot]);
    if (n < 0 && !registered) {
      this.flags[slot] &= ~REGISTERED;
    }
    return n;
  }

  /** Explicit, since closing alone does not end the registration while another process has the description too. */
  unregister(slot: number): void {
    if ((this.flags[slot] & REGISTERED) !== 0) {
      this.flags[slot] &= ~REGISTERED;
      this.#masks[slot] = 0;
      this.control(EPOLL_CTL_DEL, this.fds[slot], 0, 0, 0);
    }
  }

  /** Registers the wake descriptor, which has no slot. 0 or -errno. */
  addWake(fd: number): number {
    return this.control(EPOLL_CTL_ADD, fd, EPOLLIN, WAKE, 0);
  }

  control(operation: number, fd: number, events: number, low: number, high: number): number {
    this.#counters.calls += 1;
    return this.#kernel.epollControl(this.#epfd, operation, fd, events, low, high);
  }
}
