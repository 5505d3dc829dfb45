/**
 * What the benchmarks of protocols do alike: limits and machine first, then loads, idle connections, tables, the file.
 */
import { buildNative } from '../build-native.js';
import { checkLimits, warnIfBusy } from '../limits.js';
import { describeMachine } from '../machine.js';
import { writeResultFile } from '../result-file.js';
import type { ServerCommand } from '../server-process.js';
import { type IdleResult, measureIdle, printIdle } from './idle.js';
import { CLIENT_CORE, type ProtocolOptions, SERVER_CORE } from './options.js';
import { type Load, measureLoads, printLoads, summarizeLoads } from './rounds.js';

export interface ProtocolBenchmark {
  /** Of the result file. */
  readonly name: string;
  readonly title: string;
  readonly servers: readonly ServerCommand[];
  readonly loads: readonly Load[];
  /** The server that ratios refer to. */
  readonly reference: string;
  readonly idle: {
    readonly servers: readonly ServerCommand[];
    readonly load: Pick<Load, 'program' | 'argv'>;
  };
}

/** Runs it and prints it. */
export async function runProtocolBenchmark(
  benchmark: ProtocolBenchmark,
  options: ProtocolOptions,
): Promise<void> {
  const { servers, loads, reference, idle } = benchmark;
  const most = Math.max(options.idle, ...loads.map(({ connections }) => connections));
  checkLimits(most, SERVER_CORE, CLIENT_CORE);
  buildNative();
  warnIfBusy();
  const machine = describeMachine();
  const slices = await measureLoads(servers, loads, options);
  const summaries = summarizeLoads(slices, reference);
  const idleResults: IdleResult[] = [];
  for (const command of options.idle > 0 ? idle.servers : []) {
    idleResults.push(await measureIdle(command, idle.load, options.idle));
  }
  printLoads(benchmark.title, summaries, reference, options);
  printIdle(idleResults);
  const content = { machine, options, summaries, slices, idle: idleResults };
  const path = writeResultFile(benchmark.name, options.json, content);
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
}

/** Runs a command with its usage: the exit code, 2 for a wrong command line. */
export async function withUsage<T>(
  usage: string,
  argv: readonly string[],
  parse: () => T,
  run: (parsed: T) => Promise<void>,
): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(usage);
    return 0;
  }
  let parsed: T;
  try {
    parsed = parse();
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n${usage}`);
    return 2;
  }
  try {
    await run(parsed);
    return 0;
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n`);
    return 1;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
