/**
 * gaio's own benchmark (its Test8k): 8,192 clients connect, send 1 KB each and get it back; how many seconds that
 * takes. Here the server is up already, the clients are C and wait for at most 128 echoes at a time, and afterwards all
 * of them end gracefully, which is not counted. All servers take turns, round after round; round 0 is discarded.
 */
import { nativePath } from './build-native.js';
import { type Client, type IdleReport, startClient } from './client-process.js';
import { NODE_NET } from './contestants.js';
import { checkServerLimits } from './limits.js';
import type { Options } from './options.js';
import { type ServerCommand, type ServerProcess, startServer } from './server-process.js';
import { median, sum } from './statistics.js';
import { fixed, grouped, printTable } from './table.js';

const GAIO = 'gaio';
const ANSWER_TIMEOUT_MS = 120_000;

/** One server in one round. */
export interface ClientsRound {
  readonly round: number;
  readonly server: string;
  readonly connections: number;
  readonly messageBytes: number;
  readonly seconds: number;
  readonly serverCpuSeconds: number;
  readonly slowestUs: number;
  readonly lost: number;
}

interface Pair {
  readonly server: ServerProcess;
  readonly client: Client<IdleReport>;
}

export async function measureClients(
  commands: readonly ServerCommand[],
  connections: number,
  options: Options,
): Promise<ClientsRound[]> {
  const servers: ServerProcess[] = [];
  const pairs: Pair[] = [];
  const rounds: ClientsRound[] = [];
  try {
    for (const command of commands) {
      const server = await startServer(command, options.serverCore);
      servers.push(server);
      checkServerLimits(server, connections);
      pairs.push({ server, client: await startClients(server, pairs.length, options) });
    }
    for (let round = 0; round <= options.rounds; round += 1) {
      process.stderr.write(`bench: clients8k, round ${round} of ${options.rounds}\n`);
      for (let i = 0; i < pairs.length; i += 1) {
        const pair = pairs[(i + Math.max(0, round - 1)) % pairs.length];
        if (pair === undefined) continue;
        const measured = await runRound(pair, round, connections, options);
        if (round > 0) rounds.push(measured);
      }
    }
  } finally {
    for (const pair of pairs) await pair.client.stop();
    for (const server of servers) await server.stop();
  }
  return rounds;
}

/** Each server's clients have an address of their own, and choose their ports: see native/endpoint.h. */
function startClients(
  server: ServerProcess,
  index: number,
  options: Options,
): Promise<Client<IdleReport>> {
  const argv = [
    nativePath('idle-clients'),
    ...['--address', `tcp://127.0.0.1:${server.port}`, '--source', `127.0.0.${index + 2}`],
    ...['--bytes', String(options.clientsBytes)],
  ];
  return startClient<IdleReport>(`the clients of ${server.name}`, argv, options.clientCore);
}

async function runRound(
  { server, client }: Pair,
  round: number,
  connections: number,
  options: Options,
): Promise<ClientsRound> {
  const cpu = server.cpuSeconds();
  const opened = await client.command(`open ${connections}`, ANSWER_TIMEOUT_MS);
  const serverCpuSeconds = server.cpuSeconds() - cpu;
  const ended = await client.command('end', ANSWER_TIMEOUT_MS);
  server.assertAlive();
  return {
    round,
    server: server.name,
    connections,
    messageBytes: options.clientsBytes,
    seconds: opened.seconds,
    serverCpuSeconds,
    slowestUs: opened.maxUs,
    lost: opened.lost + ended.lost,
  };
}

/** Ratios are of seconds in the same round, so below 1 is better. Round 1 has the servers in the order given. */
export function printClients(rounds: readonly ClientsRound[]): void {
  const [first] = rounds;
  if (first === undefined) return;
  process.stdout.write(
    `\nclients8k: seconds until each of ${grouped(first.connections)} clients connected, sent ` +
      `${grouped(first.messageBytes)} B and got them back\n`,
  );
  const header = ['server', 'best s', 'median s', '/ gaio', '/ net', 'server CPU s', 'slowest ms'];
  header.push('lost');
  const servers = [...new Set(rounds.map((round) => round.server))];
  const rows = servers.map((server) => {
    const own = rounds.filter((round) => round.server === server);
    const seconds = own.map((round) => round.seconds);
    return [
      ...[server, fixed(Math.min(...seconds), 3), fixed(median(seconds), 3)],
      ...[GAIO, NODE_NET].map((reference) => fixed(ratio(rounds, own, reference), 2)),
      fixed(median(own.map((round) => round.serverCpuSeconds)), 2),
      fixed(median(own.map((round) => round.slowestUs)) / 1e3, 1),
      grouped(sum(own.map((round) => round.lost))),
    ];
  });
  printTable(header, rows);
}

function ratio(
  rounds: readonly ClientsRound[],
  own: readonly ClientsRound[],
  reference: string,
): number {
  const seconds = new Map<number, number>();
  for (const round of rounds) {
    if (round.server === reference) seconds.set(round.round, round.seconds);
  }
  return median(own.map((round) => round.seconds / (seconds.get(round.round) ?? Number.NaN)));
}
