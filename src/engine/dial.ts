/**
 * `dial` without a server: connections of the calling thread share one reactor, which is made for the first of them and
 * keeps the process alive only while there are some.
 */

import type { Connection, DialOptions } from '../api.js';
import type { Reactor } from '../connection/reactor.js';
import { ReactorStats } from '../connection/stats.js';
import { createReactor } from './create-reactor.js';
import { readSettings } from './settings.js';
import { threadKernel } from './thread-kernel.js';

let shared: Reactor | undefined;

/** The reactor of this thread that no server has. */
export function sharedReactor(): Reactor {
  if (shared === undefined) {
    const kernel = threadKernel();
    const settings = readSettings(
      { listen: 'tcp://127.0.0.1:0', handler: {} },
      kernel.descriptorLimit(),
      // Few connections that come and go: what io_uring saves does not make up for its memory.
      () => ({ name: 'epoll', reason: 'it only dials' }),
    );
    shared = createReactor({
      index: 0,
      kernel,
      handler: {},
      settings: settings.reactor,
      stats: ReactorStats.create(),
      peers: { count: 1, write: () => 'closed', post: () => false },
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

/**
 * Connects to `url`: tcp://, tcp4://, tcp6://, unix:// or unix-abstract://.
 *
 * @throws SystemError (`ECONNREFUSED`, `ETIMEDOUT`, …), the signal's reason, TypeError for a bad URL.
 */
export function dial(url: string, options: DialOptions = {}): Promise<Connection> {
  return sharedReactor().dial(url, options);
}
