/**
 * A request of a simulated io_uring from its submission to its last completion, as io_uring.c and poll.c run it: it is
 * tried once at submission; if it would block, it waits for its file to become ready, is queued as task work then, and
 * is tried again when the work is run. It holds a reference to its file all the time, which is why closing a number
 * does not close a socket that a request waits for. Operations are in sim-uring-operations.ts.
 */

import { ECANCELED } from '../../src/base/errno.js';
import { EPOLLERR, EPOLLHUP, EPOLLRDHUP } from '../../src/base/linux.js';
import { CQE_F_MORE } from '../../src/base/uring.js';
import type { Description, Watcher } from './sim-descriptors.js';
import type { SimRing } from './sim-uring.js';
import type { Submission } from './sim-uring-entry.js';

/** What waits for anything waits for these too (IO_POLL_UNMASK). */
export const ALWAYS = EPOLLERR | EPOLLHUP | EPOLLRDHUP;

/** What an attempt says if it has not ended the request. */
export const WAIT = 'wait';
export const AGAIN = 'again';
export type Outcome = typeof WAIT | typeof AGAIN | 'over';

export abstract class RingRequest implements Watcher {
  readonly ring: SimRing;
  readonly entry: Submission;
  readonly file: Description;
  /** What it waits for. */
  protected abstract readonly events: number;
  readonly isMultishot: boolean;
  isOver = false;
  isQueued = false;
  protected isCancelled = false;
  #isArmed = false;
  /** The cancellation that has found it, so that it is not counted twice. */
  cancelledBy = 0;

  constructor(ring: SimRing, entry: Submission, file: Description, isMultishot: boolean) {
    this.ring = ring;
    this.entry = entry;
    this.file = file;
    this.isMultishot = isMultishot;
    file.references++;
  }

  /** Does what can be done now. */
  protected abstract attempt(): Outcome;
  /** What of the range the kernel may still read or write for this request, or undefined. */
  usedIn(_address: number, _byteLength: number): string | undefined {
    return undefined;
  }

  /** Whether a cancellation finds it: those that run in a worker thread are not found. */
  get isCancellable(): boolean {
    return this.#isArmed;
  }

  /** At submission. */
  start(): void {
    // It may well be that a thing becomes ready only right after the first look.
    if (this.canWait && this.ring.faults.hit('ringLate')) this.arm();
    else this.proceed();
  }

  /** As task work. */
  run(): void {
    this.isQueued = false;
    if (this.isOver) return;
    if (this.isCancelled) {
      if (this.isMultishot && this.ring.faults.hit('ringCancelLate')) this.attempt();
      if (!this.isOver) this.finish(this.cancelledWith, 0);
      return;
    }
    this.proceed();
  }

  /** 0, or -EALREADY when it cannot be stopped at once. */
  cancel(): number {
    this.isCancelled = true;
    this.ring.queue(this);
    return 0;
  }

  /** How it ends when it was cancelled. */
  protected get cancelledWith(): number {
    return -ECANCELED;
  }

  wake(): void {
    if (!this.#isArmed || this.isOver) return;
    const mask = this.ready();
    if (mask === 0 && !this.ring.faults.hit('eventSpurious')) return;
    this.woken(mask);
  }

  gone(): void {}

  /** The ring is closed: nothing is reported any more. */
  abandon(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.file.unwatch(this);
    this.file.drop();
  }

  /** POLL_FIRST and its like. */
  protected get canWait(): boolean {
    return true;
  }

  protected ready(): number {
    return this.file.poll() & (this.events | ALWAYS);
  }

  protected woken(_mask: number): void {
    this.ring.queue(this, this.file.kind === 'eventfd');
  }

  /** Waits; what is ready already is task work at once. */
  protected arm(): void {
    this.watch();
    if (this.ready() !== 0) this.ring.queue(this);
  }

  protected watch(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    // Linux wakes who came last first (add_wait_queue).
    this.file.watchers.unshift(this);
  }

  /** Posts a completion that others follow; false when the request must end instead. */
  protected more(result: number, flags: number): boolean {
    if (!this.isMultishot || this.ring.faults.hit('ringShotEnded')) return false;
    return this.ring.queues.post(this.entry, result, flags | CQE_F_MORE);
  }

  protected finish(result: number, flags: number): Outcome {
    this.isOver = true;
    this.#isArmed = false;
    this.file.unwatch(this);
    this.ring.queues.put(this.entry, result, flags);
    this.ring.forget(this);
    this.file.drop();
    return 'over';
  }

  protected proceed(): void {
    const outcome = this.attempt();
    if (outcome === WAIT) this.arm();
    else if (outcome === AGAIN) {
      this.watch();
      this.ring.queue(this);
    }
  }
}
