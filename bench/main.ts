/**
 * The benchmark's command: `npm run bench -- [echo|stream|idle|all|buffers|timers] [options]`, see README.md beside
 * this file.
 *
 * Exit code 0 when everything was measured without an error, 1 when something failed, 2 for a wrong command line.
 */

import { runBuffersBenchmark } from './buffers.js';
import { buildNative } from './build-native.js';
import { contestants } from './contestants.js';
import { type IdleResult, measureIdle } from './idle.js';
import { interleave, type Slice } from './interleave.js';
import { checkLimits, warnIfBusy } from './limits.js';
import { describeMachine } from './machine.js';
import { type Options, parseOptions, USAGE } from './options.js';
import { printIdle, printSummaries, type Summary, summarize, writeResults } from './report.js';
import type { ServerCommand } from './server-process.js';
import { runTimersBenchmark } from './timers.js';

async function runLoad(
  mode: 'echo' | 'stream',
  commands: readonly ServerCommand[],
  options: Options,
): Promise<{ slices: Slice[]; summaries: Summary[] }> {
  const slices: Slice[] = [];
  const summaries: Summary[] = [];
  for (const connections of options.connections[mode]) {
    const measured = await interleave(mode, commands, connections, options);
    slices.push(...measured);
    summaries.push(...summarize(measured));
  }
  process.stdout.write(`\n${mode}: ${describeLoad(mode, options)}\n`);
  printSummaries(mode, summaries);
  return { slices, summaries };
}

function describeLoad(mode: 'echo' | 'stream', options: Options): string {
  const load =
    mode === 'echo'
      ? `${options.messageBytes} B messages, ${options.inFlight} in flight`
      : `64 KiB blocks, window ${options.windowBytes} B`;
  return (
    `${load}; ${options.rounds} rounds of ${options.sliceSeconds} s; ` +
    `servers on core ${options.serverCore}, load on core ${options.clientCore}`
  );
}

async function runIdle(
  commands: readonly ServerCommand[],
  options: Options,
): Promise<IdleResult[]> {
  const results: IdleResult[] = [];
  for (const connections of options.connections.idle) {
    for (const command of commands) results.push(await measureIdle(command, connections, options));
  }
  const [first] = results;
  process.stdout.write(
    `\nidle: each echoed ${options.messageBytes} B once; ${first?.idleSeconds ?? 0} s of silence\n`,
  );
  printIdle(results);
  return results;
}

async function run(options: Options): Promise<void> {
  const counts = options.benchmarks.flatMap((benchmark) => options.connections[benchmark]);
  checkLimits(Math.max(...counts), options.serverCore, options.clientCore);
  buildNative();
  warnIfBusy();
  const machine = describeMachine();
  const slices: Slice[] = [];
  const summaries: Summary[] = [];
  const idle: IdleResult[] = [];
  for (const benchmark of options.benchmarks) {
    const commands = contestants(options.peers[benchmark], options.others);
    if (benchmark === 'idle') {
      idle.push(...(await runIdle(commands, options)));
    } else {
      const measured = await runLoad(benchmark, commands, options);
      slices.push(...measured.slices);
      summaries.push(...measured.summaries);
    }
  }
  const path = writeResults(options.benchmarks, options, machine, { slices, summaries, idle });
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
  const failures = summaries.some((s) => s.errors > 0) || idle.some((result) => result.lost > 0);
  if (failures) throw new Error('connections failed; the figures above are not worth anything');
}

async function main(): Promise<number> {
  if (process.argv[2] === 'buffers') {
    await runBuffersBenchmark(process.argv.slice(3));
    return 0;
  }
  if (process.argv[2] === 'timers') {
    await runTimersBenchmark(process.argv.slice(3));
    return 0;
  }
  let options: Options;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n${USAGE}`);
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

process.exitCode = await main();
