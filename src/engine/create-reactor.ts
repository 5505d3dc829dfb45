/** Makes a reactor from settings: the same in the calling thread and in a thread of its own. */

import type { Handler } from '../api.js';
import type { Kernel } from '../base/kernel.js';
import { driverFactory } from '../connection/drivers/choose.js';
import { Reactor } from '../connection/reactor.js';
import type { Inbox as DrainInbox, Peers } from '../connection/reactor-options.js';
import type { ReactorStats } from '../connection/stats.js';
import type { ReactorSettings } from './settings.js';

export interface ReactorParts {
  readonly index: number;
  readonly kernel: Kernel;
  readonly handler: Handler;
  readonly settings: ReactorSettings;
  readonly stats: ReactorStats;
  readonly peers: Peers;
  readonly inbox: DrainInbox;
  readonly wakeDescriptor: number;
  readonly onTurn: () => void;
  readonly onWarning: (error: Error) => void;
  readonly onShutdownRequest: () => void;
}

export function createReactor(parts: ReactorParts): Reactor {
  const { kernel, settings } = parts;
  return new Reactor({
    ...settings,
    ...parts,
    createDriver: driverFactory(kernel, settings.driver),
  });
}
