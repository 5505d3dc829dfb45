/**
 * What a reactor counts, in a SharedArrayBuffer: written by its thread alone, read by any thread without a lock.
 *
 * Counters are 64-bit floats in aligned memory. On the 64-bit platforms we run on such a store is one instruction, so a
 * reader sees the value before or after it and never half of it; exact up to 2^53.
 */

import { Histogram, type HistogramSnapshot } from './histogram.js';

export type { HistogramSnapshot } from './histogram.js';

/** Names of the counters, in the order of their cells. */
const NAMES = [
  'connections',
  'opened',
  'accepted',
  'adopted',
  'dialed',
  'closed',
  'bytesReceived',
  'bytesSent',
  'receives',
  'sends',
  'writesQueued',
  'driverCalls',
  'events',
  'turns',
  'staleEvents',
  'timersFired',
  'mailboxMessages',
  'handlerErrors',
  'queuedConnections',
  'blockBytes',
  'acceptErrors',
  'refusedDescriptorLimit',
  'refusedConnectionsMax',
  'refusedWriteFull',
  'refusedWriteOverflow',
  'refusedMailboxFull',
  'timeoutConnect',
  'timeoutRead',
  'timeoutWrite',
  'timeoutIdle',
  'timeoutLinger',
] as const;

export type CounterName = (typeof NAMES)[number];

function cell(name: CounterName): number {
  return NAMES.indexOf(name);
}

/** Gauges: what is there now. */
export const CONNECTIONS: number = cell('connections');
/** Connections with a write queue. */
export const QUEUED_CONNECTIONS: number = cell('queuedConnections');
/** Bytes of pooled memory in use by write queues and readers. */
export const BLOCK_BYTES: number = cell('blockBytes');
/** Counters: what has happened. */
export const OPENED: number = cell('opened');
export const ACCEPTED: number = cell('accepted');
/** Descriptors taken out of the mailbox. */
export const ADOPTED: number = cell('adopted');
export const DIALED: number = cell('dialed');
export const CLOSED: number = cell('closed');
export const BYTES_RECEIVED: number = cell('bytesReceived');
export const BYTES_SENT: number = cell('bytesSent');
export const RECEIVES: number = cell('receives');
export const SENDS: number = cell('sends');
export const WRITES_QUEUED: number = cell('writesQueued');
export const DRIVER_CALLS: number = cell('driverCalls');
export const EVENTS: number = cell('events');
export const TURNS: number = cell('turns');
export const STALE_EVENTS: number = cell('staleEvents');
export const TIMERS_FIRED: number = cell('timersFired');
export const MAILBOX_MESSAGES: number = cell('mailboxMessages');
export const HANDLER_ERRORS: number = cell('handlerErrors');
export const ACCEPT_ERRORS: number = cell('acceptErrors');
export const REFUSED_DESCRIPTOR_LIMIT: number = cell('refusedDescriptorLimit');
export const REFUSED_CONNECTIONS_MAX: number = cell('refusedConnectionsMax');
export const REFUSED_WRITE_FULL: number = cell('refusedWriteFull');
export const REFUSED_WRITE_OVERFLOW: number = cell('refusedWriteOverflow');
export const REFUSED_MAILBOX_FULL: number = cell('refusedMailboxFull');
/** By kind of deadline. */
export const TIMEOUTS: Readonly<Record<'connect' | 'read' | 'write' | 'idle' | 'linger', number>> = {
  connect: cell('timeoutConnect'),
  read: cell('timeoutRead'),
  write: cell('timeoutWrite'),
  idle: cell('timeoutIdle'),
  linger: cell('timeoutLinger'),
};

/** What a reactor is doing, for the watchdog. */
const HOOKS = [
  '',
  'onOpen',
  'onData',
  'onReadable',
  'onDrain',
  'onEnd',
  'onClose',
  'onTick',
  'onBeforeWrite',
  'onMessage',
  'a timer',
  'a task',
];
export const HOOK_OPEN = 1;
export const HOOK_DATA = 2;
export const HOOK_READABLE = 3;
export const HOOK_DRAIN = 4;
export const HOOK_END = 5;
export const HOOK_CLOSE = 6;
export const HOOK_TICK = 7;
export const HOOK_BEFORE_WRITE = 8;
export const HOOK_MESSAGE = 9;
export const HOOK_TIMER = 10;
export const HOOK_TASK = 11;

/** The name of a hook as the user knows it; empty outside of any. */
export function hookName(hook: number): string {
  return HOOKS[hook] ?? '';
}

const COUNTER_CELLS = 64;
const TURN_STARTED_AT = 62;
const COUNTER_BYTES = COUNTER_CELLS * 8;
/** Two words after the counters: hook and slot. */
const ACTIVITY_BYTES = 64;
const HISTOGRAMS_AT = COUNTER_BYTES + ACTIVITY_BYTES;

export interface ReactorSnapshot extends Readonly<Record<CounterName, number>> {
  /** Events in one batch, of turns that had any. */
  readonly batchSize: HistogramSnapshot;
  /** Microseconds of one turn. */
  readonly turnMicros: HistogramSnapshot;
  /** Microseconds between two turns while there is work: what the rest of the thread takes. */
  readonly lagMicros: HistogramSnapshot;
}

export interface ServerStats {
  /** Sums over all reactors. */
  readonly totals: Readonly<Record<CounterName, number>>;
  readonly reactors: readonly ReactorSnapshot[];
}

export class ReactorStats {
  readonly buffer: SharedArrayBuffer;
  readonly batchSize: Histogram;
  readonly turnMicros: Histogram;
  readonly lagMicros: Histogram;
  readonly #cells: Float64Array;
  readonly #activity: Int32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#cells = new Float64Array(buffer, 0, COUNTER_CELLS);
    this.#activity = new Int32Array(buffer, COUNTER_BYTES, ACTIVITY_BYTES / 4);
    this.batchSize = new Histogram(buffer, HISTOGRAMS_AT);
    this.turnMicros = new Histogram(buffer, HISTOGRAMS_AT + Histogram.BYTES);
    this.lagMicros = new Histogram(buffer, HISTOGRAMS_AT + 2 * Histogram.BYTES);
  }

  static create(): ReactorStats {
    return new ReactorStats(new SharedArrayBuffer(HISTOGRAMS_AT + 3 * Histogram.BYTES));
  }

  static from(buffer: SharedArrayBuffer): ReactorStats {
    return new ReactorStats(buffer);
  }

  add(counter: number, n: number): void {
    this.#cells[counter] += n;
  }

  set(counter: number, n: number): void {
    this.#cells[counter] = n;
  }

  get(counter: number): number {
    return this.#cells[counter];
  }

  enterHook(hook: number, slot: number): void {
    this.#activity[1] = slot;
    this.#activity[0] = hook;
  }

  leaveHook(): void {
    this.#activity[0] = 0;
  }

  get currentHook(): number {
    return this.#activity[0];
  }

  get currentSlot(): number {
    return this.#activity[1];
  }

  /** `now` in milliseconds of the kernel's clock, which all threads share. */
  beginTurn(now: number): void {
    this.#cells[TURN_STARTED_AT] = now;
  }

  /** `lagMs` counts only if another turn had been asked for already. */
  endTurn(events: number, turnMs: number, lagMs: number, wasBusy: boolean): void {
    this.#cells[TURNS] += 1;
    this.#cells[TURN_STARTED_AT] = 0;
    if (events > 0) {
      this.#cells[EVENTS] += events;
      this.batchSize.record(events);
      this.turnMicros.record(turnMs * 1000);
    }
    if (wasBusy) {
      this.lagMicros.record(lagMs * 1000);
    }
  }

  /** When the turn began that the reactor is in; 0 outside of one. */
  get turnStartedAt(): number {
    return this.#cells[TURN_STARTED_AT];
  }

  get turnCount(): number {
    return this.#cells[TURNS];
  }

  /** The reactor is gone with all it had: gauges go to zero, counters stay. */
  resetGauges(): void {
    this.#cells[CONNECTIONS] = 0;
    this.#cells[QUEUED_CONNECTIONS] = 0;
    this.#cells[BLOCK_BYTES] = 0;
    this.#cells[TURN_STARTED_AT] = 0;
    this.#activity.fill(0);
  }

  snapshot(): ReactorSnapshot {
    return {
      ...this.counters(),
      batchSize: this.batchSize.snapshot(),
      turnMicros: this.turnMicros.snapshot(),
      lagMicros: this.lagMicros.snapshot(),
    };
  }

  counters(): Record<CounterName, number> {
    const counters = {} as Record<CounterName, number>;
    for (let i = 0; i < NAMES.length; i += 1) {
      counters[NAMES[i]] = this.#cells[i];
    }
    return counters;
  }
}

export function combineStats(list: readonly ReactorStats[]): ServerStats {
  const reactors = list.map((stats) => stats.snapshot());
  const totals = {} as Record<CounterName, number>;
  for (const name of NAMES) {
    totals[name] = reactors.reduce((sum, snapshot) => sum + snapshot[name], 0);
  }
  return { totals, reactors };
}
