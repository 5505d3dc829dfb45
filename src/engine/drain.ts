/**
 * The shutdown of one reactor, in phases: stop accepting; close each connection gracefully; at the deadline abort what
 * is left. `done` resolves when no connection is left, which aborting makes sure of.
 */

import type { Reactor } from '../connection/reactor.js';

export interface Drain {
  readonly done: Promise<void>;
  /** Brings the deadline forward. */
  hurry(deadlineMs: number): void;
}

export function drainReactor(reactor: Reactor, deadlineMs: number): Drain {
  reactor.stopListening();
  reactor.closeAll();
  let deadline = reactor.now + deadlineMs;
  let timer = reactor.setTimer(deadlineMs, () => reactor.abortAll());
  const done = reactor.whenEmpty().then(() => reactor.clearTimer(timer));
  return {
    done,
    hurry(sooner) {
      if (reactor.now + sooner < deadline) {
        deadline = reactor.now + sooner;
        reactor.clearTimer(timer);
        timer = reactor.setTimer(sooner, () => reactor.abortAll());
      }
    },
  };
}
