/** The command line of `npm run bench -- million`. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { integer, seconds } from '../option-values.js';
import { ROOT_DIRECTORY, SERVERS_DIRECTORY } from '../paths.js';
import type { ServerCommand } from '../server-process.js';

export interface MillionOptions {
  readonly connections: number;
  readonly server: ServerCommand;
  /** Whether the server answers questions on its standard input: servers/million-server.mjs does. */
  readonly isInstrumented: boolean;
  /** Whether the server's sockets are outside of its descriptor table, so that `ulimit -n` does not bound them. */
  readonly isDirect: boolean;
  readonly messageBytes: number;
  /** Parts of the connections that are active in the phases under load. */
  readonly shares: readonly number[];
  readonly sliceSeconds: number;
  /** Of load, not counted: all must have begun, and code that was idle is compiled again. */
  readonly warmUpSeconds: number;
  readonly idleSeconds: number;
  /** Connections of one client process at most; undefined: what its descriptors allow. */
  readonly perClient: number | undefined;
  /** As taskset(1) takes them. */
  readonly serverCores: string;
  readonly clientCores: string;
  readonly json: string | undefined;
}

export const MILLION_USAGE = `usage: npm run bench -- million [options]
  --connections N      (1000000)
  --reactors N         reactors of the server (1)
  --server-args "..."  further arguments of the server ("--driver uring --direct"); --server-args= for none
  --server WHICH       instrumented (default): servers/million-server.mjs; echo: "millrace echo";
                       or a command that prints "listening PORT" (split at spaces; no --reactors or --server-args)
  --bytes N            bytes of a message (512)
  --shares LIST        parts of the connections that are active under load (0.01,0.1)
  --slice SECONDS      measured time under load, for each share (5)
  --warm-up SECONDS    before that, not counted (2)
  --idle SECONDS       measured silence (5)
  --per-client N       connections of one client process, at most 25000 (19000, or what ulimit -n allows)
  --server-cores LIST  (0)
  --client-cores LIST  (1)
  --json FILE          where the result goes; "none" for nowhere (bench/results/DATE-million.json)
`;

const DEFAULT_SERVER_ARGS = '--driver uring --direct';
/** Figures of live memory need collections on demand; a small new space means short pauses, and less memory. */
const V8_FLAGS = ['--expose-gc', '--max-semi-space-size=1'];
/** idle-clients has 55,000 ports of its own, and uses a port once. */
export const PER_CLIENT_MAX = 25_000;

/** Throws a `RangeError` or `TypeError` that says which option is wrong. */
export function parseMillionOptions(argv: readonly string[]): MillionOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      connections: { type: 'string', default: '1000000' },
      reactors: { type: 'string', default: '1' },
      'server-args': { type: 'string', default: DEFAULT_SERVER_ARGS },
      server: { type: 'string', default: 'instrumented' },
      bytes: { type: 'string', default: '512' },
      shares: { type: 'string', default: '0.01,0.1' },
      slice: { type: 'string', default: '5' },
      'warm-up': { type: 'string', default: '2' },
      idle: { type: 'string', default: '5' },
      'per-client': { type: 'string' },
      'server-cores': { type: 'string', default: '0' },
      'client-cores': { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  });
  const reactors = integer('--reactors', values.reactors, 1, 256);
  const argv0 = ['--reactors', String(reactors), ...words(values['server-args'])];
  const server = serverCommand(values.server, argv0);
  const perClient = values['per-client'];
  return {
    connections: integer('--connections', values.connections, 10, 4_000_000),
    server,
    isInstrumented: values.server === 'instrumented',
    isDirect: server.argv.includes('--direct'),
    messageBytes: integer('--bytes', values.bytes, 1, 4_096),
    shares: values.shares.split(',').map(parseShare),
    sliceSeconds: seconds('--slice', values.slice, 0.1),
    warmUpSeconds: seconds('--warm-up', values['warm-up'], 0),
    idleSeconds: seconds('--idle', values.idle, 0.1),
    perClient:
      perClient === undefined ? undefined : integer('--per-client', perClient, 1, PER_CLIENT_MAX),
    serverCores: values['server-cores'],
    clientCores: values['client-cores'],
    json: values.json,
  };
}

function serverCommand(which: string, args: readonly string[]): ServerCommand {
  if (which === 'instrumented') {
    const program = join(SERVERS_DIRECTORY, 'million-server.mjs');
    return { name: 'millrace', argv: [process.execPath, ...V8_FLAGS, program, ...args] };
  }
  if (which === 'echo') {
    const program = join(ROOT_DIRECTORY, 'dist/cli/main.js');
    const listen = ['--listen', 'tcp://127.0.0.1:0', '--quiet'];
    return { name: 'millrace echo', argv: [process.execPath, program, 'echo', ...listen, ...args] };
  }
  const argv = words(which);
  if (argv.length === 0) throw new TypeError('--server: expected instrumented, echo or a command');
  return { name: argv[0] ?? '', argv };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function parseShare(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) {
    throw new RangeError(`--shares: expected numbers above 0, up to 1, got ${text}`);
  }
  return value;
}
