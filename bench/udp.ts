/**
 * UDP: `npm run bench -- udp`. Echo of datagrams by millrace (both drivers, and with sessions), node:dgram, gnet and a
 * plain loop in C, each on one core, turn by turn as interleave.ts has it. The load is native/udp-load.c.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildGo, goPath } from './build-go.js';
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

const USAGE = `usage: npm run bench -- udp [options]
  --rounds N           rounds, in each of which every server gets one slice (9)
  --slice SECONDS      length of a slice (0.5)
  --sockets N          sockets of the load (4)
  --window N           datagrams that each has on their way (16)
  --bytes LIST         bytes of a datagram (64,1400)
  --bulk               the load sends and receives with the kernel's help, as QUIC does (UDP_SEGMENT, UDP_GRO)
  --ways               the C server in its three ways, and no others
  --json FILE          where the result goes; "none" for nowhere
`;

const REFERENCE = 'dgram';
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const WARM_UP_SECONDS = 0.05;
const ANSWER_TIMEOUT_MS = 30_000;

/** What udp-load prints for one slice. */
interface UdpReport {
  readonly rate: number;
  readonly lost: number;
  readonly errors: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly totalSeconds: number;
  readonly totalRequests: number;
  readonly clientCpuSeconds: number;
}

interface UdpSlice {
  readonly bytes: number;
  readonly server: string;
  readonly round: number;
  readonly report: UdpReport;
  readonly serverCpuSeconds: number;
}

interface Options {
  readonly rounds: number;
  readonly sliceSeconds: number;
  readonly sockets: number;
  readonly window: number;
  readonly sizes: readonly number[];
  readonly bulk: boolean;
  readonly ways: boolean;
  readonly json: string | undefined;
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string', default: '9' },
      slice: { type: 'string', default: '0.5' },
      sockets: { type: 'string', default: '4' },
      window: { type: 'string', default: '16' },
      bytes: { type: 'string', default: '64,1400' },
      bulk: { type: 'boolean', default: false },
      ways: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  });
  return {
    rounds: integer('--rounds', values.rounds, 1, 1_000),
    sliceSeconds: seconds('--slice', values.slice, 0.05),
    sockets: integer('--sockets', values.sockets, 1, 1_000),
    window: integer('--window', values.window, 1, 1_000),
    sizes: values.bytes.split(',').map((text) => integer('--bytes', text, 16, 65_507)),
    bulk: values.bulk,
    ways: values.ways,
    json: values.json,
  };
}

function commands({ ways, bulk }: Options): ServerCommand[] {
  const reference = nativePath('udp-reference');
  const c = { name: 'c', argv: [reference] };
  if (ways) {
    const single = { name: 'c, single calls', argv: [reference, '--single'] };
    return [c, single, { name: 'c, io_uring multishot', argv: [reference, '--multishot'] }];
  }
  const own = [process.execPath, join(ROOT_DIRECTORY, 'bench/servers/udp-echo.mjs')];
  const node = join(PEERS_DIRECTORY, 'node-dgram.mjs');
  const list = [
    { name: 'millrace, epoll', argv: [...own, 'epoll'] },
    { name: 'millrace, io_uring', argv: [...own, 'uring'] },
    { name: 'millrace, sessions', argv: [...own, 'epoll', 'sessions'] },
    ...(bulk ? [{ name: 'millrace, GRO', argv: [...own, 'epoll', 'gro'] }] : []),
    { name: REFERENCE, argv: [process.execPath, node] },
    c,
  ];
  for (const peer of buildGo(['gnet-udp'])) list.push({ name: 'gnet', argv: [goPath(peer)] });
  return list;
}

async function measure(
  servers: readonly ServerProcess[],
  bytes: number,
  options: Options,
): Promise<UdpSlice[]> {
  const clients: Client<UdpReport>[] = [];
  const slices: UdpSlice[] = [];
  try {
    for (const { name, port } of servers) {
      const argv = [
        ...[nativePath('udp-load'), '--address', `127.0.0.1:${port}`, '--bytes', String(bytes)],
        ...['--sockets', String(options.sockets), '--window', String(options.window)],
        ...['--warm-up', String(WARM_UP_SECONDS), ...(options.bulk ? ['--bulk'] : [])],
      ];
      clients.push(await startClient<UdpReport>(`the load of ${name}`, argv, CLIENT_CORE));
    }
    for (let round = 0; round <= options.rounds; round += 1) {
      process.stderr.write(`bench: udp, ${bytes} B, round ${round} of ${options.rounds}\n`);
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
        if (round > 0) slices.push({ bytes, server: server.name, round, report, serverCpuSeconds });
      }
    }
  } finally {
    for (const client of clients) await client.stop();
  }
  return slices;
}

/** Ratios are the medians of those of each round, as in report.ts; above 1 is better. */
function print(sizes: readonly number[], slices: readonly UdpSlice[]): void {
  const header = ['bytes', 'server', 'median /s', `/ ${REFERENCE}`, '/ gnet', 'CPU µs'];
  header.push('CPU ratio', 'to gnet', 'server CPU', 'load CPU', 'lost', 'p50 µs', 'p99 µs');
  const rows = sizes.flatMap((bytes) => {
    const all = slices.filter((slice) => slice.bytes === bytes);
    return [...new Set(all.map(({ server }) => server))].sort().map((server) => {
      const own = all.filter((slice) => slice.server === server);
      const reports = own.map(({ report }) => report);
      const total = sum(reports.map(({ totalSeconds }) => totalSeconds));
      const against = (name: string, value: (slice: UdpSlice) => number): string => {
        const ratios = own.map((slice) => {
          const other = all.find((s) => s.server === name && s.round === slice.round);
          return other === undefined ? Number.NaN : value(slice) / value(other);
        });
        return fixed(median(ratios), 2);
      };
      return [
        ...[String(bytes), server, grouped(median(reports.map(({ rate }) => rate)))],
        against(REFERENCE, ({ report }) => report.rate),
        against('gnet', ({ report }) => report.rate),
        fixed(median(own.map(cpuMicroseconds)), 2),
        against(REFERENCE, (slice) => 1 / cpuMicroseconds(slice)),
        against('gnet', (slice) => 1 / cpuMicroseconds(slice)),
        fixed(sum(own.map(({ serverCpuSeconds }) => serverCpuSeconds)) / total, 2),
        fixed(sum(reports.map(({ clientCpuSeconds }) => clientCpuSeconds)) / total, 2),
        grouped(sum(reports.map(({ lost }) => lost))),
        grouped(median(reports.map(({ p50Us }) => p50Us))),
        grouped(median(reports.map(({ p99Us }) => p99Us))),
      ];
    });
  });
  printTable(header, rows);
}

function cpuMicroseconds({ serverCpuSeconds, report }: UdpSlice): number {
  return (serverCpuSeconds / report.totalRequests) * 1e6;
}

/** Runs the benchmark; the exit code. */
export async function runUdpBenchmark(argv: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parse(argv);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  buildProgram('udp-load');
  buildProgram('udp-reference');
  warnIfBusy();
  const machine = describeMachine();
  const servers: ServerProcess[] = [];
  const slices: UdpSlice[] = [];
  try {
    for (const command of commands(options)) servers.push(await startServer(command, SERVER_CORE));
    for (const bytes of options.sizes) slices.push(...(await measure(servers, bytes, options)));
  } finally {
    for (const server of servers) await server.stop();
  }
  print(options.sizes, slices);
  const path = writeResultFile('udp', options.json, { machine, options, slices });
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
  return 0;
}
