/**
 * `Server.stats` as metrics: one sample for each reactor, and one for the main reactor where it counted something.
 * Everything is read from memory that the reactors share; they are not asked, nor disturbed.
 */

import type { HistogramSnapshot, StatsSnapshot } from '../connection/stats.js';
import { Counter, type CounterName, type ServerStats } from '../connection/stats.js';
import type { HistogramMetric, HistogramSample, Metric, NumberMetric, Sample } from './metric.js';

interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind?: 'gauge';
  /** Several counters may be one family, told apart by a label. */
  readonly label?: readonly [name: string, value: string];
}

const REFUSED = { name: 'refused', help: 'What was refused, by the bound that was met.' };
const TIMEOUTS = { name: 'timeouts', help: 'Connections that were ended by a deadline.' };

/** A counter that is not here is exported under its own name. */
const FAMILIES: Readonly<Partial<Record<CounterName, Family>>> = {
  connections: { name: 'connections', kind: 'gauge', help: 'Open connections.' },
  queuedBytes: { name: 'queued_bytes', kind: 'gauge', help: 'Bytes in write queues.' },
  blockBytes: { name: 'buffer_bytes', kind: 'gauge', help: 'Off-heap bytes held for buffers.' },
  opened: { name: 'connections_opened', help: 'Connections announced to the handler.' },
  accepted: { name: 'connections_accepted', help: 'Connections taken from a listener.' },
  dialed: { name: 'connections_dialed', help: 'Connections dialed.' },
  adopted: { name: 'connections_adopted', help: 'Connections that another reactor accepted.' },
  closed: { name: 'connections_closed', help: 'Connections that have closed.' },
  bytesReceived: { name: 'received_bytes', help: 'Bytes received.' },
  bytesSent: { name: 'sent_bytes', help: 'Bytes handed to the kernel.' },
  receives: { name: 'receives', help: 'Receive completions.' },
  sends: { name: 'sends', help: 'Send completions.' },
  writesQueued: { name: 'writes_queued', help: 'Writes that the kernel did not take at once.' },
  driverCalls: { name: 'driver_calls', help: 'System calls of the driver.' },
  events: { name: 'driver_events', help: 'Events that the driver reported.' },
  turns: { name: 'turns', help: 'Turns of the reactor.' },
  handlerErrors: { name: 'handler_errors', help: 'Hooks that threw.' },
  timersFired: { name: 'timers_fired', help: 'Timers that fired.' },
  mailboxMessages: { name: 'mailbox_messages', help: 'Messages from other threads.' },
  mailboxDepth: {
    name: 'mailbox_depth',
    kind: 'gauge',
    help: 'Messages that waited after a turn.',
  },
  mailboxDepthMax: { name: 'mailbox_depth_max', kind: 'gauge', help: 'The most that ever waited.' },
  staleEvents: { name: 'stale_events', help: 'Events of a former use of a descriptor, dropped.' },
  staleSends: {
    name: 'stale_sends',
    help: 'Datagrams from other threads for sessions that were gone.',
  },
  acceptErrors: { name: 'accept_errors', help: 'Accepts that failed.' },
  refusedDescriptorLimit: { ...REFUSED, label: ['reason', 'descriptor_limit'] },
  refusedConnectionsMax: { ...REFUSED, label: ['reason', 'connections_max'] },
  refusedWriteFull: { ...REFUSED, label: ['reason', 'write_full'] },
  refusedWriteOverflow: { ...REFUSED, label: ['reason', 'write_overflow'] },
  refusedReadOverflow: { ...REFUSED, label: ['reason', 'read_overflow'] },
  refusedMailboxFull: { ...REFUSED, label: ['reason', 'mailbox_full'] },
  refusedMemory: { ...REFUSED, label: ['reason', 'memory'] },
  timeoutConnect: { ...TIMEOUTS, label: ['deadline', 'connect'] },
  timeoutRead: { ...TIMEOUTS, label: ['deadline', 'read'] },
  timeoutWrite: { ...TIMEOUTS, label: ['deadline', 'write'] },
  timeoutIdle: { ...TIMEOUTS, label: ['deadline', 'idle'] },
  timeoutLinger: { ...TIMEOUTS, label: ['deadline', 'linger'] },
};

interface Distribution {
  readonly key: 'turnMicroseconds' | 'loopLagMicroseconds' | 'batchSize';
  readonly name: string;
  readonly help: string;
  /** What a recorded value is divided by. */
  readonly divisor: number;
  /** Bounds are the powers of two from 2^this on. */
  readonly firstPower: number;
  readonly lastPower: number;
}

const DISTRIBUTIONS: readonly Distribution[] = [
  {
    key: 'turnMicroseconds',
    name: 'turn_seconds',
    help: 'How long turns took.',
    divisor: 1e6,
    firstPower: 4,
    lastPower: 24,
  },
  {
    key: 'loopLagMicroseconds',
    name: 'loop_lag_seconds',
    help: "How late the host's loop called the reactor.",
    divisor: 1e6,
    firstPower: 4,
    lastPower: 24,
  },
  {
    key: 'batchSize',
    name: 'batch_events',
    help: 'Events handled in one turn.',
    divisor: 1,
    firstPower: 0,
    lastPower: 12,
  },
];

const COUNTER_NAMES = Object.keys(Counter) as CounterName[];

/** All metrics of a server. Names have no prefix yet. */
export function serverMetrics(stats: ServerStats): Metric[] {
  const reactors = stats.reactors.map(
    (snapshot) => [String(snapshot.index), snapshot] as const satisfies [string, StatsSnapshot],
  );
  const families = new Map<string, { metric: NumberMetric; samples: Sample[] }>();
  for (const counter of COUNTER_NAMES) {
    const {
      name,
      help,
      kind = 'counter',
      label,
    } = FAMILIES[counter] ?? {
      name: snakeCase(counter),
      help: `The counter ${counter}.`,
    };
    let family = families.get(name);
    if (family === undefined) {
      const samples: Sample[] = [];
      family = { metric: { name, help, kind, samples }, samples };
      families.set(name, family);
    }
    let rest = stats.totals[counter];
    for (const [reactor, snapshot] of reactors) {
      rest -= snapshot[counter];
      family.samples.push(sampleOf(reactor, label, snapshot[counter]));
    }
    if (rest > 0) {
      // Accepted or refused by the main reactor, which serves no connections itself.
      family.samples.push(sampleOf('main', label, rest));
    }
  }
  const numbers = [...families.values()].map(({ metric }) => metric);
  const distributions = DISTRIBUTIONS.map(
    (distribution): HistogramMetric => ({
      name: distribution.name,
      help: distribution.help,
      kind: 'histogram',
      samples: reactors.map(([reactor, snapshot]) =>
        distributionOf(reactor, snapshot[distribution.key], distribution),
      ),
    }),
  );
  return [...numbers, ...distributions];
}

function sampleOf(reactor: string, label: Family['label'], value: number): Sample {
  return { labels: label === undefined ? { reactor } : { reactor, [label[0]]: label[1] }, value };
}

/** The finer buckets in which values were counted end at powers of two, too: nothing is estimated. */
function distributionOf(
  reactor: string,
  { buckets, count, mean }: HistogramSnapshot,
  { divisor, firstPower, lastPower }: Distribution,
): HistogramSample {
  const bounds: [number, number][] = [];
  let seen = 0;
  let at = 0;
  for (let power = firstPower; power <= lastPower; power += 1) {
    while (at < buckets.length && buckets[at]![0] < 2 ** power) {
      seen += buckets[at]![1];
      at += 1;
    }
    // Values are whole numbers: less than 2^n is at most 2^n - 1.
    bounds.push([divisor === 1 ? 2 ** power - 1 : 2 ** power / divisor, seen]);
  }
  return { labels: { reactor }, buckets: bounds, sum: (mean * count) / divisor, count };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
