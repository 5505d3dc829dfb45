/**
 * WebSocket: `npm run bench -- ws`. Echo, and broadcast to all, of millrace, npm ws, and uWebSockets.js where it is
 * given. A request is a message that a client received. The load is native/websocket-load.c.
 */
import { sourcesFor } from '../limits.js';
import { integer } from '../option-values.js';
import { COMMON_USAGE, parseProtocolOptions, type ProtocolOptions, UWS_USAGE } from './options.js';
import type { Load } from './rounds.js';
import { runProtocolBenchmark, withUsage } from './run.js';
import { WS, webSocketServers } from './servers.js';

const USAGE = `usage: npm run bench -- ws [options]
  --connections LIST   connections that echo (64,512)
  --subscribers N      connections of the broadcast, 0: none (10000)
  --bytes N            bytes of a message (64)
${COMMON_USAGE}${UWS_USAGE}`;

interface Parsed {
  readonly options: ProtocolOptions;
  readonly loads: readonly Load[];
}

function parse(argv: readonly string[]): Parsed {
  const { options, own } = parseProtocolOptions(
    argv,
    { connections: '64,512', idle: '8000' },
    {
      uws: { type: 'string' },
      subscribers: { type: 'string', default: '10000' },
      bytes: { type: 'string', default: '64' },
    },
  );
  const subscribers = integer('--subscribers', String(own.subscribers), 0, 50_000);
  const bytes = String(integer('--bytes', String(own.bytes), 1, 65_535));
  const load = (name: string, connections: number, ...argv: string[]): Load => ({
    ...{ name: `${name}, ${connections}`, program: 'websocket-load', connections },
    argv: [
      ...['--connections', String(connections), '--bytes', bytes],
      ...['--sources', String(sourcesFor(connections)), ...argv],
    ],
  });
  return {
    options,
    loads: [
      ...options.connections.map((count) => load('echo', count)),
      ...(subscribers > 0 ? [load('broadcast', subscribers, '--broadcast')] : []),
    ],
  };
}

/** Runs the benchmark; the exit code. */
export function runWsBenchmark(argv: readonly string[]): Promise<number> {
  return withUsage(
    USAGE,
    argv,
    () => parse(argv),
    async ({ options, loads }) => {
      const servers = webSocketServers(options);
      await runProtocolBenchmark(
        {
          ...{ name: 'ws', title: 'WebSocket', reference: WS, servers, loads },
          idle: { servers, load: { program: 'websocket-load', argv: [] } },
        },
        options,
      );
    },
  );
}
