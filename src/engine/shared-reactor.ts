/**
 * The reactor that the calling thread's connections without a server share. It is made for the first of them and keeps
 * the process alive only while there are some.
 */

import type { Reactor } from '../connection/reactor.js';
import { ReactorStats } from '../connection/stats.js';
import { createReactor } from './create-reactor.js';
import { readSettings } from './settings.js';
import { threadKernel } from './thread-kernel.js';

let shared: Reactor | undefined;

export function sharedReactor(): Reactor {
  if (shared === undefined) {
    const kernel = threadKernel();
    const settings = readSettings(
      { listen: 'tcp://127.0.0.1:0', handler: {} },
      kernel.descriptorLimit(),
      // Few connections that come and go: what io_uring saves does not make up for its memory.
      () => ({ name: 'epoll', reason: 'it only dials and adopts' }),
    );
    shared = createReactor({
      index: 0,
      kernel,
      handler: {},
      settings: settings.reactor,
      stats: ReactorStats.create(),
      peers: { count: 1, write: () => 'closed', send: () => 'closed', post: () => false },
      inbox: () => false,
      wakeDescriptor: kernel.eventfd(),
      onTurn: () => {},
      onWarning: (warning) => process.emitWarning(warning),
      onShutdownRequest: () => {},
    });
    shared.unref();
    shared.keepAlive.holdWhileConnected();
  }
  return shared;
}
