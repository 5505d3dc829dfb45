/**
 * One simulated thread's event loop, as far as the kernel contract shows it: deferred callbacks, doorbells and alarms.
 * It runs nothing by itself: the scheduler asks what could run and picks. Deferred callbacks run in order, as
 * setImmediate's do; all the rest comes in any order.
 */

import type { Alarm, Doorbell } from '../../src/base/kernel.js';
import { EPOLLERR, EPOLLHUP, EPOLLIN } from '../../src/base/linux.js';
import type { Faults } from './faults.js';
import type { Description, DescriptorTable } from './sim-descriptors.js';
import type { Timeline } from './sim-timeline.js';
import type { ViolationLog } from './sim-violation.js';

export interface HostServices {
  readonly table: DescriptorTable;
  readonly timeline: Timeline;
  readonly violations: ViolationLog;
  readonly faults: Faults;
}

export class SimHost {
  readonly services: HostServices;
  readonly name: string;
  readonly doorbells: SimDoorbell[] = [];
  readonly alarms: SimAlarm[] = [];
  #deferred: (() => void)[] = [];
  #head = 0;
  /** Wake-ups by reason, for tests of idleness. */
  doorbellRings = 0;
  alarmRings = 0;
  deferredRuns = 0;

  constructor(name: string, services: HostServices) {
    this.name = name;
    this.services = services;
  }

  get deferredCount(): number {
    return this.#deferred.length - this.#head;
  }

  /** Whether something keeps the process alive: a deferred callback, or a doorbell or alarm with `ref`. */
  get isAlive(): boolean {
    if (this.deferredCount > 0) return true;
    if (this.alarms.some((alarm) => alarm.isReferenced && alarm.isSet)) return true;
    return this.doorbells.some((doorbell) => doorbell.isReferenced && doorbell.isRunning);
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  runDeferred(): void {
    const callback = this.#deferred[this.#head++]!;
    if (this.#head === this.#deferred.length) {
      this.#deferred = [];
      this.#head = 0;
    }
    this.deferredRuns++;
    callback();
  }

  /** The thread is gone: nothing of it runs any more. */
  clear(): void {
    this.#deferred = [];
    this.#head = 0;
    this.doorbells.length = 0;
    this.alarms.length = 0;
  }
}

export class SimDoorbell implements Doorbell {
  readonly #host: SimHost;
  readonly #fd: number;
  readonly #ring: () => void;
  readonly #description: Description | undefined;
  #isClosed = false;
  isRunning = true;
  isReferenced = true;

  constructor(host: SimHost, fd: number, ring: () => void) {
    this.#host = host;
    this.#fd = fd;
    this.#ring = ring;
    this.#description = host.services.table.find(fd, host.name, 'doorbell');
    host.doorbells.push(this);
  }

  /** Whether it would ring now. */
  get isRinging(): boolean {
    if (!this.isRunning || this.#description === undefined) return false;
    if (this.#host.services.table.peek(this.#fd) !== this.#description) {
      // libuv forbids it: the poll handle must be stopped before its descriptor is closed.
      this.#host.services.violations.note(
        `${this.#host.name}: descriptor ${this.#fd} was closed under its doorbell`,
      );
      this.isRunning = false;
      return false;
    }
    return (this.#description.poll() & (EPOLLIN | EPOLLERR | EPOLLHUP)) !== 0;
  }

  run(): void {
    this.#host.doorbellRings++;
    this.#ring();
  }

  ref(): void {
    this.isReferenced = true;
  }

  unref(): void {
    this.isReferenced = false;
  }

  stop(): void {
    this.isRunning = false;
  }

  start(): void {
    if (this.#isClosed) {
      this.#host.services.violations.fail(`${this.#host.name}: start of a closed doorbell`);
    }
    this.isRunning = true;
  }

  close(): void {
    this.isRunning = false;
    if (this.#isClosed) return;
    this.#isClosed = true;
    const at = this.#host.doorbells.indexOf(this);
    if (at >= 0) this.#host.doorbells.splice(at, 1);
  }
}

export class SimAlarm implements Alarm {
  readonly #host: SimHost;
  readonly #ring: () => void;
  /** When it rings, in virtual milliseconds; infinity while it is not set. */
  dueMs = Number.POSITIVE_INFINITY;
  isReferenced = false;

  constructor(host: SimHost, ring: () => void) {
    this.#host = host;
    this.#ring = ring;
    host.alarms.push(this);
  }

  get isSet(): boolean {
    return this.dueMs !== Number.POSITIVE_INFINITY;
  }

  set(delayMs: number): void {
    if (Number.isNaN(delayMs)) {
      this.#host.services.violations.fail(`${this.#host.name}: alarm after NaN milliseconds`);
    }
    const { faults, timeline } = this.#host.services;
    const delay = Math.min(Math.max(1, Math.ceil(delayMs)), 0x7fff_ffff);
    const early = faults.hit('alarmEarly') ? 0.7 : 0;
    this.dueMs = timeline.now + delay - early;
  }

  clear(): void {
    this.dueMs = Number.POSITIVE_INFINITY;
  }

  ref(): void {
    this.isReferenced = true;
  }

  unref(): void {
    this.isReferenced = false;
  }

  run(): void {
    this.dueMs = Number.POSITIVE_INFINITY;
    this.#host.alarmRings++;
    this.#ring();
  }
}
