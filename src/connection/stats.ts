/**
 * What a reactor counts: one SharedArrayBuffer for each reactor, written by its thread, read by any without a lock. The
 * reactor's paths call `add` and `record`; the acceptor reads totals to balance (engine/reactor-loads.ts), the watchdog
 * the activity cells, `Server.stats` all of it.
 *
 * - One writer: the owner adds without atomic operations, which would cost more than what is counted.
 * - No torn reads: each counter is one aligned double, and V8 reads and writes those with one 64-bit instruction on the
 *   platforms we run on (x86-64 and arm64), which the processor does not divide. The language does not promise it,
 *   which is why `test/connection/stats.test.ts` looks for it.
 * - A reader may see counters of different moments, such as a connection that is counted in `accepted` and not yet in
 *   `connections`. What has to be exact is made of totals alone, read in the order that errs on the safe side.
 * - When a reactor is replaced, its successor goes on with the same memory: totals stay, gauges start again.
 */

import {
  combineHistograms,
  HISTOGRAM_LENGTH,
  Histogram,
  type HistogramSnapshot,
} from './histogram.js';

export type { HistogramSnapshot } from './histogram.js';

/** Counters by name: their place in the memory. The names are those of a snapshot. */
export const Counter = {
  // Gauges: they go up and down.
  /** Open connections now. */
  connections: 0,
  /** Bytes in write queues now. */
  queuedBytes: 1,
  /** Off-heap bytes held for buffers now. */
  blockBytes: 2,

  // Totals since the start.
  /** Connections that were announced to the handler. */
  opened: 3,
  /** Taken from a listener of this reactor. */
  accepted: 4,
  dialed: 5,
  closed: 6,
  bytesReceived: 7,
  bytesSent: 8,
  /** Receive and send completions. */
  receives: 9,
  sends: 10,
  /** Writes that the kernel did not take at once. */
  writesQueued: 11,
  /** System calls of the driver, and events that it reported. */
  driverCalls: 12,
  events: 13,
  turns: 14,
  handlerErrors: 15,
  timersFired: 16,
  mailboxMessages: 17,

  // Refusals, by the bound that was met.
  /** No descriptor was left for a connection. */
  refusedDescriptorLimit: 18,
  refusedConnectionsMax: 19,
  /** A write answered `full`. */
  refusedWriteFull: 20,
  /** Connections closed since their write queue passed its cap. */
  refusedWriteOverflow: 21,
  refusedMailboxFull: 22,
  acceptErrors: 23,

  // Connections that were ended by a deadline.
  timeoutConnect: 24,
  timeoutRead: 25,
  timeoutWrite: 26,
  timeoutIdle: 27,
  timeoutLinger: 28,

  /** Events of a descriptor's former use, dropped. */
  staleEvents: 29,
  /** Descriptors that another reactor accepted and this one took out of its mailbox. */
  adopted: 30,
  /** Times that a peer had to wait since the memory for unread bytes was used up. */
  refusedMemory: 31,
  /** Gauges of the mailbox: letters that wait after a turn, and the most that ever did. */
  mailboxDepth: 32,
  mailboxDepthMax: 33,
  /** Connections closed since their handler wanted more unread bytes than it may have. */
  refusedReadOverflow: 34,

  // Datagrams. Their bytes are counted apart from those of connections.
  /** Gauges: sockets, and sessions of peers. */
  datagramSockets: 35,
  sessions: 36,
  sessionsOpened: 37,
  sessionsClosed: 38,
  /** Datagrams of peers that could have no session. */
  refusedSessionsMax: 39,
  datagramsReceived: 40,
  datagramBytesReceived: 41,
  datagramsSent: 42,
  datagramBytesSent: 43,
  /** To be sent, and not sent: by the policy of a full queue, or since the kernel refused. */
  datagramsDropped: 44,
  /** Received, and cut. */
  datagramsTruncated: 45,
  /** Lost by the kernel since a socket's receive buffer was full. */
  datagramsOverflowed: 46,
  /** Errors of datagrams that were sent, those that the network told included. */
  datagramErrors: 47,
  /** From other threads, for sessions and sockets that were gone. */
  staleSends: 48,
} as const;

export type CounterName = keyof typeof Counter;
/** The place of a counter. */
export type CounterIndex = (typeof Counter)[CounterName];

/** What a reactor's thread is doing, for the watchdog. */
export const Hook = {
  none: 0,
  onBoot: 1,
  onOpen: 2,
  onData: 3,
  onReadable: 4,
  onDrain: 5,
  onEnd: 6,
  onClose: 7,
  onTick: 8,
  onBeforeWrite: 9,
  onMessage: 10,
  onShutdown: 11,
  task: 12,
  timer: 13,
  callback: 14,
  onServerClose: 15,
  onDatagram: 16,
} as const;

export type HookName = keyof typeof Hook;
export type HookIndex = (typeof Hook)[HookName];

const COUNTER_NAMES = Object.keys(Counter) as CounterName[];
const HOOK_NAMES = Object.keys(Hook) as HookName[];
const GAUGES = [
  Counter.connections,
  Counter.queuedBytes,
  Counter.blockBytes,
  Counter.datagramSockets,
  Counter.sessions,
] as const;

// The memory, in doubles; the activity words are 32 bits wide and share the first cache line, of 8 doubles.
const TURN_STARTED = 0;
const HOOK_WORD = 2;
const SLOT_WORD = 3;
const COUNTERS = 8;
const HISTOGRAMS = COUNTERS + Math.ceil(COUNTER_NAMES.length / 8) * 8;
const HISTOGRAM_COUNT = 3;
const LENGTH = HISTOGRAMS + HISTOGRAM_COUNT * HISTOGRAM_LENGTH;

/** All counters by their names; see `Counter`. */
export type CounterValues = { readonly [Name in CounterName]: number };

/** Counters and histograms at one time. Plain data: it can be cloned, printed and sent. */
export interface StatsSnapshot extends CounterValues {
  /** Events handled in one turn. */
  readonly batchSize: HistogramSnapshot;
  /** How long a turn took. */
  readonly turnMicroseconds: HistogramSnapshot;
  /** How late the host's loop called the reactor. */
  readonly loopLagMicroseconds: HistogramSnapshot;
}

export interface ReactorSnapshot extends StatsSnapshot {
  readonly index: number;
  /** When the running turn began, in milliseconds of the kernel's clock; 0 outside of turns. */
  readonly turnStartedAt: number;
  /** The hook of the handler that runs. */
  readonly hook: HookName;
  /** The slot of the connection whose hook runs; -1 for none. */
  readonly slot: number;
}

/** `Server.stats`: read at the time of access. */
export interface ServerStats {
  /** Sums over all reactors. */
  readonly totals: StatsSnapshot;
  readonly reactors: readonly ReactorSnapshot[];
}

export class ReactorStats {
  /** The memory, to be passed to other threads. */
  readonly buffer: SharedArrayBuffer;
  readonly batchSize: Histogram;
  readonly turnMicroseconds: Histogram;
  readonly loopLagMicroseconds: Histogram;
  readonly #counters: Float64Array;
  readonly #turn: Float64Array;
  readonly #activity: Int32Array;

  static create(): ReactorStats {
    const stats = new ReactorStats(new SharedArrayBuffer(LENGTH * 8));
    stats.reset();
    return stats;
  }

  /** The counters of another thread's reactor. Throws TypeError for memory that is none. */
  static from(buffer: SharedArrayBuffer): ReactorStats {
    return new ReactorStats(buffer);
  }

  private constructor(buffer: SharedArrayBuffer) {
    if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength !== LENGTH * 8) {
      throw new TypeError('This is not the memory of ReactorStats.create');
    }
    const histogram = (i: number): Histogram => {
      const start = HISTOGRAMS + i * HISTOGRAM_LENGTH;
      return new Histogram(new Float64Array(buffer, start * 8, HISTOGRAM_LENGTH));
    };
    this.buffer = buffer;
    this.#turn = new Float64Array(buffer, TURN_STARTED * 8, 1);
    this.#activity = new Int32Array(buffer, 0, COUNTERS * 2);
    this.#counters = new Float64Array(buffer, COUNTERS * 8, COUNTER_NAMES.length);
    this.batchSize = histogram(0);
    this.turnMicroseconds = histogram(1);
    this.loopLagMicroseconds = histogram(2);
  }

  // The owner's thread.

  /** Adds to a counter, a value of `Counter`; `n` below 0 only for a gauge. */
  add(counter: number, n: number): void {
    this.#counters[counter] += n;
  }

  set(counter: number, value: number): void {
    this.#counters[counter] = value;
  }

  /** A turn began: the watchdog counts from `nowMs` until `endTurn`. */
  beginTurn(nowMs: number): void {
    this.#turn[0] = nowMs;
  }

  endTurn(): void {
    this.#turn[0] = 0;
  }

  /** The user's code is entered: a value of `Hook`, and the slot or -1. Plain stores: a watchdog looks again. */
  enterHook(hook: number, slot: number): void {
    this.#activity[HOOK_WORD] = hook;
    this.#activity[SLOT_WORD] = slot;
  }

  leaveHook(): void {
    this.#activity[HOOK_WORD] = Hook.none;
    this.#activity[SLOT_WORD] = -1;
  }

  /** Sets the gauges and the activity of a dead reactor back, before its successor starts. */
  reset(): void {
    for (const gauge of GAUGES) {
      this.#counters[gauge] = 0;
    }
    this.endTurn();
    this.leaveHook();
  }

  // Any thread.

  get(counter: number): number {
    return this.#counters[counter];
  }

  /** In milliseconds of the kernel's clock; 0 outside of turns. */
  get turnStartedAt(): number {
    return this.#turn[0];
  }

  get hook(): HookName {
    return HOOK_NAMES[this.#activity[HOOK_WORD]] ?? 'none';
  }

  /** -1 for none. */
  get slot(): number {
    return this.#activity[SLOT_WORD];
  }

  /** A copy of everything, as that of reactor `index`. */
  snapshot(index: number): ReactorSnapshot {
    return {
      index,
      turnStartedAt: this.turnStartedAt,
      hook: this.hook,
      slot: this.slot,
      ...countersFrom((i) => this.#counters[i]),
      batchSize: this.batchSize.snapshot(),
      turnMicroseconds: this.turnMicroseconds.snapshot(),
      loopLagMicroseconds: this.loopLagMicroseconds.snapshot(),
    };
  }
}

/** The sums and the joint histograms of several snapshots. */
export function combine(snapshots: readonly StatsSnapshot[]): StatsSnapshot {
  const sum = (i: number): number =>
    snapshots.reduce((total, snapshot) => total + snapshot[COUNTER_NAMES[i]], 0);
  return {
    ...countersFrom(sum),
    batchSize: combineHistograms(snapshots.map((one) => one.batchSize)),
    turnMicroseconds: combineHistograms(snapshots.map((one) => one.turnMicroseconds)),
    loopLagMicroseconds: combineHistograms(snapshots.map((one) => one.loopLagMicroseconds)),
  };
}

/** The present state of a server's reactors, in their order. */
export function serverStats(reactors: readonly ReactorStats[]): ServerStats {
  const snapshots = reactors.map((reactor, index) => reactor.snapshot(index));
  return { totals: combine(snapshots), reactors: snapshots };
}

function countersFrom(valueAt: (i: number) => number): CounterValues {
  const values = {} as Record<CounterName, number>;
  for (const [i, name] of COUNTER_NAMES.entries()) {
    values[name] = valueAt(i);
  }
  return values;
}
