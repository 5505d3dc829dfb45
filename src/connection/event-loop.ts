/**
 * When a reactor's turns happen, inside the host's own loop, so that promises, timers and other libraries work in
 * handlers. Nothing here ever blocks.
 *
 *   idle ──(doorbell, alarm, request)──> a turn is deferred ──> turn ──(work was done or is left)──> the next deferred
 *     ^                                                           │
 *     └───────────────(a turn found nothing)──────────────────────┘
 *
 * The doorbell only asks for a turn: on Node 26 promise jobs that are queued inside its callback do not run, and an
 * exception in it surfaces elsewhere. While busy the doorbell is off: the next turn is asked for anyway.
 * Idle means no wake-ups at all: one alarm for the nearest timer, none if there is none.
 */

import type { Alarm, Doorbell, Kernel } from '../base/kernel.js';

export interface LoopBody {
  /** One turn; true if another one is to follow at once. */
  turn(): boolean;
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
  /** A turn is deferred. */
  #isDeferred = false;
  #isRunning = false;
  #isClosed = false;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(kernel: Kernel, doorbellDescriptor: number, body: LoopBody) {
    this.#kernel = kernel;
    this.#body = body;
    this.#run = () => this.#turn();
    this.#doorbell = kernel.doorbell(doorbellDescriptor, () => this.#ring());
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

  #ring(): void {
    if (!this.#isClosed) {
      this.#doorbell.stop();
      this.request();
    }
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
      if (isBusy) {
        this.request();
      } else if (!this.#isClosed) {
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
