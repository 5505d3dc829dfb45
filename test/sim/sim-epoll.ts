/**
 * Level-triggered epoll as in fs/eventpoll.c: a list of what may be ready, which wake-ups append to and a wait looks
 * through. What it reports goes to the end of the list, so that with few places in the answer everyone has a turn.
 * A registration belongs to a pair of number and description: it outlives the number if a duplicate keeps the
 * description alive, and reports events under the old data. Edge-triggered and exclusive modes are not modelled.
 */

import { EEXIST, EINVAL, ENOENT } from '../../src/base/errno.js';
import { EPOLL_EVENT_DATA, EPOLL_EVENT_EVENTS, EPOLL_EVENT_SIZE } from '../../src/base/layout.js';
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from '../../src/base/linux.js';
import type { Faults } from './faults.js';
import type { Random } from './random.js';
import { Description, type Watcher } from './sim-descriptors.js';

const EPOLLONESHOT = 0x4000_0000;
const MODELLED = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLONESHOT;
/** The bits that say how, rather than for what, to wait. */
const PRIVATE = EPOLLONESHOT;

class Registration implements Watcher {
  readonly epoll: SimEpoll;
  readonly fd: number;
  readonly description: Description;
  events = 0;
  low = 0;
  high = 0;
  isListed = false;
  /** Position in the epoll's list of all registrations; -1 once removed. */
  place = 0;

  constructor(epoll: SimEpoll, fd: number, description: Description) {
    this.epoll = epoll;
    this.fd = fd;
    this.description = description;
  }

  /** The events to report now. A spent one-shot reports nothing. */
  ready(): number {
    const wanted = this.events & ~PRIVATE;
    return wanted === 0 ? 0 : this.description.poll() & wanted;
  }

  wake(): void {
    this.epoll.list(this);
  }

  gone(): void {
    this.epoll.remove(this);
  }
}

export class SimEpoll extends Description {
  override readonly kind = 'epoll';
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #all: Registration[] = [];
  #ready: Registration[] = [];

  constructor(random: Random, faults: Faults) {
    super();
    this.#random = random;
    this.#faults = faults;
  }

  /** Registrations, for tests. */
  get size(): number {
    return this.#all.length;
  }

  /** What a descriptor is registered for, for checkers: the events, or undefined. */
  interestOf(fd: number): number | undefined {
    const registration = this.#all.find((candidate) => candidate.fd === fd);
    return registration === undefined ? undefined : registration.events & ~(EPOLLERR | EPOLLHUP);
  }

  override poll(): number {
    let kept = 0;
    const ready = this.#ready;
    for (; kept < ready.length; kept++) {
      const registration = ready[kept]!;
      if (registration.place >= 0 && registration.ready() !== 0) break;
      registration.isListed = false;
    }
    if (kept > 0) ready.splice(0, kept);
    return ready.length > 0 ? EPOLLIN : 0;
  }

  override closed(): void {
    for (const registration of this.#all) {
      registration.place = -1;
      registration.description.unwatch(registration);
    }
    this.#all.length = 0;
    this.#ready.length = 0;
  }

  /** epoll_ctl, but for bad descriptors. */
  control(
    operation: number,
    fd: number,
    description: Description,
    events: number,
    low: number,
    high: number,
  ): number {
    if (description === this) return -EINVAL;
    const found = description.watchers.find(
      (watcher) => watcher instanceof Registration && watcher.epoll === this && watcher.fd === fd,
    ) as Registration | undefined;
    if (operation === EPOLL_CTL_ADD) {
      if (found !== undefined) return -EEXIST;
      const registration = new Registration(this, fd, description);
      registration.place = this.#all.length;
      this.#all.push(registration);
      description.watchers.push(registration);
      this.set(registration, events, low, high);
      return 0;
    }
    if (operation !== EPOLL_CTL_MOD && operation !== EPOLL_CTL_DEL) return -EINVAL;
    if (found === undefined) return -ENOENT;
    if (operation === EPOLL_CTL_MOD) {
      this.set(found, events, low, high);
    } else {
      description.unwatch(found);
      this.remove(found);
    }
    return 0;
  }

  /** Whether the model knows these events. */
  static isModelled(events: number): boolean {
    return (events & ~MODELLED) === 0;
  }

  /** epoll_wait with no timeout: the number of events written to `target`. */
  wait(target: Buffer): number {
    const max = Math.floor(target.length / EPOLL_EVENT_SIZE);
    if (max <= 0) return -EINVAL;
    if (this.#ready.length > 0 && this.#faults.hit('waitInterrupted')) return 0;
    if (this.#ready.length > 1 && this.#faults.hit('eventsShuffled')) {
      this.#random.shuffle(this.#ready);
    }
    let n = 0;
    const looked = this.#ready;
    const again: Registration[] = [];
    let i = 0;
    for (; i < looked.length && n < max; i++) {
      const registration = looked[i]!;
      if (registration.place < 0) continue;
      const events = registration.ready();
      if (events === 0) {
        registration.isListed = false;
        continue;
      }
      again.push(registration);
      if (this.#faults.hit('eventWithheld')) continue;
      this.write(target, n++, registration, this.partOf(events));
      if ((registration.events & EPOLLONESHOT) !== 0) registration.events &= PRIVATE;
    }
    if (i === looked.length) this.#ready = again;
    else this.#ready = looked.slice(i).concat(again);
    if (n < max && this.#all.length > 0 && this.#faults.hit('eventSpurious')) {
      n += this.writeSpurious(target, n, again);
    }
    return n;
  }

  list(registration: Registration): void {
    if (registration.isListed) return;
    registration.isListed = true;
    this.#ready.push(registration);
    // An epoll descriptor may itself be watched, by another one.
    if (this.watchers.length > 0) this.notify();
  }

  remove(registration: Registration): void {
    const place = registration.place;
    if (place < 0) return;
    registration.place = -1;
    const last = this.#all.pop()!;
    if (last !== registration) {
      this.#all[place] = last;
      last.place = place;
    }
    const at = registration.isListed ? this.#ready.indexOf(registration) : -1;
    if (at >= 0) this.#ready.splice(at, 1);
  }

  private set(registration: Registration, events: number, low: number, high: number): void {
    // Errors and hang-ups are always reported, to those who wait for nothing as well (epoll_ctl(2)).
    registration.events = events | EPOLLERR | EPOLLHUP;
    registration.low = low;
    registration.high = high;
    if (registration.ready() !== 0) this.list(registration);
  }

  /** Some of the reasons, as if the others came true only after the wait. Errors never hide. */
  private partOf(events: number): number {
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0 || !this.#faults.hit('eventSplit')) return events;
    const part = events & (this.#random.chance(0.5) ? EPOLLIN : EPOLLOUT);
    return part === 0 ? events : part;
  }

  /** An event for a registration that is not ready, or 0 if the one picked is. */
  private writeSpurious(target: Buffer, at: number, reported: Registration[]): number {
    const registration = this.#random.pick(this.#all);
    if (reported.includes(registration)) return 0;
    const events = registration.events & (this.#random.chance(0.5) ? EPOLLIN : EPOLLOUT);
    if (events === 0) return 0;
    this.write(target, at, registration, events);
    return 1;
  }

  private write(target: Buffer, index: number, registration: Registration, events: number): void {
    const at = index * EPOLL_EVENT_SIZE;
    target.writeUInt32LE(events >>> 0, at + EPOLL_EVENT_EVENTS);
    target.writeUInt32LE(registration.low >>> 0, at + EPOLL_EVENT_DATA);
    target.writeUInt32LE(registration.high >>> 0, at + EPOLL_EVENT_DATA + 4);
  }
}
