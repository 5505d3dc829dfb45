/**
 * TLS: `npm run bench -- tls`. Echo over established connections, and handshakes, new and resumed, of millrace and of
 * node:tls with the same certificate, each on one core, turn by turn as interleave.ts has it; and what an idle
 * connection costs, beside what OpenSSL itself needs for it. The load is native/tls-load.c, on the system's OpenSSL.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildProgram, nativePath } from './build-native.js';
import { type Client, startClient } from './client-process.js';
import { warnIfBusy } from './limits.js';
import { describeMachine } from './machine.js';
import { integer, seconds } from './option-values.js';
import { PEERS_DIRECTORY, ROOT_DIRECTORY } from './paths.js';
import { writeResultFile } from './result-file.js';
import { type ServerCommand, type ServerProcess, startServer } from './server-process.js';
import { median, sum } from './statistics.js';
import { fixed, grouped, printTable } from './table.js';
import { measureTlsIdle, type TlsIdle } from './tls-idle.js';

const USAGE = `usage: npm run bench -- tls [options]
  --rounds N           rounds, in each of which every server gets one slice (9)
  --slice SECONDS      length of a slice (1)
  --connections N      connections of echo (100)
  --bytes LIST         bytes of a message of echo (512,16384)
  --handshaking N      handshakes under way at a time (32)
  --idle N             idle connections, 0: none (2000)
  --json FILE          where the result goes; "none" for nowhere
`;

const REFERENCE = 'node:tls';
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const WARM_UP_SECONDS = 0.1;
const ANSWER_TIMEOUT_MS = 30_000;

/** What tls-load prints for one slice. */
interface TlsReport {
  readonly seconds: number;
  readonly requests: number;
  readonly rate: number;
  readonly resumed: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: number;
  readonly totalSeconds: number;
  readonly totalRequests: number;
  readonly clientCpuSeconds: number;
}

interface TlsSlice {
  readonly load: string;
  readonly server: string;
  readonly round: number;
  readonly report: TlsReport;
  readonly serverCpuSeconds: number;
}

/** A kind of load, by its arguments for tls-load. */
interface Load {
  readonly name: string;
  readonly argv: readonly string[];
}

interface Options {
  readonly rounds: number;
  readonly sliceSeconds: number;
  readonly loads: readonly Load[];
  readonly idle: number;
  readonly json: string | undefined;
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string', default: '9' },
      slice: { type: 'string', default: '1' },
      connections: { type: 'string', default: '100' },
      bytes: { type: 'string', default: '512,16384' },
      handshaking: { type: 'string', default: '32' },
      idle: { type: 'string', default: '2000' },
      json: { type: 'string' },
    },
  });
  const connections = String(integer('--connections', values.connections, 1, 10_000));
  const handshaking = String(integer('--handshaking', values.handshaking, 1, 1_000));
  const sizes = values.bytes.split(',').map((text) => integer('--bytes', text, 1, 65_536));
  const shakes = ['--handshakes', '--connections', handshaking];
  return {
    rounds: integer('--rounds', values.rounds, 1, 1_000),
    sliceSeconds: seconds('--slice', values.slice, 0.05),
    loads: [
      ...sizes.map((size) => ({
        name: `echo ${size} B`,
        argv: ['--connections', connections, '--bytes', String(size)],
      })),
      { name: 'handshakes', argv: shakes },
      { name: 'handshakes, resumed', argv: [...shakes, '--resume'] },
      { name: 'handshakes, TLS 1.2', argv: [...shakes, '--version', '2'] },
    ],
    idle: integer('--idle', values.idle, 0, 9_000),
    json: values.json,
  };
}

/** A certificate as most servers have them today: ECDSA, P-256. */
function makeCertificate(folder: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert],
    ],
    { stdio: 'pipe' },
  );
  return { cert, key };
}

function commands(cert: string, key: string): ServerCommand[] {
  const own = join(ROOT_DIRECTORY, 'bench/servers/tls-echo.mjs');
  const node = join(PEERS_DIRECTORY, 'node-tls.mjs');
  return [
    { name: 'millrace', argv: [process.execPath, own, cert, key] },
    { name: REFERENCE, argv: [process.execPath, node, cert, key] },
  ];
}

async function measure(
  servers: readonly ServerProcess[],
  load: Load,
  options: Options,
): Promise<TlsSlice[]> {
  const clients: Client<TlsReport>[] = [];
  const slices: TlsSlice[] = [];
  try {
    for (const { name, port } of servers) {
      const argv = [
        ...[nativePath('tls-load'), '--address', `tcp://127.0.0.1:${port}`, ...load.argv],
        ...['--warm-up', String(WARM_UP_SECONDS)],
      ];
      clients.push(await startClient<TlsReport>(`the load of ${name}`, argv, CLIENT_CORE));
    }
    for (let round = 0; round <= options.rounds; round += 1) {
      process.stderr.write(`bench: tls, ${load.name}, round ${round} of ${options.rounds}\n`);
      for (let i = 0; i < servers.length; i += 1) {
        const at = (i + round) % servers.length;
        const [server, client] = [servers[at]!, clients[at]!];
        const before = server.cpuSeconds();
        const timeoutMs = options.sliceSeconds * 1_000 + ANSWER_TIMEOUT_MS;
        const report = await client.command(`run ${options.sliceSeconds}`, timeoutMs);
        const serverCpuSeconds = server.cpuSeconds() - before;
        server.assertAlive();
        if (report.errors > 0) {
          throw new Error(`${server.name}: ${report.errors} errors: ${client.complaints()}`);
        }
        // The first round is for the compilers.
        if (round > 0) {
          slices.push({ load: load.name, server: server.name, round, report, serverCpuSeconds });
        }
      }
    }
  } finally {
    for (const client of clients) await client.stop();
  }
  return slices;
}

/** Ratios are the medians of those of each round, as in report.ts; above 1 is better. */
function print(loads: readonly Load[], slices: readonly TlsSlice[]): void {
  const header = ['load', 'server', 'median /s', '/ node:tls', 'CPU µs', 'CPU ratio'];
  header.push('server CPU', 'load CPU', 'p50 µs', 'p99 µs');
  const rows = loads.flatMap(({ name }) => {
    const all = slices.filter(({ load }) => load === name);
    return [...new Set(all.map(({ server }) => server))].sort().map((server) => {
      const own = all.filter((slice) => slice.server === server);
      const reports = own.map(({ report }) => report);
      const total = sum(reports.map(({ totalSeconds }) => totalSeconds));
      const ratios = own.map((slice) => {
        const reference = all.find((s) => s.server === REFERENCE && s.round === slice.round)!;
        return {
          rate: slice.report.rate / reference.report.rate,
          cpu: cpuMicroseconds(reference) / cpuMicroseconds(slice),
        };
      });
      return [
        ...[name, server, grouped(median(reports.map(({ rate }) => rate)))],
        fixed(median(ratios.map(({ rate }) => rate)), 2),
        fixed(median(own.map(cpuMicroseconds)), 1),
        fixed(median(ratios.map(({ cpu }) => cpu)), 2),
        fixed(sum(own.map(({ serverCpuSeconds }) => serverCpuSeconds)) / total, 2),
        fixed(sum(reports.map(({ clientCpuSeconds }) => clientCpuSeconds)) / total, 2),
        grouped(median(reports.map(({ p50Us }) => p50Us))),
        grouped(median(reports.map(({ p99Us }) => p99Us))),
      ];
    });
  });
  printTable(header, rows);
}

function cpuMicroseconds({ serverCpuSeconds, report }: TlsSlice): number {
  return (serverCpuSeconds / report.totalRequests) * 1e6;
}

function printIdle(idle: readonly TlsIdle[]): void {
  const header = ['idle', 'connections', 'B/connection', 'of these OpenSSL’s', 'millrace’s own'];
  const rows = idle.map((each) => [
    ...[each.server, grouped(each.connections), grouped(each.bytesPerConnection)],
    ...[each.openSslBytes, each.ownBytes].map((bytes) => grouped(bytes ?? Number.NaN)),
  ]);
  printTable(header, rows);
}

/** Runs the benchmark; the exit code. */
export async function runTlsBenchmark(argv: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parse(argv);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  buildProgram('tls-load', ['-lssl', '-lcrypto']);
  warnIfBusy();
  const machine = describeMachine();
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const servers: ServerProcess[] = [];
  const slices: TlsSlice[] = [];
  const idle: TlsIdle[] = [];
  try {
    const { cert, key } = makeCertificate(folder);
    for (const command of commands(cert, key)) {
      servers.push(await startServer(command, SERVER_CORE));
    }
    for (const load of options.loads) {
      slices.push(...(await measure(servers, load, options)));
    }
    for (const server of servers.splice(0)) await server.stop();
    for (const command of options.idle > 0 ? commands(cert, key) : []) {
      idle.push(await measureTlsIdle(command, options.idle, SERVER_CORE, CLIENT_CORE));
    }
  } finally {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  print(options.loads, slices);
  printIdle(idle);
  const path = writeResultFile('tls', options.json, { machine, options, slices, idle });
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
  return 0;
}
