/**
 * Bridges: `npm run bench -- bridges`. What a request costs over each bridge of millrace/node, in CPU time of the
 * server, beside the same program on Node's own sockets and the same service on millrace alone. All servers stay up
 * and get their slices turn by turn.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Load, openLoad } from './bridges/load.js';
import { describeMachine } from './machine.js';
import { integer, seconds } from './option-values.js';
import { ROOT_DIRECTORY } from './paths.js';
import { writeResultFile } from './result-file.js';
import { type ServerProcess, startServer } from './server-process.js';
import { median } from './statistics.js';
import { fixed, printTable } from './table.js';

const USAGE = `usage: npm run bench -- bridges [options]
  --rounds N           rounds, in each of which every server gets one slice (9)
  --slice SECONDS      length of a slice (1)
  --connections N      connections of each server (32)
  --json FILE          where the result goes; "none" for nowhere
`;

const SERVER_CORE = 0;

/** By load: the bridges, and what they are measured against. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  echo: ['node:net', 'millrace', 'nodeHandler', 'for-await', 'web-streams', 'adopt', 'from-duplex'],
  tls: ['node:net', 'millrace/tls', 'nodeHandler'],
  http: ['node:net', 'millrace/http', 'nodeHandler'],
  ws: ['node:net', 'millrace/websocket', 'nodeHandler'],
  grpc: ['node:net', 'grpcHandler'],
};

interface Contestant {
  readonly load: string;
  readonly name: string;
  readonly server: ServerProcess;
  readonly client: Load;
  readonly microseconds: number[];
}

interface Row {
  readonly load: string;
  readonly server: string;
  readonly microseconds: number;
  readonly ratio: number;
  readonly slices: readonly number[];
}

async function start(load: string, name: string, connections: number): Promise<Contestant> {
  const program = join(ROOT_DIRECTORY, 'bench/servers/bridge-server.mjs');
  const argv = [process.execPath, program, `${load} ${name}`];
  const server = await startServer({ name: `${load} ${name}`, argv }, SERVER_CORE);
  const client = await openLoad(load, server.port, connections);
  return { load, name, server, client, microseconds: [] };
}

async function slice(contestant: Contestant, length: number): Promise<number> {
  const before = contestant.server.cpuSeconds();
  const answers = await contestant.client.run(length);
  contestant.server.assertAlive();
  return ((contestant.server.cpuSeconds() - before) / answers) * 1e6;
}

async function measure(load: string, options: Options): Promise<Row[]> {
  const contestants: Contestant[] = [];
  try {
    for (const name of KINDS[load]!) {
      contestants.push(await start(load, name, options.connections));
    }
    for (const each of contestants) await slice(each, options.sliceSeconds);
    for (let round = 0; round < options.rounds; round += 1) {
      process.stderr.write(`bench: ${load}, round ${round + 1} of ${options.rounds}\n`);
      for (let i = 0; i < contestants.length; i += 1) {
        const each = contestants[(i + round) % contestants.length]!;
        each.microseconds.push(await slice(each, options.sliceSeconds));
      }
    }
  } finally {
    for (const { client, server } of contestants) {
      client.close();
      await server.stop();
    }
  }
  const [reference] = contestants;
  return contestants.map(({ name, microseconds }) => ({
    load,
    server: name,
    microseconds: median(microseconds),
    ratio: median(microseconds.map((each, i) => each / reference!.microseconds[i]!)),
    slices: microseconds,
  }));
}

interface Options {
  readonly rounds: number;
  readonly sliceSeconds: number;
  readonly connections: number;
  readonly json: string | undefined;
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string', default: '9' },
      slice: { type: 'string', default: '1' },
      connections: { type: 'string', default: '32' },
      json: { type: 'string' },
    },
  });
  return {
    rounds: integer('--rounds', values.rounds, 1, 1_000),
    sliceSeconds: seconds('--slice', values.slice, 0.05),
    connections: integer('--connections', values.connections, 1, 1_000),
    json: values.json,
  };
}

export async function runBridgesBenchmark(argv: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parse(argv);
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n${USAGE}`);
    return 2;
  }
  const rows: Row[] = [];
  for (const load of Object.keys(KINDS)) rows.push(...(await measure(load, options)));
  printTable(
    ['load', 'server', 'µs CPU', 'of node:net'],
    rows.map(({ load, server, microseconds, ratio }) => [
      load,
      server,
      fixed(microseconds, 1),
      fixed(ratio, 2),
    ]),
  );
  const path = writeResultFile('bridges', options.json, { machine: describeMachine(), rows });
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
  return 0;
}
