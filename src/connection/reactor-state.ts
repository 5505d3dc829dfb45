/**
 * What the paths of a reactor share: its kernel, driver, tables and lists. Plain data with one owner, the reactor's
 * thread; write-path.ts, read-path.ts, lifecycle.ts, deadlines.ts and dispatch.ts are functions over it.
 *
 * Work that must not happen inside the call that causes it (a user's hook inside a write, say) goes to one of the
 * lists below, which the turn works off in order: so a hook is never entered from within another call of the user's.
 */

import type { Connection, Reactor } from '../api.js';
import type { Kernel } from '../base/kernel.js';
import type { BlockPool } from './block-pool.js';
import type { SocketConnection } from './connection.js';
import type { ConnectionTable } from './connection-table.js';
import type { DatagramHub } from './datagram/hub.js';
import type { Driver } from './driver.js';
import type { Extras } from './extras.js';
import type { ReactorStats } from './stats.js';
import type { ConnectionReader, ConnectionWriter } from './stream.js';
import type { TimerWheel } from './timer-wheel.js';
import type { WriteQueue } from './write-queue.js';

export interface ReactorState {
  readonly index: number;
  readonly kernel: Kernel;
  readonly driver: Driver;
  readonly table: ConnectionTable;
  /** The user's timers. */
  readonly wheel: TimerWheel;
  /** The nearest deadline of each connection that has any. */
  readonly deadlines: TimerWheel;
  readonly pool: BlockPool;
  readonly stats: ReactorStats;
  /** The public face, for `connection.reactor`. */
  readonly reactor: Reactor;
  /** By slot; undefined for a slot that is free or a listener's. */
  readonly connections: (SocketConnection | undefined)[];
  /** By slot, only for those that have one. */
  readonly queues: Map<number, WriteQueue>;
  readonly readers: Map<number, ConnectionReader>;
  readonly writers: Map<number, ConnectionWriter>;
  readonly extras: Map<number, Extras>;
  /** What is shown of connections that others stand on: see faces.ts. */
  readonly faces: Map<number, Connection>;
  readonly teardowns: Map<number, Teardown>;
  /** Callbacks of the user's timers, by the wheel's id. */
  readonly timerCallbacks: Map<number, () => void>;
  /** What `connection.reader` gives after the close. */
  readonly emptyReader: ConnectionReader;
  /** Write queues not in use. */
  readonly spareQueues: WriteQueue[];

  /** Slots whose corked or gathered writes go out at the end of the callback or turn. */
  flushList: number[];
  /** Slots that go on with a file in the next turn. */
  fileList: number[];
  /** Slots with unread bytes, a wake, or held bytes to report. */
  readyList: number[];
  /** Slots that wait for memory before they receive more. */
  starvedList: number[];
  /** Slots with a send that was pending when it was listed, and has no timer for its write timeout yet. */
  sendingList: number[];
  /** When the first of them was listed. */
  sendingSince: number;
  /** Connections that fell below their low-water mark. */
  drainList: SocketConnection[];
  connectionCount: number;
  /** The datagram sockets; undefined until there is one. */
  datagrams: DatagramHub | undefined;
  /** Bytes in all write queues. */
  queuedBytes: number;
  /** Milliseconds, read at the start of the turn. */
  now: number;
  inTurn: boolean;
  /** The connection whose hook runs, for auto-cork and `pause-source`. */
  current: SocketConnection | undefined;
  /** Asks for a turn: something was put on a list from outside of one. */
  requestTurn(): void;
  /** One connection more, or less again, that does not hold the process. */
  holdProcess(isWanted: boolean): void;
  /** An action `shutdown`: closes the whole server gracefully. */
  requestShutdown(): void;
  /** Tells the user of a failure that has no other way out. */
  warn(error: unknown): void;
}

/** Why a connection that is being closed will be said to have closed. */
export interface Teardown {
  code: import('../api.js').CloseReason['code'];
  error: Error | undefined;
  timeout: import('../api.js').CloseReason['timeout'];
  unsentBytes: number;
}
