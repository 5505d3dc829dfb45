/**
 * WebSocket servers under load: `npm run bench -- websocket-load [--connections LIST] [--bytes N] [--rounds N]
 * [--slice S] [--idle N]`. millrace against npm `ws` on one core, load by native/websocket-load.c on another, in slices
 * that take turns: echo, broadcast to all, and the JavaScript memory of idle connections. Medians of the rounds; CPU
 * time is the server's, for each message received by a client.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildNative, nativePath } from './build-native.js';
import { type Client, startClient } from './client-process.js';
import { integer, seconds } from './option-values.js';
import { PEERS_DIRECTORY } from './paths.js';
import { type ServerProcess, startServer } from './server-process.js';
import { median } from './statistics.js';

const SERVERS = ['millrace', 'ws'] as const;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const ANSWER_TIMEOUT_MS = 60_000;

interface Report {
  readonly seconds: number;
  readonly messages: number;
  readonly published: number;
}

interface Options {
  readonly connections: readonly number[];
  readonly bytes: number;
  readonly rounds: number;
  readonly sliceSeconds: number;
  readonly idle: number;
}

interface Pair {
  readonly server: ServerProcess;
  readonly client: Client<Report>;
  readonly rates: number[];
  readonly cpuMicroseconds: number[];
}

async function startPair(
  name: string,
  connections: number,
  load: readonly string[],
): Promise<Pair> {
  const program = join(PEERS_DIRECTORY, 'websocket-server.mjs');
  const server = await startServer(
    { name, argv: [process.execPath, '--expose-gc', program, name] },
    SERVER_CORE,
  );
  const argv = [
    nativePath('websocket-load'),
    '--port',
    `${server.port}`,
    '--connections',
    `${connections}`,
    ...load,
  ];
  const client = await startClient<Report>(`the load of ${name}`, argv, CLIENT_CORE);
  return { server, client, rates: [], cpuMicroseconds: [] };
}

async function runSlice(
  { server, client, rates, cpuMicroseconds }: Pair,
  sliceSeconds: number,
): Promise<void> {
  const before = server.cpuSeconds();
  const report = await client.command(
    `run ${sliceSeconds}`,
    sliceSeconds * 1_000 + ANSWER_TIMEOUT_MS,
  );
  rates.push(report.messages / report.seconds);
  cpuMicroseconds.push(((server.cpuSeconds() - before) * 1e6) / report.messages);
}

async function compare(mode: string, connections: number, options: Options): Promise<object> {
  const load = ['--bytes', `${options.bytes}`, ...(mode === 'broadcast' ? ['--broadcast'] : [])];
  const pairs: Pair[] = [];
  try {
    for (const name of SERVERS) pairs.push(await startPair(name, connections, load));
    // The first slices warm up.
    for (const pair of pairs) await runSlice(pair, options.sliceSeconds);
    for (let round = 0; round < options.rounds; round += 1) {
      const order = round % 2 === 0 ? pairs : pairs.toReversed();
      for (const pair of order) await runSlice(pair, options.sliceSeconds);
    }
  } finally {
    for (const { client, server } of pairs) {
      await client.stop();
      await server.stop();
    }
  }
  return summarize(mode, connections, pairs);
}

/** Medians, and medians of the ratios of slices that were next to each other; without the first slice. */
function summarize(mode: string, connections: number, pairs: readonly Pair[]): object {
  const rates = pairs.map((pair) => pair.rates.slice(1));
  const times = pairs.map((pair) => pair.cpuMicroseconds.slice(1));
  const row: Record<string, string | number> = { mode, connections };
  for (const [i, { server }] of pairs.entries()) {
    row[`${server.name}, messages/s`] = Math.round(median(rates[i]!));
    row[`${server.name}, CPU µs`] = rounded(median(times[i]!));
  }
  row['rate, ratio'] = rounded(median(rates[0]!.map((rate, i) => rate / rates[1]![i]!)));
  row['CPU, ratio'] = rounded(median(times[1]!.map((time, i) => time / times[0]![i]!)));
  return row;
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}

/** Bytes of JavaScript memory for each of `count` connections that have shaken hands and are silent. */
async function measureIdle(name: string, count: number): Promise<object> {
  const bytes: number[] = [];
  // What one connection brings with it for all others is not counted.
  for (const connections of [100, count]) {
    const { server, client } = await startPair(name, connections, []);
    bytes.push(Number(await server.ask('heap', ANSWER_TIMEOUT_MS)));
    await client.stop();
    await server.stop();
  }
  return {
    server: name,
    connections: count,
    'bytes each': Math.round((bytes[1]! - bytes[0]!) / (count - 100)),
  };
}

export async function runWebSocketLoadBenchmark(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      connections: { type: 'string', default: '100,1000' },
      bytes: { type: 'string', default: '64' },
      rounds: { type: 'string', default: '7' },
      slice: { type: 'string', default: '1' },
      idle: { type: 'string', default: '8000' },
    },
  });
  const options: Options = {
    connections: values.connections
      .split(',')
      .map((text) => integer('--connections', text, 1, 100_000)),
    bytes: integer('--bytes', values.bytes, 1, 65_535),
    rounds: integer('--rounds', values.rounds, 1, 1_000),
    sliceSeconds: seconds('--slice', values.slice, 0.01),
    idle: integer('--idle', values.idle, 101, 100_000),
  };
  buildNative();
  const idle: object[] = [];
  for (const name of SERVERS) idle.push(await measureIdle(name, options.idle));
  console.table(idle);
  const rows: object[] = [];
  for (const mode of ['echo', 'broadcast']) {
    for (const connections of options.connections)
      rows.push(await compare(mode, connections, options));
  }
  console.table(rows);
}
