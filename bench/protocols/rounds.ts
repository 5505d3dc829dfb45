/**
 * Protocol servers under load, as interleave.ts has it: all servers stay up, and each gets a slice of each load in
 * turn, round after round. The figure that counts is requests for a second of the server's CPU time, user and system:
 * it does not depend on who else uses the machine as rates do.
 */
import { nativePath, type Program } from '../build-native.js';
import { type Client, startClient } from '../client-process.js';
import { coresBusySeconds } from '../cores.js';
import { checkServerLimits } from '../limits.js';
import { type ServerCommand, type ServerProcess, startServer } from '../server-process.js';
import { median, sum } from '../statistics.js';
import { fixed, grouped, percent, printTable } from '../table.js';
import { CLIENT_CORE, type ProtocolOptions, SERVER_CORE } from './options.js';

const WARM_UP_SECONDS = 0.1;
const ANSWER_TIMEOUT_MS = 60_000;

/** What a load generator prints for one slice. */
export interface LoadReport {
  readonly seconds: number;
  readonly requests: number;
  readonly rate: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: number;
  /** From the start of the warm-up to the last answer: the span that CPU time is read over. */
  readonly totalSeconds: number;
  readonly totalRequests: number;
  readonly clientCpuSeconds: number;
}

/** A kind of load, by the arguments of its generator. */
export interface Load {
  readonly name: string;
  readonly program: Program;
  /** Descriptors that it needs in the server. */
  readonly connections: number;
  readonly argv: readonly string[];
}

export interface ProtocolSlice {
  readonly load: string;
  readonly server: string;
  readonly round: number;
  readonly report: LoadReport;
  readonly serverCpuSeconds: number;
  readonly coresBusySeconds: number;
}

/** Starts all servers, puts each load on them, and stops them. Throws when an answer was wrong or missing. */
export async function measureLoads(
  commands: readonly ServerCommand[],
  loads: readonly Load[],
  options: ProtocolOptions,
): Promise<ProtocolSlice[]> {
  const servers: ServerProcess[] = [];
  const slices: ProtocolSlice[] = [];
  try {
    for (const command of commands) servers.push(await startServer(command, SERVER_CORE));
    for (const load of loads) slices.push(...(await measureLoad(servers, load, options)));
  } finally {
    for (const server of servers) await server.stop();
  }
  return slices;
}

async function measureLoad(
  servers: readonly ServerProcess[],
  load: Load,
  options: ProtocolOptions,
): Promise<ProtocolSlice[]> {
  const clients: Client<LoadReport>[] = [];
  const slices: ProtocolSlice[] = [];
  try {
    for (const server of servers) {
      checkServerLimits(server, load.connections);
      clients.push(await startLoad(server, load));
    }
    // Round 0 is for the compilers.
    for (let round = 0; round <= options.rounds; round += 1) {
      process.stderr.write(`bench: ${load.name}, round ${round} of ${options.rounds}\n`);
      for (let i = 0; i < servers.length; i += 1) {
        const at = (i + round) % servers.length;
        const slice = await runSlice(servers[at]!, clients[at]!, options.sliceSeconds);
        if (round > 0) slices.push({ load: load.name, round, ...slice });
      }
    }
  } finally {
    for (const client of clients) await client.stop();
  }
  return slices;
}

function startLoad(server: ServerProcess, load: Load): Promise<Client<LoadReport>> {
  const argv = [
    ...[nativePath(load.program), '--address', `tcp://127.0.0.1:${server.port}`, ...load.argv],
    ...['--warm-up', String(WARM_UP_SECONDS)],
  ];
  return startClient<LoadReport>(`the load of ${server.name}`, argv, CLIENT_CORE);
}

async function runSlice(server: ServerProcess, client: Client<LoadReport>, seconds: number) {
  const cores = [SERVER_CORE, CLIENT_CORE];
  const [cpu, busy] = [server.cpuSeconds(), coresBusySeconds(cores)];
  const report = await client.command(`run ${seconds}`, seconds * 1_000 + ANSWER_TIMEOUT_MS);
  server.assertAlive();
  if (report.errors > 0) {
    throw new Error(`${server.name}: ${report.errors} errors: ${client.complaints()}`);
  }
  return {
    server: server.name,
    report,
    serverCpuSeconds: server.cpuSeconds() - cpu,
    coresBusySeconds: coresBusySeconds(cores) - busy,
  };
}

function cpuMicroseconds({ serverCpuSeconds, report }: ProtocolSlice): number {
  return (serverCpuSeconds / report.totalRequests) * 1e6;
}

/** What became of one server under one load: medians of its slices. Also goes to the result file. */
export interface LoadSummary {
  readonly load: string;
  readonly server: string;
  readonly requestsPerCpuSecond: number;
  /** In the same round, how many times as many as the reference. */
  readonly ratio: number;
  readonly cpuMicroseconds: number;
  readonly rate: number;
  readonly serverBusy: number;
  readonly clientBusy: number;
  readonly foreignBusy: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export function summarizeLoads(
  slices: readonly ProtocolSlice[],
  reference: string,
): readonly LoadSummary[] {
  const loads = [...new Set(slices.map(({ load }) => load))];
  return loads.flatMap((load) => {
    const all = slices.filter((slice) => slice.load === load);
    const servers = [...new Set(all.map(({ server }) => server))];
    return servers.sort().map((server) => summarize(load, server, all, reference));
  });
}

function summarize(
  load: string,
  server: string,
  all: readonly ProtocolSlice[],
  reference: string,
): LoadSummary {
  const own = all.filter((slice) => slice.server === server);
  const reports = own.map(({ report }) => report);
  const costs = own.map(cpuMicroseconds);
  const ratios = own.map((slice) => {
    const other = all.find((s) => s.server === reference && s.round === slice.round);
    return other === undefined ? Number.NaN : cpuMicroseconds(other) / cpuMicroseconds(slice);
  });
  const total = sum(reports.map(({ totalSeconds }) => totalSeconds));
  const serverCpu = sum(own.map(({ serverCpuSeconds }) => serverCpuSeconds));
  const clientCpu = sum(reports.map(({ clientCpuSeconds }) => clientCpuSeconds));
  const busy = sum(own.map((slice) => slice.coresBusySeconds));
  return {
    load,
    server,
    requestsPerCpuSecond: 1e6 / median(costs),
    ratio: median(ratios),
    cpuMicroseconds: median(costs),
    rate: median(reports.map(({ rate }) => rate)),
    serverBusy: serverCpu / total,
    clientBusy: clientCpu / total,
    foreignBusy: Math.max(0, busy - serverCpu - clientCpu) / (2 * total),
    p50Us: median(reports.map(({ p50Us }) => p50Us)),
    p99Us: median(reports.map(({ p99Us }) => p99Us)),
  };
}

export function printLoads(
  title: string,
  summaries: readonly LoadSummary[],
  reference: string,
  options: ProtocolOptions,
): void {
  process.stdout.write(
    `\n${title}: ${options.rounds} rounds of ${options.sliceSeconds} s; ` +
      `servers on core ${SERVER_CORE}, load on core ${CLIENT_CORE}\n`,
  );
  const header = [
    ...['load', 'server', 'requests/CPU s', `/ ${reference}`, 'CPU µs', 'requests/s'],
    ...['server CPU', 'load CPU', 'other CPU', 'p50 µs', 'p99 µs'],
  ];
  const rows = summaries.map((s) => [
    ...[s.load, s.server, grouped(s.requestsPerCpuSecond), fixed(s.ratio, 2)],
    ...[fixed(s.cpuMicroseconds, 2), grouped(s.rate)],
    ...[percent(s.serverBusy), percent(s.clientBusy), percent(s.foreignBusy)],
    ...[grouped(s.p50Us), grouped(s.p99Us)],
  ]);
  printTable(header, rows);
}
