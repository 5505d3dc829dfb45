/** What a reactor is made of: given by the engine, or by a simulation. */

import type { Handler } from '../api.js';
import type { Kernel } from '../base/kernel.js';
import type { DatagramOptions } from '../datagrams.js';
import type { DriverFactory } from './driver.js';
import type { Reactor } from './reactor.js';
import type { ReactorStats } from './stats.js';

/** How a reactor reaches the others: given by the engine. */
export interface Peers {
  readonly count: number;
  write(id: number, bytes: Uint8Array): 'queued' | 'full' | 'closed';
  send(
    id: number,
    data: Uint8Array | string,
    to?: string,
  ): 'queued' | 'full' | 'too-long' | 'closed';
  post(index: number, bytes: Uint8Array): boolean;
}

/** What comes in from other threads: given by the engine. Returns true if something is left. */
export type Inbox = (reactor: Reactor) => boolean;

export interface ReactorOptions {
  readonly index: number;
  readonly kernel: Kernel;
  readonly createDriver: DriverFactory;
  readonly handler: Handler;
  readonly stats: ReactorStats;
  /** The most connections; slots for listeners and dials come on top. */
  readonly connectionsMax: number;
  readonly refuseWhenMax: boolean;
  readonly receiveBytes: number;
  readonly receiveBudget: number;
  readonly acceptBudget: number;
  /** The most bytes of blocks for queues and readers of all connections. */
  readonly blockBytesMax: number;
  readonly guardMemory: boolean;
  /** Of the datagram sockets that the server listens on. */
  readonly datagram?: DatagramOptions;
  /** How many slots must have been in use before their memory is ever given back; left out: what is worth it. */
  readonly trimMin?: number;
  readonly peers: Peers;
  readonly inbox: Inbox;
  readonly wakeDescriptor?: number;
  /** Called at the start of each turn, for the watchdog. */
  readonly onTurn: () => void;
  readonly onWarning: (error: Error) => void;
  readonly onShutdownRequest: () => void;
}
