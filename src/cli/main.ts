#!/usr/bin/env node
/**
 * The program `millrace`: picks the command, and turns what fails into one line and an exit code: 0 done, 1 it could
 * not be done, 2 it was asked for wrongly.
 *
 * A command is loaded when it is asked for, so that help, the version and `millrace doctor` also work where the FFI
 * package does not load.
 */

import { describeFailure, exitCodeOf, UsageError } from './failure.js';
import { COMMANDS, type CommandName, HELP } from './help.js';
import { readPackageFacts } from './package-facts.js';
import { Terminal } from './terminal.js';

type Run = (args: readonly string[], terminal: Terminal) => Promise<number>;

const LOADERS: Readonly<Record<CommandName, () => Promise<Run>>> = {
  echo: async () => (await import('./echo.js')).echo,
  http: async () => (await import('./http.js')).http,
  demo: async () => (await import('./demo.js')).demo,
  push: async () => (await import('./push.js')).push,
  run: async () => (await import('./run.js')).run,
  doctor: async () => (await import('./doctor.js')).doctor,
};

const terminal = new Terminal(process.stdout, process.stderr);
// What a handler module throws outside of its hooks would be printed with a stack, over the status.
process.on('uncaughtException', fail);
await main(process.argv.slice(2)).then((code) => process.exit(code), fail);

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  switch (first) {
    case undefined:
      terminal.complain(HELP.millrace);
      return 2;
    case '--help':
    case '-h':
      terminal.print(HELP.millrace);
      return 0;
    case 'help':
      terminal.print(rest[0] === undefined ? HELP.millrace : HELP[commandOf(rest[0])]);
      return 0;
    case '--version':
    case '-v':
      terminal.print(readPackageFacts().version);
      return 0;
    default: {
      const command = commandOf(first);
      if (asksForHelp(rest)) {
        terminal.print(HELP[command]);
        return 0;
      }
      const run = await LOADERS[command]();
      return run(rest, terminal);
    }
  }
}

/**
 * Ends the process, as the end of a command does: what a handler module left running does not keep it. Nothing that was
 * printed is lost, since Node writes to files, pipes and terminals synchronously on Linux.
 */
function fail(error: unknown): void {
  terminal.complain(`millrace: ${describeFailure(error, process.env.MILLRACE_DEBUG === '1')}`);
  process.exit(exitCodeOf(error));
}

function commandOf(name: string): CommandName {
  const found = COMMANDS.find((command) => command === name);
  if (found === undefined) {
    const what = name.startsWith('-') ? `unknown option ${name}` : `there is no command ${name}`;
    throw new UsageError(`${what}; the commands are ${COMMANDS.join(', ')}`);
  }
  return found;
}

/** Everywhere but after `--`, which ends the options. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const options = end < 0 ? args : args.slice(0, end);
  return options.includes('--help') || options.includes('-h');
}
