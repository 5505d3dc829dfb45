/** The command line of `npm run bench -- rings`. */
import { parseArgs } from 'node:util';
import { integer } from '../option-values.js';
import { type Options, parseOptions } from '../options.js';
import { NETWORKS, type NetworkName } from './networks.js';

export interface RingsOptions {
  readonly parts: readonly Part[];
  /** Rounds, slices, cores and where the result goes; connections, messages and in-flight are of the echo part. */
  readonly load: Options;
  /** Bytes of one send, smallest first. */
  readonly sizes: readonly number[];
  /** Connections that are sent on, each with one send under way at a time. */
  readonly streams: number;
  /** Of each connection: how many sends' memory the kernel may still read from. */
  readonly buffers: number;
  readonly networks: readonly NetworkName[];
}

const PARTS = ['flags', 'zero-copy'] as const;

type Part = (typeof PARTS)[number];

export const RINGS_USAGE = `usage: npm run bench -- rings [options]
  --parts LIST         of ${PARTS.join(', ')} (both)
  --connections LIST   connection counts of the flags part (100,1000)
  --bytes N            bytes of a message of the flags part (512)
  --in-flight N        messages on their way for each connection of the flags part (1)
  --sizes LIST         bytes of a send of the zero-copy part (512,4096,16384,65536,262144)
  --streams N          connections of the zero-copy part (8)
  --buffers N          buffers of each of them (4)
  --networks LIST      what the zero-copy part sends over, of ${NETWORKS.join(', ')} (loopback);
                       the others are made for the run and removed after it: they need root and ip(8)
  --rounds N           rounds, in each of which every side gets one slice (9)
  --slice SECONDS      length of a slice (0.4)
  --warm-up SECONDS    not counted, at the start of each slice of the flags part (0.1)
  --server-core N      core of the servers and of the sender (0)
  --client-core N      core of the load generator and of the receiver (1)
  --json FILE          where the result goes; "none" for nowhere (bench/results/DATE-rings.json)
`;

/** Throws a `RangeError` or `TypeError` that says which option is wrong. */
export function parseRingsOptions(argv: readonly string[]): RingsOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      parts: { type: 'string', default: PARTS.join(',') },
      connections: { type: 'string', default: '100,1000' },
      bytes: { type: 'string', default: '512' },
      'in-flight': { type: 'string', default: '1' },
      sizes: { type: 'string', default: '512,4096,16384,65536,262144' },
      streams: { type: 'string', default: '8' },
      buffers: { type: 'string', default: '4' },
      networks: { type: 'string', default: 'loopback' },
      rounds: { type: 'string', default: '9' },
      slice: { type: 'string', default: '0.4' },
      'warm-up': { type: 'string', default: '0.1' },
      'server-core': { type: 'string', default: '0' },
      'client-core': { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  });
  const load = ['connections', 'bytes', 'in-flight', 'rounds', 'slice', 'warm-up'] as const;
  const run = ['server-core', 'client-core', 'json'] as const;
  const shared = [...load, ...run].flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  const sizes = values.sizes.split(',').map((text) => integer('--sizes', text, 1, 1 << 24));
  return {
    parts: named('--parts', values.parts, PARTS),
    load: parseOptions(['echo', ...shared]),
    sizes: sizes.sort((a, b) => a - b),
    streams: integer('--streams', values.streams, 1, 1_000),
    buffers: integer('--buffers', values.buffers, 1, 1_000),
    networks: named('--networks', values.networks, NETWORKS),
  };
}

/** The items of a list, each one of `known`. */
function named<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((item) => {
    const found = known.find((name) => name === item);
    if (found === undefined) {
      throw new TypeError(`${option}: expected some of ${known.join(', ')}, got ${item}`);
    }
    return found;
  });
}
