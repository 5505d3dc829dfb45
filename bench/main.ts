/**
 * The benchmark's command: `npm run bench -- [echo|stream|idle|clients8k|all|…] [options]`, see README.md
 * beside this file.
 *
 * Exit code 0 when everything was measured without an error, 1 when something failed, 2 for a wrong command line.
 */

import { runBridgesBenchmark } from './bridges.js';
import { runBuffersBenchmark } from './buffers.js';
import { buildNative } from './build-native.js';
import { type ClientsRound, measureClients, printClients } from './clients8k.js';
import { runCodecBenchmark } from './codec.js';
import { contestants } from './contestants.js';
import { type IdleResult, measureIdle } from './idle.js';
import { interleave, type Slice } from './interleave.js';
import { checkLimits, warnIfBusy } from './limits.js';
import { describeMachine } from './machine.js';
import { runMillionBenchmark } from './million.js';
import { type Options, parseOptions, USAGE } from './options.js';
import { runPlots } from './plot.js';
import { runHttpBenchmark } from './protocols/http.js';
import { runSlowBenchmark } from './protocols/slow.js';
import { runTlsBenchmark } from './protocols/tls.js';
import { runWsBenchmark } from './protocols/ws.js';
import { printIdle, printSummaries, type Summary, summarize, writeResults } from './report.js';
import { runRingsBenchmark } from './rings.js';
import type { ServerCommand } from './server-process.js';
import { runTimersBenchmark } from './timers.js';
import { runUdpBenchmark } from './udp.js';
import { runWebSocketBenchmark } from './websocket-codec.js';
import { runWebSocketDeflateBenchmark } from './websocket-deflate.js';

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

async function runClients(
  commands: readonly ServerCommand[],
  options: Options,
): Promise<ClientsRound[]> {
  const rounds: ClientsRound[] = [];
  for (const connections of options.connections.clients8k) {
    const measured = await measureClients(commands, connections, options);
    printClients(measured);
    rounds.push(...measured);
  }
  return rounds;
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
  const clients: ClientsRound[] = [];
  for (const benchmark of options.benchmarks) {
    const peers = options.peers[benchmark];
    const commands = contestants(peers, options.others, benchmark === 'stream');
    if (benchmark === 'idle') {
      idle.push(...(await runIdle(commands, options)));
    } else if (benchmark === 'clients8k') {
      clients.push(...(await runClients(commands, options)));
    } else {
      const measured = await runLoad(benchmark, commands, options);
      slices.push(...measured.slices);
      summaries.push(...measured.summaries);
    }
  }
  const results = { slices, summaries, idle, clients };
  const path = writeResults(options.benchmarks, options, machine, results);
  if (path !== undefined) process.stderr.write(`bench: every slice is in ${path}\n`);
  const failures =
    summaries.some((s) => s.errors > 0) || [...idle, ...clients].some(({ lost }) => lost > 0);
  if (failures) throw new Error('connections failed; the figures above are not worth anything');
}

/** Benchmarks that are programs of their own, with their own options. */
async function runOther(name: string | undefined): Promise<number | undefined> {
  const argv = process.argv.slice(3);
  switch (name) {
    case 'bridges':
      return runBridgesBenchmark(argv);
    case 'buffers':
      await runBuffersBenchmark(argv);
      return 0;
    case 'timers':
      await runTimersBenchmark(argv);
      return 0;
    case 'million':
      return runMillionBenchmark(argv);
    case 'codec':
      runCodecBenchmark(argv);
      return 0;
    case 'websocket-codec':
      runWebSocketBenchmark(argv);
      return 0;
    case 'websocket-deflate':
      runWebSocketDeflateBenchmark(argv);
      return 0;
    case 'http':
      return runHttpBenchmark(argv);
    case 'ws':
      return runWsBenchmark(argv);
    case 'slow':
      return runSlowBenchmark(argv);
    case 'tls':
      return runTlsBenchmark(argv);
    case 'udp':
      return runUdpBenchmark(argv);
    case 'rings':
      return runRingsBenchmark(argv);
    case 'plot':
      runPlots(argv);
      return 0;
    default:
      return undefined;
  }
}

async function main(): Promise<number> {
  const code = await runOther(process.argv[2]);
  if (code !== undefined) return code;
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
