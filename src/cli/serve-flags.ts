/** The flags that `echo`, `push` and `run` share, read and checked before anything is started. */

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

/** `run` takes one flag more. */
const RUN_FLAGS = { ...FLAGS, data: { type: 'string' } } as const satisfies FlagDeclarations;

export interface ServeArguments {
  readonly options: Omit<ServeOptions, 'handler'>;
  readonly isQuiet: boolean;
  readonly positionals: readonly string[];
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
  return { options, isQuiet: values.quiet === true, positionals };
}

function parse(command: Exclude<CommandName, 'doctor'>, args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: command === 'run' ? RUN_FLAGS : (FLAGS as typeof RUN_FLAGS),
      allowPositionals: command === 'run',
    });
  } catch (error) {
    throw new UsageError(firstSentence((error as Error).message), command);
  }
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
