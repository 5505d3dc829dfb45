/**
 * How fast a server must be: the deadlines of one request, one timer at a time. Time in which the program held the
 * response back counts against the program (`unread`) and not against the server.
 *
 *     SEND ──> HEAD ──> FLOW <──> HELD        WAIT (for 100) ──> SEND
 */

import type { Connection } from '../api.js';
import type { HttpClientTimeout } from './client-error.js';
import type { ClientTimeouts } from './client-limits.js';

const REST = 0;
const WAIT = 1;
const SEND = 2;
const HEAD = 3;
const FLOW = 4;
const HELD = 5;

const CHECK_INTERVAL_MS = 1_000;

export interface PaceOwner {
  /** A deadline passed. */
  onTimeout(timeout: HttpClientTimeout): void;
  /** 100 did not come. */
  onContinueTimeout(): void;
}

export class ClientPace {
  readonly #connection: Connection;
  readonly #owner: PaceOwner;
  readonly #check = (): void => this.#onTimer();
  #timeouts: ClientTimeouts | undefined;
  #phase = REST;
  #timer = -1;
  #since = 0;
  /** Of the body, up to `since`. */
  #flowMs = 0;
  /** At which `#flowMs` the rate is looked at next. */
  #checkAtMs = 0;
  /** Received of the body. */
  bodyBytes = 0;

  constructor(connection: Connection, owner: PaceOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  begin(timeouts: ClientTimeouts, waitsForContinue: boolean): void {
    this.#timeouts = timeouts;
    this.#flowMs = 0;
    this.#checkAtMs = timeouts.rateGraceMs + 1;
    this.bodyBytes = 0;
    if (waitsForContinue) {
      this.#enter(WAIT, timeouts.continueTimeoutMs);
    } else {
      this.#enter(SEND, timeouts.sendTimeoutMs);
    }
  }

  beginSend(): void {
    this.#enter(SEND, this.#timeouts!.sendTimeoutMs);
  }

  beginHead(): void {
    this.#enter(HEAD, this.#timeouts!.headTimeoutMs);
  }

  /** The body is wanted, as fast as it comes. */
  flow(): void {
    if (this.#phase !== FLOW) {
      this.#enter(FLOW, this.#nextCheck());
    }
  }

  /** The program holds the body back. */
  hold(): void {
    if (this.#phase === FLOW) {
      this.#count();
    }
    if (this.#phase !== HELD) {
      this.#enter(HELD, this.#timeouts!.unreadTimeoutMs);
    }
  }

  rest(): void {
    this.#phase = REST;
    this.#timeouts = undefined;
    this.#connection.clearTimer(this.#timer);
    this.#timer = -1;
  }

  #enter(phase: number, delayMs: number): void {
    this.#phase = phase;
    this.#since = this.#connection.reactor.now;
    this.#connection.clearTimer(this.#timer);
    this.#timer = this.#connection.setTimer(delayMs, this.#check);
  }

  #count(): void {
    const { now } = this.#connection.reactor;
    this.#flowMs += now - this.#since;
    this.#since = now;
  }

  /** When the body's pace is looked at next. */
  #nextCheck(): number {
    const { bodyTimeoutMs, rateMin } = this.#timeouts!;
    const left = Math.max(bodyTimeoutMs - this.#flowMs, 1);
    if (rateMin === 0) {
      return left;
    }
    // In time that the body had: whoever drips would else put the check off with each piece.
    return Math.max(Math.min(left, this.#checkAtMs - this.#flowMs), 1);
  }

  #onTimer(): void {
    this.#timer = -1;
    switch (this.#phase) {
      case WAIT:
        this.#owner.onContinueTimeout();
        return;
      case SEND:
        this.#owner.onTimeout('send');
        return;
      case HEAD:
        this.#owner.onTimeout('head');
        return;
      case HELD:
        this.#owner.onTimeout('unread');
        return;
      case FLOW:
        this.#checkFlow();
    }
  }

  #checkFlow(): void {
    this.#count();
    const { bodyTimeoutMs, rateMin, rateGraceMs } = this.#timeouts!;
    if (this.#flowMs >= bodyTimeoutMs) {
      this.#owner.onTimeout('body');
      return;
    }
    const expected = (rateMin * (this.#flowMs - rateGraceMs)) / 1_000;
    if (rateMin > 0 && this.#flowMs > rateGraceMs && this.bodyBytes < expected) {
      this.#owner.onTimeout('rate');
      return;
    }
    if (this.#flowMs >= this.#checkAtMs) {
      this.#checkAtMs = this.#flowMs + CHECK_INTERVAL_MS;
    }
    this.#timer = this.#connection.setTimer(this.#nextCheck(), this.#check);
  }
}
