/**
 * The method of the benchmark: all servers stay up, pinned to one core, and each gets a slice of load in turn,
 * round after round, with the order rotated. A shared machine changes its speed by a factor of two within minutes;
 * so figures are only set against each other within a round, where they are seconds apart.
 *
 * Each server has a load generator of its own with its connections open all the time. Between its slices a server
 * and its generator have nothing to do, so the only thing that runs on the two cores is the pair being measured.
 */
import { nativePath } from './build-native.js';
import { type Client, type SliceReport, startClient } from './client-process.js';
import { coresBusySeconds } from './cores.js';
import { checkServerLimits, sourcesFor } from './limits.js';
import type { Options } from './options.js';
import { type ServerCommand, type ServerProcess, startServer } from './server-process.js';

/** On top of the slice: echo-load waits ten seconds for echoes that do not come. */
const ANSWER_TIMEOUT_MS = 30_000;

/** The first, discarded round is at least so long for each server: its code is compiled in it. */
const FIRST_SLICE_SECONDS_MIN = 0.5;

/** One slice of one server, as measured. */
export interface Slice {
  readonly round: number;
  readonly server: string;
  readonly connections: number;
  readonly report: SliceReport;
  /** CPU time of the server over `report.totalSeconds`. */
  readonly serverCpuSeconds: number;
  /** CPU time of everything on the two cores over the same span. */
  readonly coresBusySeconds: number;
}

interface Pair {
  readonly server: ServerProcess;
  readonly client: Client<SliceReport>;
}

/** Measures all servers with one number of connections. */
export async function interleave(
  mode: 'echo' | 'stream',
  commands: readonly ServerCommand[],
  connections: number,
  options: Options,
): Promise<Slice[]> {
  const pairs: Pair[] = [];
  const servers: ServerProcess[] = [];
  const slices: Slice[] = [];
  try {
    for (const command of commands) {
      const server = await startServer(command, options.serverCore);
      servers.push(server);
      checkServerLimits(server, connections);
      pairs.push({ server, client: await startLoad(mode, server, connections, options) });
    }
    const firstSeconds = Math.max(options.sliceSeconds, FIRST_SLICE_SECONDS_MIN);
    for (const pair of pairs) await runSlice(pair, 0, connections, firstSeconds, options);
    for (let round = 1; round <= options.rounds; round += 1) {
      process.stderr.write(
        `bench: ${mode}, ${connections} connections, round ${round} of ${options.rounds}\n`,
      );
      for (const pair of rotated(pairs, round - 1)) {
        slices.push(await runSlice(pair, round, connections, options.sliceSeconds, options));
      }
    }
  } finally {
    for (const pair of pairs) await pair.client.stop();
    for (const server of servers) await server.stop();
  }
  return slices;
}

function startLoad(
  mode: 'echo' | 'stream',
  server: ServerProcess,
  connections: number,
  options: Options,
): Promise<Client<SliceReport>> {
  const load =
    mode === 'stream'
      ? ['--stream', '--window', String(options.windowBytes)]
      : ['--bytes', String(options.messageBytes), '--in-flight', String(options.inFlight)];
  const argv = [
    nativePath('echo-load'),
    ...['--address', `tcp://127.0.0.1:${server.port}`],
    ...['--connections', String(connections)],
    ...['--warm-up', String(options.warmUpSeconds)],
    ...['--sources', String(sourcesFor(connections))],
    ...load,
  ];
  return startClient<SliceReport>(`the load of ${server.name}`, argv, options.clientCore);
}

async function runSlice(
  { server, client }: Pair,
  round: number,
  connections: number,
  seconds: number,
  options: Options,
): Promise<Slice> {
  const cores = [options.serverCore, options.clientCore];
  const busyBefore = coresBusySeconds(cores);
  const before = server.cpuSeconds();
  const report = await client.command(`run ${seconds}`, seconds * 1_000 + ANSWER_TIMEOUT_MS);
  server.assertAlive();
  if (report.errors > 0) process.stderr.write(`bench: ${server.name}: ${client.complaints()}\n`);
  const serverCpuSeconds = server.cpuSeconds() - before;
  const busySeconds = coresBusySeconds(cores) - busyBefore;
  return {
    round,
    server: server.name,
    connections,
    report,
    serverCpuSeconds,
    coresBusySeconds: busySeconds,
  };
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
