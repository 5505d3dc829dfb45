/**
 * The handshakes under way on one reactor: their common deadline, and how many are computed in a turn. A handshake
 * costs as much as hundreds of messages; without a budget a flood of new clients would stop those that are connected.
 *
 * All have the same timeout, so that the list in order of arrival is in order of deadlines, and one timer is enough.
 */

import type { Reactor } from '../api.js';
import type { TlsConnection } from './tls-connection.js';

export interface QueueSettings {
  readonly timeoutMs: number;
  readonly perTurn: number;
  onTimeout(connection: TlsConnection): void;
  /** It may be computed now. */
  onTurn(connection: TlsConnection): void;
}

export class HandshakeQueue {
  readonly #reactor: Reactor;
  readonly #settings: QueueSettings;
  #head: TlsConnection | undefined;
  #tail: TlsConnection | undefined;
  #timer = -1;
  #budget: number;
  #isRefillComing = false;
  /** Connections that wait for a later turn; those that are gone meanwhile are passed over. */
  #waiting: TlsConnection[] = [];

  constructor(reactor: Reactor, settings: QueueSettings) {
    this.#reactor = reactor;
    this.#settings = settings;
    this.#budget = settings.perTurn;
  }

  /** The deadline starts. */
  add(connection: TlsConnection): void {
    const handshake = connection.handshake!;
    handshake.deadline = this.#reactor.now + this.#settings.timeoutMs;
    handshake.previous = this.#tail;
    if (this.#tail === undefined) {
      this.#head = connection;
    } else {
      this.#tail.handshake!.next = connection;
    }
    this.#tail = connection;
    if (this.#timer < 0 && this.#settings.timeoutMs > 0) {
      this.#arm(handshake.deadline);
    }
  }

  remove(connection: TlsConnection): void {
    const { previous, next } = connection.handshake!;
    if (previous === undefined) {
      this.#head = next;
    } else {
      previous.handshake!.next = next;
    }
    if (next === undefined) {
      this.#tail = previous;
    } else {
      next.handshake!.previous = previous;
    }
    if (this.#head === undefined && this.#timer >= 0) {
      this.#reactor.clearTimer(this.#timer);
      this.#timer = -1;
    }
  }

  /** Whether this turn has time for one more; if not, `onTurn` will be called for it. */
  admit(connection: TlsConnection): boolean {
    this.#refillSoon();
    if (this.#budget > 0) {
      this.#budget -= 1;
      return true;
    }
    this.#waiting.push(connection);
    return false;
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
    this.#budget = this.#settings.perTurn;
    let at = 0;
    while (this.#budget > 0 && at < this.#waiting.length) {
      const connection = this.#waiting[at]!;
      at += 1;
      if (connection.handshake !== undefined) {
        this.#budget -= 1;
        this.#settings.onTurn(connection);
      }
    }
    this.#waiting.splice(0, at);
    if (this.#waiting.length > 0) {
      this.#refillSoon();
    }
  }

  #arm(deadline: number): void {
    const delay = Math.max(0, deadline - this.#reactor.now);
    this.#timer = this.#reactor.setTimer(delay, () => this.#expire());
  }

  #expire(): void {
    this.#timer = -1;
    while (this.#head !== undefined && this.#head.handshake!.deadline <= this.#reactor.now) {
      const connection = this.#head;
      this.#settings.onTimeout(connection);
      if (this.#head === connection) {
        throw new Error('A handshake that timed out is still in the queue');
      }
    }
    if (this.#head !== undefined && this.#timer < 0) {
      this.#arm(this.#head.handshake!.deadline);
    }
  }
}
