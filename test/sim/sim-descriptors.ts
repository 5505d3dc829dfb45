/**
 * Open file descriptions and the process's table of descriptors, which all simulated threads share. A number that is
 * free is given out again at once, the lowest first, as Linux does: code that uses a descriptor after its close hits
 * somebody else's. A use of a number that is not open is noted as a violation and answered with -EBADF.
 */

import { EBADF, EMFILE, ENFILE } from '../../src/base/errno.js';
import type { ViolationLog } from './sim-violation.js';

/** Someone who wants to know when a description may have become ready: an epoll registration or a peer. */
export interface Watcher {
  wake(): void;
  /** The description is gone. */
  gone(): void;
}

/** What the kernel writes each creation and close to: the part of base/descriptors.ts that matters here. */
export interface DescriptorRecord {
  set(fd: number, owner: number): void;
  clear(fd: number): void;
}

/** What a descriptor names. It lives until its last descriptor is closed. */
export abstract class Description {
  abstract readonly kind: 'tcp' | 'unix' | 'datagram' | 'epoll' | 'eventfd' | 'uring' | 'file';
  /** Descriptors that name it. */
  references = 0;
  readonly watchers: Watcher[] = [];

  /** The epoll events that are true now, whether asked for or not. */
  abstract poll(): number;
  /** The last descriptor is closed. */
  abstract closed(): void;

  notify(): void {
    const watchers = this.watchers;
    for (let i = 0; i < watchers.length; i++) watchers[i]!.wake();
  }

  unwatch(watcher: Watcher): void {
    const at = this.watchers.indexOf(watcher);
    if (at >= 0) this.watchers.splice(at, 1);
  }

  drop(): void {
    this.references--;
    if (this.references > 0) return;
    for (const watcher of this.watchers.splice(0)) watcher.gone();
    this.closed();
  }
}

/** 0, 1 and 2 are the standard streams. */
const FIRST_DESCRIPTOR = 3;

export class DescriptorTable {
  readonly #violations: ViolationLog;
  readonly #limit: number;
  readonly #systemLimit: number;
  readonly #open: (Description | undefined)[] = [undefined, undefined, undefined];
  /** The name of the thread that closed the number last. */
  readonly #closedBy: (string | undefined)[] = [];
  #lowestFree = FIRST_DESCRIPTOR;
  /** Open descriptors, for leak checks. */
  count = 0;

  constructor(limit: number, systemLimit: number, violations: ViolationLog) {
    this.#limit = limit;
    this.#systemLimit = systemLimit;
    this.#violations = violations;
  }

  /** 0 if another descriptor can be made, or -EMFILE or -ENFILE. */
  room(): number {
    if (this.#lowestFree >= this.#limit) return -EMFILE;
    return this.count >= this.#systemLimit ? -ENFILE : 0;
  }

  /** Names a description by the lowest free number. */
  open(description: Description): number {
    const room = this.room();
    if (room < 0) return room;
    const fd = this.#lowestFree;
    this.#open[fd] = description;
    description.references++;
    this.count++;
    let free = fd + 1;
    while (this.#open[free] !== undefined) free++;
    this.#lowestFree = free;
    return fd;
  }

  /** The description, or undefined after noting the violation; the answer is then -EBADF. */
  find(fd: number, thread: string, use: string): Description | undefined {
    const description = this.#open[fd];
    if (description !== undefined) return description;
    const closer = this.#closedBy[fd];
    const history = closer === undefined ? 'was never open' : `was closed by ${closer}`;
    this.#violations.note(`${thread}: ${use} of descriptor ${fd}, which ${history}`);
    return undefined;
  }

  /** The description of an open number, for the scheduler and tests: no violation. */
  peek(fd: number): Description | undefined {
    return this.#open[fd];
  }

  close(fd: number, thread: string): number {
    const description = this.find(fd, thread, 'close');
    if (description === undefined) return -EBADF;
    this.#open[fd] = undefined;
    this.#closedBy[fd] = thread;
    this.count--;
    if (fd < this.#lowestFree) this.#lowestFree = fd;
    description.drop();
    return 0;
  }

  /** The open descriptors with what they name, for messages about leaks. */
  list(): string[] {
    const lines: string[] = [];
    this.#open.forEach((description, fd) => {
      if (description !== undefined) lines.push(`${fd}: ${description.kind}`);
    });
    return lines;
  }
}

/** An eventfd: a count that is readable while it is not 0. */
export class SimEventfd extends Description {
  override readonly kind = 'eventfd';
  count = 0;

  add(): void {
    this.count++;
    this.notify();
  }

  override poll(): number {
    // EPOLLIN and EPOLLOUT; the count never gets near its limit of 2^64 - 1.
    return this.count > 0 ? 0x5 : 0x4;
  }

  override closed(): void {}
}
