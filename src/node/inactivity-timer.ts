/**
 * `socket.setTimeout`: tells when nothing was received or written for a while. Activity only notes the time; the one
 * timer, the connection's, looks at it when it is due, and is set anew for what is left. HTTP servers set and change
 * the timeout with each request.
 */

import type { Connection } from '../api.js';

/** As Node has it (TIMEOUT_MAX). */
const TIMEOUT_MAX_MS = 2 ** 31 - 1;

export class InactivityTimer {
  readonly #onTimeout: () => void;
  #connection: Connection | undefined;
  timeoutMs = 0;
  #lastActive = 0;
  /** When the timer is due; Infinity without one. */
  #due = Number.POSITIVE_INFINITY;
  #timer = -1;

  constructor(onTimeout: () => void) {
    this.#onTimeout = onTimeout;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
    if (this.timeoutMs > 0) {
      this.#arm();
    }
  }

  /** Starts anew with this timeout; 0: none. */
  set(milliseconds: number): void {
    if (typeof milliseconds !== 'number' || !(milliseconds >= 0) || milliseconds === Infinity) {
      throw new RangeError(`Expected a timeout of 0 or more ms, got ${String(milliseconds)}`);
    }
    this.timeoutMs = Math.min(Math.ceil(milliseconds), TIMEOUT_MAX_MS);
    if (this.#connection !== undefined && this.timeoutMs > 0) {
      this.#arm();
    }
  }

  refresh(): void {
    if (this.timeoutMs > 0 && this.#connection !== undefined) {
      this.#lastActive = this.#connection.reactor.now;
      if (this.#due === Number.POSITIVE_INFINITY) {
        // It has fired: the next silence is told again.
        this.#arm();
      }
    }
  }

  stop(): void {
    this.timeoutMs = 0;
    this.#clear();
  }

  #arm(): void {
    const now = this.#connection!.reactor.now;
    this.#lastActive = now;
    if (now + this.timeoutMs < this.#due) {
      this.#setTimer(now + this.timeoutMs);
    }
  }

  #setTimer(due: number): void {
    this.#clear();
    const connection = this.#connection!;
    this.#due = due;
    this.#timer = connection.setTimer(due - connection.reactor.now, () => this.#look());
  }

  #clear(): void {
    if (this.#due !== Number.POSITIVE_INFINITY) {
      this.#due = Number.POSITIVE_INFINITY;
      this.#connection!.clearTimer(this.#timer);
    }
  }

  #look(): void {
    this.#due = Number.POSITIVE_INFINITY;
    if (this.timeoutMs === 0) {
      return;
    }
    const due = this.#lastActive + this.timeoutMs;
    if (due > this.#connection!.reactor.now) {
      this.#setTimer(due);
    } else {
      this.#onTimeout();
    }
  }
}
