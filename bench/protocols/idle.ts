/**
 * What a connection costs that has been served once and is silent. Two figures: the gain of the process's anonymous
 * memory, which has everything in it and jumps as V8 and malloc take memory in pieces; and the gain of JavaScript
 * memory in use after a collection, which is steady and lacks what lies outside of it (millrace's tables). The
 * kernel's part, about 5 kB for each end, is not in either.
 */
import { nativePath, type Program } from '../build-native.js';
import { type Client, startClient } from '../client-process.js';
import { checkServerLimits, sourcesFor } from '../limits.js';
import { type ServerCommand, type ServerProcess, startServer } from '../server-process.js';
import { grouped, printTable } from '../table.js';
import { CLIENT_CORE, SERVER_CORE } from './options.js';
import type { LoadReport } from './rounds.js';

const TIMEOUT_MS = 120_000;
/** Else most of what anonymous memory gains is V8's young generation, which grows with the rate of requests. */
const SMALL_NEW_SPACE = '--max-semi-space-size=1';
/** So many connections come first, for so long: what is made once, such as caches of views, is not counted. */
const WARM_UP_CONNECTIONS = 500;
const WARM_UP_SECONDS = 1.5;
const SERVING_SECONDS = 0.05;

export interface IdleResult {
  readonly server: string;
  readonly connections: number;
  /** Gain of anonymous memory for each connection: of all, and of the second half of them. */
  readonly anonymousBytes: number;
  readonly secondHalfBytes: number;
  /** Gain of JavaScript memory in use for each. */
  readonly heapBytes: number;
  /** Gain of malloc's memory in use for each, where the server tells. */
  readonly mallocBytes: number | undefined;
}

/** What a server's `memory` command prints; see peers/memory.mjs. */
interface Memory {
  readonly heapBytes: number;
  readonly mallocBytes?: number;
}

interface Sample extends Memory {
  readonly anonymousBytes: number;
}

/** `program` opens connections and serves each once, with `argv` beside address and connections. */
export async function measureIdle(
  command: ServerCommand,
  load: { readonly program: Program; readonly argv: readonly string[] },
  connections: number,
): Promise<IdleResult> {
  process.stderr.write(`bench: ${connections} idle connections, ${command.name}\n`);
  const server = await startServer(withSmallNewSpace(command), SERVER_CORE);
  const clients: Client<LoadReport>[] = [];
  const open = async (count: number, seconds: number): Promise<Sample> => {
    const argv = [
      ...[nativePath(load.program), '--address', `tcp://127.0.0.1:${server.port}`],
      ...['--connections', String(count), '--sources', String(sourcesFor(connections) + 1)],
      ...load.argv,
    ];
    const client = await startClient<LoadReport>('the idle clients', argv, CLIENT_CORE);
    clients.push(client);
    // Each is served at least once, and nothing is on its way at the end.
    await client.command(`run ${seconds}`, TIMEOUT_MS);
    return sample(server);
  };
  try {
    checkServerLimits(server, connections + WARM_UP_CONNECTIONS);
    const before = await open(WARM_UP_CONNECTIONS, WARM_UP_SECONDS);
    const firstHalf = connections >> 1;
    const half = await open(firstHalf, SERVING_SECONDS);
    const full = await open(connections - firstHalf, SERVING_SECONDS);
    const mallocBytes = (full.mallocBytes ?? Number.NaN) - (before.mallocBytes ?? Number.NaN);
    return {
      server: command.name,
      connections,
      anonymousBytes: (full.anonymousBytes - before.anonymousBytes) / connections,
      secondHalfBytes: (full.anonymousBytes - half.anonymousBytes) / (connections - firstHalf),
      heapBytes: (full.heapBytes - before.heapBytes) / connections,
      mallocBytes: Number.isNaN(mallocBytes) ? undefined : mallocBytes / connections,
    };
  } finally {
    for (const client of clients) await client.stop();
    await server.stop();
  }
}

/** With one more flag for node, behind the one that all these servers are started with. */
function withSmallNewSpace({ name, argv }: ServerCommand): ServerCommand {
  const flags = argv.map((word) => (word === '--expose-gc' ? [word, SMALL_NEW_SPACE] : [word]));
  return { name, argv: flags.flat() };
}

async function sample(server: ServerProcess): Promise<Sample> {
  const memory = JSON.parse(await server.ask('memory', TIMEOUT_MS)) as Memory;
  return { ...memory, anonymousBytes: server.memory().anonymousBytes };
}

export function printIdle(results: readonly IdleResult[]): void {
  if (results.length === 0) return;
  const header = ['idle', 'connections', 'heap B', 'memory B', '2nd half B', 'malloc B'];
  const rows = results.map((each) => [
    ...[each.server, grouped(each.connections), grouped(each.heapBytes)],
    ...[grouped(each.anonymousBytes), grouped(each.secondHalfBytes)],
    grouped(each.mallocBytes ?? Number.NaN),
  ]);
  printTable(header, rows);
}
