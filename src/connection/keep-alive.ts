/**
 * Whether a reactor keeps the process alive: always (a server, unless it was told otherwise), while it has connections
 * (the shared reactor of `dial`), and while something like a name look-up is under way.
 */

import type { EventLoop } from './event-loop.js';
import type { ReactorState } from './reactor-state.js';

export class KeepAlive {
  readonly #loop: EventLoop;
  readonly #state: ReactorState;
  #isReferenced = true;
  #holds = 0;
  #isHeldByConnections = false;
  /** Connections that do not count. */
  #unheld = 0;

  constructor(loop: EventLoop, state: ReactorState) {
    this.#loop = loop;
    this.#state = state;
  }

  ref(): void {
    this.#isReferenced = true;
    this.#apply();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#apply();
  }

  /** Keeps the process alive until the answer is called. */
  hold(): () => void {
    this.#holds += 1;
    this.#apply();
    return () => {
      this.#holds -= 1;
      this.#apply();
    };
  }

  /** From now on connections keep the process alive, and the reactor alone does not. */
  holdWhileConnected(): void {
    this.#isHeldByConnections = true;
    this.unref();
  }

  /** One connection more that does not count, or one less. */
  holdConnection(isWanted: boolean): void {
    this.#unheld += isWanted ? -1 : 1;
    this.sync();
  }

  /** The number of connections may have changed. */
  sync(): void {
    if (this.#isHeldByConnections) {
      this.#apply();
    }
  }

  #apply(): void {
    const { connectionCount, datagrams } = this.#state;
    const isInUse = connectionCount > this.#unheld || datagrams?.isEmpty === false;
    const isHeld = this.#isHeldByConnections && isInUse;
    if (this.#isReferenced || this.#holds > 0 || isHeld) {
      this.#loop.ref();
    } else {
      this.#loop.unref();
    }
  }
}
