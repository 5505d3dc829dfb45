/**
 * `npm run bench -- rings`: two questions of the io_uring driver's design, measured: which flags its rings should be
 * set up with (rings/flags.ts), and whether it should send without copying (rings/zero-copy.ts).
 *
 * Exit code 0 when everything was measured, 1 when something failed, 2 for a wrong command line.
 */
import { buildNative } from './build-native.js';
import { checkLimits, warnIfBusy } from './limits.js';
import { describeMachine } from './machine.js';
import { writeResultFile } from './result-file.js';
import { measureFlags } from './rings/flags.js';
import { parseRingsOptions, RINGS_USAGE, type RingsOptions } from './rings/options.js';
import { measureZeroCopy } from './rings/zero-copy.js';

export async function runRingsBenchmark(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(RINGS_USAGE);
    return 0;
  }
  let options: RingsOptions;
  try {
    options = parseRingsOptions(argv);
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n${RINGS_USAGE}`);
    return 2;
  }
  try {
    await run(options);
    return 0;
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n`);
    return 1;
  }
}

async function run(options: RingsOptions): Promise<void> {
  const { load, parts } = options;
  const connections = Math.max(...load.connections.echo, options.streams);
  checkLimits(connections, load.serverCore, load.clientCore);
  buildNative();
  warnIfBusy();
  const machine = describeMachine();
  const flags = parts.includes('flags') ? await measureFlags(load) : undefined;
  const zeroCopy = parts.includes('zero-copy') ? await measureZeroCopy(options) : undefined;
  const path = writeResultFile('rings', load.json, { machine, options, flags, zeroCopy });
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
  if (flags?.summaries.some(({ errors }) => errors > 0)) {
    throw new Error('connections failed; the figures above are not worth anything');
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
