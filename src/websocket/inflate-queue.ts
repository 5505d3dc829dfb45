/**
 * Messages that take long to inflate, on one reactor: how much is inflated in a turn, and what waits for the next ones.
 * Without it a bomb, or a message of blocks that cost more than they hold, would stop everybody else for as long as
 * inflating it takes, which is twenty milliseconds for a mebibyte (measured).
 *
 * A message that is done after one step is not counted. One that is not goes on at once while the turn has time, unless
 * others wait; then it waits behind them, as it was received: of those that wait only the first is being inflated, so
 * that none holds more than what its peer has sent. (Contexts that keep cannot begin again. They hold what one step put
 * out.)
 */

import type { Reactor } from '../api.js';
import type { Budget, Inflater } from './inflate.js';
import { giveBuffer } from './message-buffers.js';
import type { Violation } from './violation.js';

/** For all messages of a turn together: 128 KiB put out, or 32 KiB taken in. */
const UNITS_A_TURN = 131_072;
/** What goes in costs more than what comes out, where there are few bytes to a block. */
const UNITS_A_BYTE_TAKEN = 4;

export interface InflationParts {
  /** Asked for when there is something to do. */
  readonly inflater: () => Inflater;
  /** It is in the midst of this message. */
  readonly isBegun: boolean;
  /** The outcome is there. */
  readonly onDone: () => void;
}

/** A message that waits, or is being inflated in steps. */
export class Inflation {
  /** The message, what is wrong with it, or why it cannot be inflated, once it is over and was not cancelled. */
  outcome: Buffer | Violation | Error | undefined = undefined;
  readonly #data: Buffer;
  #buffer: Buffer | undefined;
  readonly #bytesMax: number;
  readonly #parts: InflationParts;
  #isBegun: boolean;
  #isOver = false;

  /** `data` is the inflation's; if it lies in a `buffer` of message-buffers.ts, that is given back when it is over. */
  constructor(data: Buffer, buffer: Buffer | undefined, bytesMax: number, parts: InflationParts) {
    this.#data = data;
    this.#buffer = buffer;
    this.#bytesMax = bytesMax;
    this.#parts = parts;
    this.#isBegun = parts.isBegun;
  }

  /** Goes on as long as the budget lasts; true if it is over. */
  run(): boolean {
    if (this.#isOver) {
      return true;
    }
    this.outcome = this.#proceed();
    this.#isBegun = true;
    if (this.outcome === undefined) {
      return false;
    }
    this.#finish();
    this.#parts.onDone();
    return true;
  }

  #proceed(): Buffer | Violation | Error | undefined {
    try {
      const inflater = this.#parts.inflater();
      return this.#isBegun
        ? inflater.proceed(this.#data)
        : inflater.inflate(this.#data, this.#bytesMax);
    } catch (error) {
      // Out of memory: it is to cost the connection that it concerns, from one of its own hooks.
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Nobody wants it any more. To be called while its contexts are there. A second call does nothing. */
  cancel(): void {
    if (!this.#isOver) {
      if (this.#isBegun) {
        this.#parts.inflater().drop();
      }
      this.#finish();
    }
  }

  #finish(): void {
    this.#isOver = true;
    if (this.#buffer !== undefined) {
      giveBuffer(this.#buffer);
      this.#buffer = undefined;
    }
  }
}

export class InflateQueue implements Budget {
  readonly #reactor: Reactor;
  #left = UNITS_A_TURN;
  #isRefillComing = false;
  #isWorking = false;
  /** Those that are over are passed over. */
  #waiting: Inflation[] = [];

  constructor(reactor: Reactor) {
    this.#reactor = reactor;
  }

  spend(consumed: number, produced: number): boolean {
    this.#left -= produced + consumed * UNITS_A_BYTE_TAKEN;
    this.#refillSoon();
    return this.#left > 0 && (this.#isWorking || this.#waiting.length === 0);
  }

  /** It is run in the next turns, after those that wait already. */
  add(inflation: Inflation): void {
    this.#waiting.push(inflation);
    this.#refillSoon();
  }

  #refillSoon(): void {
    if (!this.#isRefillComing) {
      this.#isRefillComing = true;
      this.#reactor.execute(() => this.#refill());
    }
  }

  /** Once a turn, as long as there is something to do. */
  #refill(): void {
    this.#isRefillComing = false;
    this.#left = UNITS_A_TURN;
    this.#isWorking = true;
    let over = 0;
    try {
      while (over < this.#waiting.length && this.#left > 0 && this.#waiting[over]!.run()) {
        over += 1;
      }
    } finally {
      this.#isWorking = false;
      this.#waiting.splice(0, over);
      if (this.#waiting.length > 0) {
        this.#refillSoon();
      }
    }
  }
}
