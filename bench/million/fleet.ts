/**
 * The clients: as many idle-clients processes (native/idle-clients.c) as their descriptors demand, each with a source
 * address of its own, 127.0.0.2 and on, commanded as one.
 *
 * Every opening is spread over all processes, so that the connections of any of them lie all over the server's tables.
 * Load comes from as few processes as hold twice what is active: they share a core, and what waits for its turn there
 * would be measured as the server's latency.
 */
import { nativePath } from '../build-native.js';
import { type Client, type IdleReport, type LoadReport, startClient } from '../client-process.js';
import { filesMax } from '../server-process.js';
import { sum } from '../statistics.js';
import { type Latency, mergeLatency } from './latency.js';
import { PER_CLIENT_MAX } from './options.js';

const PER_CLIENT_DEFAULT = 19_000;
/** Descriptors of a client beside its connections. */
const OTHER_FILES = 64;
/** Connecting or echoing at any moment, over all processes: below every listen backlog. */
const AT_ONCE = 1_024;
const PER_CLIENT_AT_ONCE_MAX = 128;
const ANSWER_TIMEOUT_MS = 600_000;

export interface FleetPlan {
  readonly connections: number;
  readonly processes: number;
  /** The most connections of one process. */
  readonly perProcess: number;
  /** Connecting or echoing at once: in all processes, and in each. */
  readonly atOnce: number;
  readonly perProcessAtOnce: number;
}

/** What all processes did, with the longest that any took. */
export interface FleetReport {
  readonly open: number;
  readonly done: number;
  readonly lost: number;
  readonly seconds: number;
  readonly longestUs: number;
}

export interface FleetLoad extends Latency {
  readonly active: number;
  readonly processes: number;
  readonly requests: number;
  readonly rate: number;
  readonly longestUs: number;
  /** Warm-up and the end included: to set CPU time against. */
  readonly allRequests: number;
  readonly lost: number;
}

export function planFleet(connections: number, perClient: number | undefined): FleetPlan {
  const allowed = Math.min(filesMax('self') - OTHER_FILES, PER_CLIENT_MAX);
  const perClientMax = Math.max(1, Math.min(perClient ?? PER_CLIENT_DEFAULT, allowed));
  const processes = Math.ceil(connections / perClientMax);
  const perProcessAtOnce = Math.min(PER_CLIENT_AT_ONCE_MAX, Math.ceil(AT_ONCE / processes));
  return {
    connections,
    processes,
    perProcess: Math.ceil(connections / processes),
    atOnce: perProcessAtOnce * processes,
    perProcessAtOnce,
  };
}

/** The i-th of `parts` shares of a whole, which differ by one at most and add up to it. */
export function shareOf(total: number, parts: number, i: number): number {
  return Math.floor((total * (i + 1)) / parts) - Math.floor((total * i) / parts);
}

export class Fleet {
  readonly plan: FleetPlan;
  /** Of the present command; the caller shows it. */
  progress = 0;
  readonly #clients: Client<IdleReport>[] = [];
  /** Connections that each process was told to open: so that every opening levels them. */
  readonly #opened: number[] = [];

  constructor(plan: FleetPlan) {
    this.plan = plan;
  }

  async start(port: number, messageBytes: number, cores: string): Promise<void> {
    for (let i = 0; i < this.plan.processes; i += 1) {
      const argv = [
        nativePath('idle-clients'),
        ...['--address', `tcp://127.0.0.1:${port}`, '--source', `127.0.0.${i + 2}`],
        ...['--bytes', String(messageBytes), '--at-once', String(this.plan.perProcessAtOnce)],
      ];
      this.#clients.push(await startClient<IdleReport>(`client ${i + 1}`, argv, cores));
      this.#opened.push(0);
    }
  }

  /** Opens connections until there are `total`, spread evenly; each echoes once before it counts. */
  open(total: number): Promise<FleetReport> {
    const { processes } = this.plan;
    const lines = this.#opened.map((before, i) => {
      const after = shareOf(total, processes, i);
      this.#opened[i] = after;
      return after > before ? `open ${after - before}` : undefined;
    });
    return this.#all(lines);
  }

  /** One message on every connection, and its echo. */
  echo(): Promise<FleetReport> {
    return this.#all(this.#opened.map((opened) => (opened > 0 ? 'echo' : undefined)));
  }

  /** FIN on every connection; each counts when the server's came. */
  end(): Promise<FleetReport> {
    const lines = this.#opened.map((opened) => (opened > 0 ? 'end' : undefined));
    this.#opened.fill(0);
    return this.#all(lines);
  }

  /** A closed loop on `active` connections, one message on its way for each; all measure the same span. */
  async load(active: number, warmUpSeconds: number, seconds: number): Promise<FleetLoad> {
    const held = sum(this.#opened) / this.plan.processes;
    const processes = Math.min(this.plan.processes, Math.ceil((2 * active) / held));
    const fromNs = process.hrtime.bigint() + BigInt(Math.round(warmUpSeconds * 1e9));
    const untilNs = fromNs + BigInt(Math.round(seconds * 1e9));
    const timeoutMs = (warmUpSeconds + seconds) * 1_000 + ANSWER_TIMEOUT_MS;
    const clients = this.#clients.slice(0, processes);
    const answers = await Promise.all(
      clients.map((client, i) => {
        const line = `load ${Math.max(1, shareOf(active, processes, i))} ${fromNs} ${untilNs}`;
        return client.command(line, timeoutMs) as Promise<LoadReport>;
      }),
    );
    const requests = sum(answers.map((answer) => answer.requests));
    return {
      active: sum(answers.map((answer) => answer.active)),
      processes,
      requests,
      rate: requests / seconds,
      ...mergeLatency(answers.map((answer) => answer.histogram)),
      longestUs: Math.max(...answers.map((answer) => answer.longestUs)),
      allRequests: sum(answers.map((answer) => answer.allRequests)),
      lost: sum(answers.map((answer) => answer.lost)),
    };
  }

  /** What the clients said of their losses, one line for each that lost something in a command. */
  complaints(): string[] {
    const said = this.#clients.map((client) => client.complaints());
    return said.flatMap((text, i) => (text === '' ? [] : `client ${i + 1}: ${text}`));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
  }

  async #all(lines: readonly (string | undefined)[]): Promise<FleetReport> {
    const done = lines.map(() => 0);
    this.progress = 0;
    const begin = performance.now();
    const answers = await Promise.all(
      lines.map(async (line, i) => {
        if (line === undefined) return undefined;
        const onProgress = (report: IdleReport) => {
          done[i] = report.done;
          this.progress = sum(done);
        };
        return await this.#clients[i]?.command(line, ANSWER_TIMEOUT_MS, onProgress);
      }),
    );
    const seconds = (performance.now() - begin) / 1e3;
    const reports = answers.filter((answer) => answer !== undefined);
    return {
      // Those that were not asked have nothing open, or what the last opening gave them.
      open: sum(reports.map((report) => report.open)),
      done: sum(reports.map((report) => report.done)),
      lost: sum(reports.map((report) => report.lost)),
      seconds,
      longestUs: Math.max(0, ...reports.map((report) => report.maxUs)),
    };
  }
}
