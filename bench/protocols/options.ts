/** The options that the benchmarks of protocols share: `npm run bench -- http|ws|tls`. */
import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { integer, seconds } from '../option-values.js';

/** Everything is pinned: servers to one core, load to the other. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;

export interface ProtocolOptions {
  readonly rounds: number;
  readonly sliceSeconds: number;
  /** Connections under load, smallest first. */
  readonly connections: readonly number[];
  /** Connections of the idle part; 0 leaves it out. */
  readonly idle: number;
  /** Also millrace with the epoll driver. */
  readonly epoll: boolean;
  /** Where uWebSockets.js is, if it is to take part. */
  readonly uws: string | undefined;
  readonly json: string | undefined;
}

export const COMMON_USAGE = `  --rounds N           rounds, in each of which every server gets one slice (7)
  --slice SECONDS      length of a slice (0.6)
  --idle N             connections that are kept and silent, 0: none
  --epoll              millrace with the epoll driver, too
  --json FILE          where the result goes; "none" for nowhere (bench/results/DATE-name.json)
`;

export const UWS_USAGE = `  --uws PATH           the folder of uWebSockets.js, which is not on npm: it then takes part
`;

/** How options are declared to node:util. */
type Declared = Record<string, { type: 'string' | 'boolean'; default?: string | boolean }>;

/** What the command line gives beside the common options: texts, or true for flags. */
export type OwnValues = Readonly<Record<string, string | boolean | undefined>>;

/**
 * Reads the common options, and those of `own` as text. Throws a `TypeError` or `RangeError` that says what is wrong.
 */
export function parseProtocolOptions(
  argv: readonly string[],
  defaults: { connections: string; idle: string },
  own: Declared,
): { options: ProtocolOptions; own: OwnValues } {
  const declared: Declared = {
    rounds: { type: 'string', default: '7' },
    slice: { type: 'string', default: '0.6' },
    connections: { type: 'string', default: defaults.connections },
    idle: { type: 'string', default: defaults.idle },
    epoll: { type: 'boolean', default: false },
    json: { type: 'string' },
    ...own,
  };
  const values = parseArgs({ args: [...argv], options: declared }).values as OwnValues;
  const text = (name: string): string => String(values[name]);
  const uws = values.uws;
  const json = values.json;
  return {
    options: {
      rounds: integer('--rounds', text('rounds'), 1, 1_000),
      sliceSeconds: seconds('--slice', text('slice'), 0.05),
      connections: integers('--connections', text('connections'), 1, 50_000),
      idle: integer('--idle', text('idle'), 0, 50_000),
      epoll: values.epoll === true,
      uws: typeof uws === 'string' ? existing(uws) : undefined,
      json: typeof json === 'string' ? json : undefined,
    },
    own: values,
  };
}

/** A list of numbers, smallest first. */
export function integers(option: string, text: string, min: number, max: number): number[] {
  return text
    .split(',')
    .map((item) => integer(option, item, min, max))
    .sort((a, b) => a - b);
}

function existing(path: string): string {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new TypeError(
      `--uws: there is no ${path}; expected the folder of uWebSockets.js ` +
        '(git clone --branch v20.52.0 https://github.com/uNetworking/uWebSockets.js)',
    );
  }
  return path;
}
