/** The flags of the commands that serve, read and checked before anything is started. */

import { type ParseArgsConfig, parseArgs } from 'node:util';

import type { ServeOptions } from '../api.js';
import { readSettings } from '../engine/settings.js';
import { firstSentence, UsageError } from './failure.js';
import type { CommandName } from './help.js';

type FlagDeclarations = NonNullable<ParseArgsConfig['options']>;

const FLAGS = {
  listen: { type: 'string', multiple: true },
  reactors: { type: 'string' },
  driver: { type: 'string' },
  direct: { type: 'boolean' },
  balance: { type: 'string' },
  'reuse-port': { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
} as const satisfies FlagDeclarations;

/** What only some commands take. */
const OWN_FLAGS = {
  run: { data: { type: 'string' } },
  http: {
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    root: { type: 'string' },
  },
  demo: { http: { type: 'string', multiple: true } },
} as const satisfies Partial<Record<CommandName, FlagDeclarations>>;
const ALL_FLAGS = { ...FLAGS, ...OWN_FLAGS.run, ...OWN_FLAGS.http, ...OWN_FLAGS.demo } as const;

export interface ServeArguments {
  readonly options: Omit<ServeOptions, 'handler'>;
  readonly isQuiet: boolean;
  readonly positionals: readonly string[];
  /** Of `http`. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly root?: string;
  /** Of `demo`. */
  readonly http?: readonly string[];
}

/** Stands for the handler while the options are checked: more than one reactor needs a module. */
const SOME_MODULE = 'file:///handler.js';

/**
 * Reads the flags of a command that serves.
 *
 * @throws UsageError for a flag that there is not, or a value that `serve` would not take.
 */
export function readServeArguments(
  command: Exclude<CommandName, 'doctor'>,
  args: readonly string[],
  listenDefault: readonly string[],
): ServeArguments {
  const { values, positionals } = parse(command, args);
  const options: Omit<ServeOptions, 'handler'> = {
    listen: values.listen ?? listenDefault,
    ...(values.reactors === undefined ? {} : { reactors: readReactors(command, values.reactors) }),
    ...(values.driver === undefined ? {} : { driver: values.driver as 'auto' }),
    ...(values.direct === true ? { direct: true } : {}),
    ...(values.balance === undefined ? {} : { balance: values.balance as 'random' }),
    ...(values['reuse-port'] === true ? { reusePort: true } : {}),
    ...(values.data === undefined ? {} : { data: readJson(command, values.data) }),
  };
  try {
    readSettings({ ...options, handler: SOME_MODULE }, 1_024, () => ({
      name: 'epoll',
      reason: 'not asked yet',
    }));
  } catch (error) {
    throw new UsageError((error as Error).message, command);
  }
  return {
    options,
    isQuiet: values.quiet === true,
    positionals,
    ...(values['tls-cert'] === undefined ? {} : { tlsCert: values['tls-cert'] }),
    ...(values['tls-key'] === undefined ? {} : { tlsKey: values['tls-key'] }),
    ...(values.root === undefined ? {} : { root: values.root }),
    ...(values.http === undefined ? {} : { http: values.http }),
  };
}

function parse(command: Exclude<CommandName, 'doctor'>, args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: flagsOf(command),
      allowPositionals: command === 'run',
    });
  } catch (error) {
    throw new UsageError(firstSentence((error as Error).message), command);
  }
}

/** The flags of a command, as if all commands had all: the values of others are undefined. */
function flagsOf(command: CommandName): typeof ALL_FLAGS {
  const own: Readonly<Record<string, FlagDeclarations>> = OWN_FLAGS;
  return { ...FLAGS, ...own[command] } as typeof ALL_FLAGS;
}

function readReactors(command: CommandName, text: string): number | 'auto' {
  if (text === 'auto') {
    return text;
  }
  if (!/^\d{1,9}$/.test(text)) {
    throw new UsageError(`Expected --reactors to be a number or auto, got "${text}"`, command);
  }
  return Number(text);
}

function readJson(command: CommandName, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(
      `Expected --data to be JSON, such as '{"name":"value"}': ${(error as Error).message}`,
      command,
    );
  }
}
