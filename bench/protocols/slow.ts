/**
 * Hostile clients: `npm run bench -- slow`. Attack after attack on one server with the default limits, while honest
 * clients go on at a fixed rate: how much later they are answered, how much memory the server takes, and whether the
 * attackers got what they were due. The attackers are native/hostile-clients.c, the honest ones native/http-load.c;
 * both share a core, of which the attackers get what the honest ones leave (SCHED_IDLE, sched(7)): else the latencies
 * would tell how long the honest generator waited for its core, and not for the server.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildNative, nativePath } from '../build-native.js';
import { type Client, startClient } from '../client-process.js';
import { checkLimits, sourcesFor, warnIfBusy } from '../limits.js';
import { describeMachine } from '../machine.js';
import { integer } from '../option-values.js';
import { SERVERS_DIRECTORY } from '../paths.js';
import { writeResultFile } from '../result-file.js';
import { type ServerProcess, startServer } from '../server-process.js';
import { median } from '../statistics.js';
import { fixed, grouped, megabytes, percent, printTable } from '../table.js';
import { type Attack, attacks } from './attacks.js';
import { CLIENT_CORE, parseProtocolOptions, SERVER_CORE } from './options.js';
import type { LoadReport } from './rounds.js';
import { withUsage } from './run.js';

const USAGE = `usage: npm run bench -- slow [options]
  --connections N      slow clients of the largest attack; others have a part of them (10000)
  --rate N             requests of the honest clients in a second (1000)
  --honest N           honest clients (32)
  --only TEXT          only attacks that have this in their name
  --json FILE          where the result goes; "none" for nowhere (bench/results/DATE-name.json)
`;

const SLICE_SECONDS = 1;
const QUIET_SLICES = 4;
const SAMPLE_MS = 50;
const TIMEOUT_MS = 60_000;
/** What V8 may take for itself under any load: its young generation, and garbage of the old one. */
const SLACK_BYTES = 32 * 1_024 * 1_024;

/** What hostile-clients prints. */
interface HostileReport {
  readonly opened: number;
  readonly open: number;
  readonly closed: number;
  readonly expected: number;
  readonly failed: number;
  readonly firstClosedMs: number;
  readonly medianClosedMs: number;
  readonly lastClosedMs: number;
}

interface AttackResult {
  readonly attack: string;
  readonly connections: number;
  /** Each slice of the honest clients, without and with the attack. */
  readonly quiet: readonly LoadReport[];
  readonly disturbed: readonly LoadReport[];
  readonly hostile: HostileReport;
  /** Anonymous memory above what it was before, at most. */
  readonly gainedBytes: number;
  readonly boundBytes: number;
  /** Messages of the broadcast that were dropped for subscribers that were slow. */
  readonly dropped: number;
  readonly serverCpuSeconds: number;
  readonly seconds: number;
  readonly failures: readonly string[];
}

class Bench {
  readonly #server: ServerProcess;
  readonly #honest: Client<LoadReport>;
  readonly #folder: string;

  constructor(server: ServerProcess, honest: Client<LoadReport>, folder: string) {
    this.#server = server;
    this.#honest = honest;
    this.#folder = folder;
  }

  slice(): Promise<LoadReport> {
    return this.#honest.command(`run ${SLICE_SECONDS}`, TIMEOUT_MS);
  }

  async run(attack: Attack): Promise<AttackResult> {
    const client = await this.#startHostile(attack);
    try {
      const quiet: LoadReport[] = [];
      for (let i = 0; i < QUIET_SLICES / 2; i += 1) quiet.push(await this.slice());
      const droppedBefore = await this.#dropped();
      const before = anonymousBytes(this.#server.pid);
      const cpuBefore = this.#server.cpuSeconds();
      let most = before;
      const sampler = setInterval(() => {
        most = Math.max(most, anonymousBytes(this.#server.pid));
      }, SAMPLE_MS);
      const begin = performance.now();
      let until = Number.POSITIVE_INFINITY;
      // The opening of thousands of connections is part of the attack.
      const started = client.command('start', TIMEOUT_MS).then(() => {
        until = performance.now() + attack.seconds * 1_000;
      });
      const disturbed: LoadReport[] = [];
      while (performance.now() < until) disturbed.push(await this.slice());
      await started;
      const seconds = (performance.now() - begin) / 1_000;
      clearInterval(sampler);
      const serverCpuSeconds = this.#server.cpuSeconds() - cpuBefore;
      const hostile = await client.command('stop', TIMEOUT_MS);
      await sleep(500);
      while (quiet.length < QUIET_SLICES) quiet.push(await this.slice());
      const dropped = (await this.#dropped()) - droppedBefore;
      const gainedBytes = most - before;
      const boundBytes = attack.connections * attack.bytesMax + SLACK_BYTES;
      const honestErrors = [...quiet, ...disturbed].some(({ errors }) => errors > 0);
      return {
        ...{ attack: attack.name, connections: attack.connections, quiet, disturbed, hostile },
        ...{ gainedBytes, boundBytes, dropped, serverCpuSeconds, seconds },
        failures: [
          ...(gainedBytes > boundBytes ? ['memory above its bound'] : []),
          ...(attack.dropsMessages === true && dropped === 0 ? ['nobody was slow'] : []),
          ...(honestErrors ? [`honest clients failed: ${this.#honest.complaints()}`] : []),
          ...outcome(attack, hostile),
        ],
      };
    } finally {
      await client.stop();
    }
  }

  /** Collects garbage, too, so that memory is counted from there. */
  async #dropped(): Promise<number> {
    const answer = await this.#server.ask('memory', TIMEOUT_MS);
    return (JSON.parse(answer) as { hub: { droppedNew: number } }).hub.droppedNew;
  }

  #startHostile(attack: Attack): Promise<Client<HostileReport>> {
    const file = (name: string, bytes: Buffer): string => {
      const path = join(this.#folder, name);
      writeFileSync(path, bytes);
      return path;
    };
    const idle = ['chrt', '--idle', '0'];
    const argv = [
      ...[...idle, nativePath('hostile-clients')],
      ...['--address', `tcp://127.0.0.1:${this.#server.port}`],
      ...['--connections', String(attack.connections), '--first', file('first', attack.first)],
      ...['--sources', String(sourcesFor(attack.connections) + 1)],
    ];
    if (attack.drip !== undefined) {
      argv.push('--drip', file('drip', attack.drip), '--every', String(attack.everyMs));
    }
    if (attack.expect !== undefined) argv.push('--expect', file('expect', attack.expect));
    if (attack.perSecond !== undefined) argv.push('--per-second', String(attack.perSecond));
    if (attack.again === true) argv.push('--again');
    if (attack.mute === true) argv.push('--mute');
    if (attack.receiveBuffer !== undefined) {
      argv.push('--receive-buffer', String(attack.receiveBuffer));
    }
    return startClient<HostileReport>(`the clients of ${attack.name}`, argv, CLIENT_CORE);
  }
}

/** What is wrong with what the attackers got. */
function outcome(attack: Attack, hostile: HostileReport): string[] {
  const failures: string[] = [];
  if (hostile.failed > 0) failures.push(`${hostile.failed} could not connect`);
  if (attack.expect !== undefined) {
    // With `again` some are in the midst of it at the end.
    const due = attack.again === true ? hostile.closed : attack.connections;
    if (hostile.expected < due || due === 0) {
      failures.push(`${hostile.expected} of ${due} got the answer that they were due`);
    }
  }
  if (attack.closedBetweenMs !== undefined) {
    const [from, to] = attack.closedBetweenMs;
    if (hostile.closed < attack.connections) failures.push(`${hostile.closed} were closed`);
    // A reactor's clock is read once a turn, so that a deadline may seem early by a little.
    if (hostile.firstClosedMs < from - 50 || hostile.lastClosedMs > to) {
      failures.push(`closed after ${hostile.firstClosedMs} to ${hostile.lastClosedMs} ms`);
    }
  }
  return failures;
}

/** Read without the locks that smaps_rollup takes: it is read often, while latencies are measured. */
function anonymousBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(text)?.[1]) * 1_024;
}

function print(results: readonly AttackResult[]): void {
  const header = [
    ...['attack', 'connections', 'served', 'closed', 'median s', 'last s', 'CPU'],
    ...['gained', 'bound', 'B/conn.', 'p50 µs', 'attacked', 'p99 µs', 'attacked', '/ quiet'],
  ];
  const rows = results.map((r) => {
    const p50 = (slices: readonly LoadReport[]) => median(slices.map(({ p50Us }) => p50Us));
    const p99 = (slices: readonly LoadReport[]) => median(slices.map(({ p99Us }) => p99Us));
    return [
      ...[r.attack, grouped(r.connections), grouped(r.hostile.expected), grouped(r.hostile.closed)],
      fixed(r.hostile.medianClosedMs / 1_000, 2),
      ...[fixed(r.hostile.lastClosedMs / 1_000, 2), percent(r.serverCpuSeconds / r.seconds)],
      ...[megabytes(r.gainedBytes), megabytes(r.boundBytes)],
      ...[grouped(r.gainedBytes / r.connections), grouped(p50(r.quiet)), grouped(p50(r.disturbed))],
      ...[grouped(p99(r.quiet)), grouped(p99(r.disturbed))],
      fixed(p99(r.disturbed) / p99(r.quiet), 2),
    ];
  });
  printTable(header, rows);
  for (const { attack, failures } of results) {
    for (const failure of failures) process.stdout.write(`${attack}: ${failure}\n`);
  }
}

interface Options {
  readonly connections: number;
  readonly rate: number;
  readonly honest: number;
  readonly only: string;
  readonly json: string | undefined;
}

function parse(argv: readonly string[]): Options {
  const { options, own } = parseProtocolOptions(
    argv,
    { connections: '10000', idle: '0' },
    {
      rate: { type: 'string', default: '1000' },
      honest: { type: 'string', default: '32' },
      only: { type: 'string', default: '' },
    },
  );
  return {
    connections: options.connections[0] ?? 10_000,
    rate: integer('--rate', String(own.rate), 1, 100_000),
    honest: integer('--honest', String(own.honest), 1, 1_000),
    only: String(own.only),
    json: options.json,
  };
}

async function run(options: Options): Promise<void> {
  checkLimits(options.connections + options.honest, SERVER_CORE, CLIENT_CORE);
  buildNative();
  warnIfBusy();
  const machine = describeMachine();
  const chosen = attacks(options.connections).filter(({ name }) => name.includes(options.only));
  if (chosen.length === 0)
    throw new RangeError(`--only: no attack has ${options.only} in its name`);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const program = join(SERVERS_DIRECTORY, 'slow-server.mjs');
  const argv = [process.execPath, '--expose-gc', program];
  const server = await startServer({ name: 'millrace', argv }, SERVER_CORE);
  const results: AttackResult[] = [];
  let honest: Client<LoadReport> | undefined;
  try {
    const honestArgv = [
      ...[nativePath('http-load'), '--address', `tcp://127.0.0.1:${server.port}`],
      ...['--connections', String(options.honest), '--rate', String(options.rate)],
    ];
    honest = await startClient<LoadReport>('the honest clients', honestArgv, CLIENT_CORE);
    const bench = new Bench(server, honest, folder);
    // For the compilers.
    await bench.slice();
    await bench.slice();
    for (const attack of chosen) {
      process.stderr.write(`bench: ${attack.name}, ${attack.connections} connections\n`);
      results.push(await bench.run(attack));
    }
  } finally {
    await honest?.stop();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(
    `\nslow: ${options.honest} honest clients, ${options.rate} requests a second, in slices of ` +
      `${SLICE_SECONDS} s; server on core ${SERVER_CORE}, all clients on core ${CLIENT_CORE}\n`,
  );
  print(results);
  const path = writeResultFile('slow', options.json, { machine, options, results });
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
  if (results.some(({ failures }) => failures.length > 0)) throw new Error('see what failed above');
}

/** Runs the benchmark; the exit code. */
export function runSlowBenchmark(argv: readonly string[]): Promise<number> {
  return withUsage(USAGE, argv, () => parse(argv), run);
}
