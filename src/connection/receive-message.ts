/** A message from another thread, for the handler's onMessage. Called by the engine, which carries it. */

import type { Reactor } from './reactor.js';
import { Counter, Hook } from './stats.js';

export function receiveMessage(reactor: Reactor, bytes: Buffer, from: number): void {
  const { handler } = reactor.options;
  if (handler.onMessage === undefined) {
    return;
  }
  reactor.stats.enterHook(Hook.onMessage, -1);
  try {
    handler.onMessage(reactor, bytes, from);
  } catch (error) {
    reactor.stats.add(Counter.handlerErrors, 1);
    reactor.state.warn(error);
  }
  reactor.stats.leaveHook();
}
