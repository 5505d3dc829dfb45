/**
 * The command line of the benchmark. Called by main.ts; everything below it gets an `Options` that is known to be
 * right.
 */
import { parseArgs } from 'node:util';
import { DEFAULT_PEERS, PEERS, type Peer, peersNamed } from './contestants.js';
import { integer, seconds } from './option-values.js';
import type { ServerCommand } from './server-process.js';

export const BENCHMARKS = ['echo', 'stream', 'idle', 'clients8k'] as const;

export type Benchmark = (typeof BENCHMARKS)[number];

/** A cluster's workers hold connections as node:net does, so it is not asked again. */
const IDLE_PEERS: readonly Peer[] = ['c', 'net'];

export interface Options {
  readonly benchmarks: readonly Benchmark[];
  /** Connection counts for each benchmark, smallest first. */
  readonly connections: Readonly<Record<Benchmark, readonly number[]>>;
  /** Of echo and idle. */
  readonly messageBytes: number;
  /** Of clients8k. */
  readonly clientsBytes: number;
  /** Messages on their way for each connection (echo). */
  readonly inFlight: number;
  /** Bytes on their way for each connection (stream). */
  readonly windowBytes: number;
  readonly rounds: number;
  readonly sliceSeconds: number;
  /** At the start of each slice, not counted. */
  readonly warmUpSeconds: number;
  /** Whom each benchmark sets millrace against. */
  readonly peers: Readonly<Record<Benchmark, readonly Peer[]>>;
  /** Servers named on the command line. */
  readonly others: readonly ServerCommand[];
  readonly serverCore: number;
  readonly clientCore: number;
  /** Where the result goes: a file, 'none', or undefined for bench/results/DATE-name.json. */
  readonly json: string | undefined;
}

export const USAGE = `usage: npm run bench -- [echo|stream|idle|clients8k|all] [options]
       npm run bench -- buffers [--rounds N] [--only TEXT]
       npm run bench -- timers
       npm run bench -- codec|websocket-codec|websocket-deflate [--rounds N]
       npm run bench -- http|ws|tls|slow --help
       npm run bench -- bridges [--rounds N] [--slice SECONDS] [--connections N]
       npm run bench -- plot
       npm run bench -- million --help
       npm run bench -- rings --help
  --connections LIST   connection counts (echo 100,1000,10000; stream 10,100; idle 19000;
                       clients8k 8192); with all: those of echo
  --bytes N            bytes of a message of echo and idle (512), or of clients8k (1024)
  --in-flight N        messages on their way for each connection of echo (1)
  --window BYTES       bytes on their way for each connection of stream (262144)
  --rounds N           rounds, in each of which every server gets one slice (9)
  --slice SECONDS      length of a slice (1)
  --warm-up SECONDS    not counted, at the start of each slice (0.1)
  --peers LIST         beside millrace, of ${PEERS.join(', ')};
                       go: all that are in Go (${DEFAULT_PEERS.join(',')}; c,net for idle)
  --peer NAME=COMMAND  another server; it has to print "listening PORT"; may be given several times
  --server-core N      core of every server (0)
  --client-core N      core of the load generator (1)
  --json FILE          where the result goes; "none" for nowhere (bench/results/DATE-name.json)
`;

/** Throws a `RangeError` or `TypeError` that says which option is wrong. */
export function parseOptions(argv: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      connections: { type: 'string' },
      bytes: { type: 'string' },
      'in-flight': { type: 'string', default: '1' },
      window: { type: 'string', default: '262144' },
      rounds: { type: 'string', default: '9' },
      slice: { type: 'string', default: '1' },
      'warm-up': { type: 'string', default: '0.1' },
      peers: { type: 'string' },
      peer: { type: 'string', multiple: true, default: [] },
      'server-core': { type: 'string', default: '0' },
      'client-core': { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  });
  const benchmarks = parseBenchmarks(positionals);
  const peers = values.peers === undefined ? undefined : parsePeers(values.peers);
  return {
    benchmarks,
    connections: parseConnections(values.connections, benchmarks),
    messageBytes: integer('--bytes', values.bytes ?? '512', 1, 4_096),
    clientsBytes: integer('--bytes', values.bytes ?? '1024', 1, 4_096),
    inFlight: integer('--in-flight', values['in-flight'], 1, 1_024),
    windowBytes: integer('--window', values.window, 1, 1 << 30),
    rounds: integer('--rounds', values.rounds, 1, 1_000),
    sliceSeconds: seconds('--slice', values.slice, 0.01),
    warmUpSeconds: seconds('--warm-up', values['warm-up'], 0),
    peers: {
      echo: peers ?? DEFAULT_PEERS,
      stream: peers ?? DEFAULT_PEERS,
      idle: peers ?? IDLE_PEERS,
      clients8k: peers ?? DEFAULT_PEERS,
    },
    others: values.peer.map(parseOther),
    serverCore: integer('--server-core', values['server-core'], 0, 1_023),
    clientCore: integer('--client-core', values['client-core'], 0, 1_023),
    json: values.json,
  };
}

function parseBenchmarks(positionals: readonly string[]): readonly Benchmark[] {
  const [name = 'all', ...rest] = positionals;
  if (rest.length > 0) throw new TypeError(`one benchmark at a time, not also ${rest.join(' ')}`);
  if (name === 'all') return BENCHMARKS;
  const benchmark = BENCHMARKS.find((known) => known === name);
  if (benchmark === undefined) {
    throw new TypeError(`no benchmark is called ${name}: ${BENCHMARKS.join(', ')} or all`);
  }
  return [benchmark];
}

function parseConnections(
  text: string | undefined,
  benchmarks: readonly Benchmark[],
): Record<Benchmark, readonly number[]> {
  const connections: Record<Benchmark, readonly number[]> = {
    echo: [100, 1_000, 10_000],
    stream: [10, 100],
    idle: [19_000],
    clients8k: [8_192],
  };
  if (text === undefined) return connections;
  const given = text.split(',').map((item) => integer('--connections', item, 1, 1_000_000));
  connections[benchmarks[0] ?? 'echo'] = given.sort((a, b) => a - b);
  return connections;
}

function parsePeers(text: string): readonly Peer[] {
  const names = text.split(',').filter((name) => name !== '');
  const unknown = names.find((name) => peersNamed(name).length === 0);
  if (unknown !== undefined) {
    throw new TypeError(
      `--peers: no peer is called ${unknown}: ${PEERS.join(', ')}, or go for all of Go`,
    );
  }
  return [...new Set(names.flatMap((name) => peersNamed(name)))];
}

/** NAME=COMMAND; the command is split at spaces, there is no quoting. */
function parseOther(text: string): ServerCommand {
  const [, name, command] = /^([\w.-]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || command === undefined) {
    throw new TypeError(`--peer: expected NAME=COMMAND, got ${text}`);
  }
  return { name, argv: command.trim().split(/\s+/) };
}
