/**
 * Many deadlines of one delay with one timer on the reactor's wheel: a list in the order in which they were set, which
 * is that in which they are due. To set, move or remove one costs a few assignments, and memory only for the three
 * fields in the item itself; a timer for each connection would cost some hundred bytes (measured).
 */

import type { Reactor } from '../api.js';

export interface Deadlined {
  previous: Deadlined | undefined;
  next: Deadlined | undefined;
  /** In whole milliseconds of the reactor's clock; 0: in no list. */
  deadline: number;
}

/** Deadlines handled at once; the rest follows in the next turn, so that others get theirs. */
const SWEEP_BUDGET = 1_000;

export class DeadlineList<Item extends Deadlined> {
  readonly #reactor: Reactor;
  readonly #delayMs: number;
  readonly #onDue: (item: Item) => void;
  #first: Item | undefined;
  #last: Item | undefined;
  #timer = -1;

  /** With a delay of 0 nothing is ever due. `onDue` gets an item that is in no list any more. */
  constructor(reactor: Reactor, delayMs: number, onDue: (item: Item) => void) {
    this.#reactor = reactor;
    this.#delayMs = delayMs;
    this.#onDue = onDue;
  }

  /** The item must be in no list. */
  add(item: Item): void {
    // At least 1: 0 means that it is in no list.
    item.deadline = Math.max(1, Math.ceil(this.#reactor.now + this.#delayMs));
    item.previous = this.#last;
    item.next = undefined;
    if (this.#last === undefined) {
      this.#first = item;
    } else {
      this.#last.next = item;
    }
    this.#last = item;
    if (this.#timer < 0 && this.#delayMs > 0) {
      this.#arm(this.#delayMs);
    }
  }

  /** Does nothing for an item that is in no list. */
  remove(item: Item): void {
    if (item.deadline === 0) {
      return;
    }
    const { previous, next } = item;
    if (previous === undefined) {
      this.#first = next as Item | undefined;
    } else {
      previous.next = next;
    }
    if (next === undefined) {
      this.#last = previous as Item | undefined;
    } else {
      next.previous = previous;
    }
    item.previous = undefined;
    item.next = undefined;
    item.deadline = 0;
    if (this.#first === undefined && this.#timer >= 0) {
      // An empty list wakes nobody.
      this.#reactor.clearTimer(this.#timer);
      this.#timer = -1;
    }
  }

  /** The items, of which the current one may be removed while iterating. */
  *[Symbol.iterator](): IterableIterator<Item> {
    for (let item = this.#first; item !== undefined; ) {
      const next = item.next as Item | undefined;
      yield item;
      item = next;
    }
  }

  #arm(delayMs: number): void {
    this.#timer = this.#reactor.setTimer(delayMs, () => {
      this.#timer = -1;
      this.#sweep();
    });
  }

  #sweep(): void {
    const { now } = this.#reactor;
    let budget = SWEEP_BUDGET;
    try {
      while (this.#first !== undefined && this.#first.deadline <= now && budget > 0) {
        const item: Item = this.#first;
        this.remove(item);
        budget -= 1;
        this.#onDue(item);
      }
    } finally {
      // Also after a hook that threw.
      if (this.#first !== undefined && this.#timer < 0) {
        this.#arm(Math.max(0, this.#first.deadline - now));
      }
    }
  }
}
