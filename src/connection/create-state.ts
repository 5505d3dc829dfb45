/** A reactor's state at its start, and its end. */

import type { Reactor } from '../api.js';
import { BlockPool } from './block-pool.js';
import { ConnectionTable } from './connection-table.js';
import type { Driver } from './driver.js';
import type { ReactorOptions } from './reactor-options.js';
import type { ReactorState } from './reactor-state.js';
import { ConnectionReader } from './stream.js';
import { TimerWheel } from './timer-wheel.js';

const TIMERS_MAX = 4_194_304;

/** What the state calls back. */
export interface StateCallbacks {
  requestTurn(): void;
  requestShutdown(): void;
  warn(error: unknown): void;
  holdProcess(isWanted: boolean): void;
}

export function createState(
  options: ReactorOptions,
  slots: number,
  driver: Driver,
  reactor: Reactor,
  callbacks: StateCallbacks,
): ReactorState {
  const { kernel, stats, index, blockBytesMax, guardMemory } = options;
  const pool = new BlockPool(kernel, { bytesMax: blockBytesMax, guard: guardMemory });
  const now = kernel.now();
  return {
    index,
    kernel,
    driver,
    table: new ConnectionTable(slots, options.trimMin),
    wheel: new TimerWheel({ capacityMax: TIMERS_MAX, now }),
    deadlines: new TimerWheel({ slots, now }),
    pool,
    stats,
    reactor,
    connections: [],
    queues: new Map(),
    readers: new Map(),
    writers: new Map(),
    extras: new Map(),
    faces: new Map(),
    teardowns: new Map(),
    timerCallbacks: new Map(),
    emptyReader: new ConnectionReader(pool),
    spareQueues: [],
    flushList: [],
    fileList: [],
    readyList: [],
    starvedList: [],
    drainList: [],
    sendingList: [],
    sendingSince: 0,
    connectionCount: 0,
    datagrams: undefined,
    queuedBytes: 0,
    now,
    inTurn: false,
    current: undefined,
    ...callbacks,
  };
}

/** Frees what is left. Returns how many blocks were never given back. */
export function destroyState(state: ReactorState): number {
  state.datagrams?.destroy();
  for (const queue of state.queues.values()) {
    queue.clear();
  }
  for (const reader of state.readers.values()) {
    reader.close();
  }
  for (const writer of state.writers.values()) {
    writer.close();
  }
  state.emptyReader.close();
  return state.pool.close();
}
