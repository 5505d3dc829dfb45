/**
 * When a reactor's turns happen, inside the host's own loop, so that promises, timers and other libraries work in
 * handlers. Nothing here ever blocks.
 *
 *   idle ──(doorbell, alarm, request)──> a turn is deferred ──> turn ──(much done, or more left)──> deferred again
 *     ^                                                           │
 *     └───────────────(little done, and nothing left)─────────────┘
 *
 * A doorbell that fails to read (HostDoorbell) only asks for a turn, and is off until the loop rests: on Node 26
 * promise jobs that are queued inside its callback do not run, and an exception in it surfaces elsewhere. One whose
 * signals the host reads calls back as streams of Node do: the turn runs at once, which saves 1 to 2 microseconds, and
 * the doorbell is off only while busy. Idle means no wake-ups at all: one alarm for the nearest timer, none if there is
 * none.
 */

import type { Alarm, Doorbell, Kernel } from '../base/kernel.js';

export interface LoopBody {
  /** One turn; true if another one is to follow at once. */
  turn(): boolean;
  /** The doorbell has rung, and the host has read what made it. */
  drained?(): void;
  /** The loop is about to wait for the doorbell; true if there is something to do, and a turn is to follow instead. */
  rest(): boolean;
  /** When the next timer is due, Infinity for never. */
  nextDeadline(): number;
}

export class EventLoop {
  readonly #kernel: Kernel;
  readonly #body: LoopBody;
  readonly #doorbell: Doorbell;
  readonly #alarm: Alarm;
  readonly #run: () => void;
  /** The host may read what rings: the doorbell does not ring again until there is more. */
  readonly #isRead: boolean;
  /** A turn is deferred. */
  #isDeferred = false;
  #isRunning = false;
  #isClosed = false;
  #armedFor = Number.POSITIVE_INFINITY;

  /** `signals`: see Kernel.doorbell. */
  constructor(
    kernel: Kernel,
    doorbellDescriptor: number,
    body: LoopBody,
    signals?: readonly number[],
  ) {
    this.#kernel = kernel;
    this.#body = body;
    this.#run = () => this.#turn();
    this.#isRead = signals !== undefined;
    const ring = (isDrained: boolean) => this.#ring(isDrained);
    this.#doorbell = kernel.doorbell(doorbellDescriptor, ring, signals);
    this.#alarm = kernel.alarm(() => {
      this.#armedFor = Number.POSITIVE_INFINITY;
      this.request();
    });
  }

  /** Asks for a turn soon. */
  request(): void {
    if (!this.#isDeferred && !this.#isRunning && !this.#isClosed) {
      this.#isDeferred = true;
      this.#kernel.defer(this.#run);
    }
  }

  /** Whether the loop keeps the process alive. */
  ref(): void {
    this.#doorbell.ref();
  }

  unref(): void {
    this.#doorbell.unref();
  }

  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#alarm.clear();
      this.#doorbell.close();
    }
  }

  #ring(isDrained: boolean): void {
    if (isDrained && !this.#isClosed) {
      this.#body.drained?.();
      if (!this.#isDeferred) {
        this.#turn();
        return;
      }
    }
    if (!this.#isRead && !this.#isClosed) {
      this.#doorbell.stop();
    }
    this.request();
  }

  #turn(): void {
    this.#isDeferred = false;
    if (this.#isClosed) {
      return;
    }
    this.#isRunning = true;
    let isBusy = true;
    try {
      isBusy = this.#body.turn();
    } finally {
      this.#isRunning = false;
      if (this.#isClosed) {
        // Nothing follows.
      } else if (isBusy) {
        this.#doorbell.stop();
        this.request();
      } else {
        this.#rest();
      }
    }
  }

  #rest(): void {
    if (this.#body.rest()) {
      this.request();
      return;
    }
    this.#doorbell.start();
    const deadline = this.#body.nextDeadline();
    if (deadline === this.#armedFor) {
      return;
    }
    this.#armedFor = deadline;
    if (deadline === Number.POSITIVE_INFINITY) {
      this.#alarm.clear();
    } else {
      this.#alarm.set(deadline - this.#kernel.now());
    }
  }
}
