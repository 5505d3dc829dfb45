/** A handler's onTick: on the loop, first right after the boot, then after the delay that each tick returns. */

import type { Handler } from '../api.js';
import type { ReactorState } from './reactor-state.js';
import { Counter, Hook } from './stats.js';
import { clearUserTimer, setUserTimer } from './user-timers.js';

export class Ticker {
  readonly #state: ReactorState;
  readonly #handler: Handler;
  #timer = -1;
  #isStopped = false;

  constructor(state: ReactorState, handler: Handler) {
    this.#state = state;
    this.#handler = handler;
  }

  start(): void {
    if (this.#handler.onTick !== undefined && !this.#isStopped) {
      this.#tick();
    }
  }

  stop(): void {
    this.#isStopped = true;
    clearUserTimer(this.#state, this.#timer);
  }

  #tick(): void {
    const { stats, reactor } = this.#state;
    let answer: unknown;
    stats.enterHook(Hook.onTick, -1);
    try {
      answer = this.#handler.onTick?.(reactor);
    } catch (error) {
      stats.add(Counter.handlerErrors, 1);
      this.#state.warn(error);
    }
    stats.leaveHook();
    if (typeof answer === 'number' && answer >= 0 && !this.#isStopped) {
      this.#timer = setUserTimer(this.#state, answer, () => this.#tick());
    } else if (answer === 'shutdown') {
      this.#state.requestShutdown();
    }
  }
}
