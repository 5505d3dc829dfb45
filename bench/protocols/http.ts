/**
 * HTTP/1.1: `npm run bench -- http`. Plain text over connections that are kept, one request at a time and pipelined,
 * of millrace, node:http, uWebSockets.js where it is given, and of a loop in C that only answers
 * (native/http-reference.c): what the kernel costs. The load is native/http-load.c.
 */
import { integer } from '../option-values.js';
import {
  COMMON_USAGE,
  integers,
  parseProtocolOptions,
  type ProtocolOptions,
  UWS_USAGE,
} from './options.js';
import type { Load } from './rounds.js';
import { runProtocolBenchmark, withUsage } from './run.js';
import { httpReference, httpServers, NODE_HTTP } from './servers.js';

const USAGE = `usage: npm run bench -- http [options]
  --connections LIST   connections under load (64,512)
  --in-flight N        requests that a connection sends together in the pipelined load (16)
  --rates LIST         requests a second, of loads at a fixed rate: what one costs that comes alone (5000,20000,50000)
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
      'in-flight': { type: 'string', default: '16' },
      rates: { type: 'string', default: '5000,20000,50000' },
    },
  );
  const inFlight = integer('--in-flight', String(own['in-flight']), 2, 256);
  const rates = integers('--rates', String(own.rates), 1, 1_000_000);
  const load = (name: string, connections: number, ...argv: string[]): Load => ({
    ...{ name: `${name}, ${connections}`, program: 'http-load', connections },
    argv: ['--connections', String(connections), ...argv],
  });
  const [fewest = 64] = options.connections;
  return {
    options,
    loads: [
      ...options.connections.map((count) => load('keep-alive', count)),
      load('browser’s head', fewest, '--browser'),
      load(`pipelined by ${inFlight}`, fewest, '--in-flight', String(inFlight)),
      ...rates.map((rate) => load(`${rate} a second`, fewest, '--rate', String(rate))),
    ],
  };
}

/** Runs the benchmark; the exit code. */
export function runHttpBenchmark(argv: readonly string[]): Promise<number> {
  return withUsage(
    USAGE,
    argv,
    () => parse(argv),
    async ({ options, loads }) => {
      const servers = httpServers(options);
      await runProtocolBenchmark(
        {
          ...{ name: 'http', title: 'HTTP, 13 bytes of plain text', reference: NODE_HTTP, loads },
          servers: [...servers, httpReference()],
          idle: { servers, load: { program: 'http-load', argv: [] } },
        },
        options,
      );
    },
  );
}
