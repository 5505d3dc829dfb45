/**
 * What the flags of io_uring_setup(2) are worth to the driver: the same echo server on rings set up in each way
 * (flags-server.ts), in turn, under the load of the echo benchmark.
 */
import { fileURLToPath } from 'node:url';
import { interleave, type Slice } from '../interleave.js';
import type { Options } from '../options.js';
import { type Summary, summarize } from '../report.js';
import { median } from '../statistics.js';
import { fixed, grouped, percent, printTable } from '../table.js';
import { FLAG_SETS } from './flag-sets.js';

const PROGRAM = fileURLToPath(new URL('./flags-server.js', import.meta.url));

export interface FlagsSummary {
  readonly flags: string;
  readonly connections: number;
  readonly medianRate: number;
  /** Median over the rounds of the rate over that of the default flags in the same round. */
  readonly againstDefault: number;
  readonly cpuUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly serverBusy: number;
  readonly clientBusy: number;
  readonly foreignBusy: number;
  readonly errors: number;
}

export interface FlagsResult {
  readonly slices: readonly Slice[];
  readonly summaries: readonly FlagsSummary[];
}

export async function measureFlags(options: Options): Promise<FlagsResult> {
  const commands = FLAG_SETS.map(({ name }) => ({ name, argv: [process.execPath, PROGRAM, name] }));
  const slices: Slice[] = [];
  const summaries: FlagsSummary[] = [];
  for (const connections of options.connections.echo) {
    const measured = await interleave('echo', commands, connections, options);
    slices.push(...measured);
    const own = summarize(measured).map((summary) => flagsSummary(summary, measured));
    summaries.push(...own);
    printFlags(own, options);
  }
  return { slices, summaries };
}

function flagsSummary(summary: Summary, slices: readonly Slice[]): FlagsSummary {
  const { server: flags, connections, medianRate, cpuUs, p50Us, p99Us } = summary;
  const { serverBusy, clientBusy, foreignBusy, errors } = summary;
  const load = { serverBusy, clientBusy, foreignBusy, errors };
  const againstDefault = median(ratiosToDefault(slices, flags));
  return { flags, connections, medianRate, againstDefault, cpuUs, p50Us, p99Us, ...load };
}

function ratiosToDefault(slices: readonly Slice[], flags: string): number[] {
  const rateOf = (round: number, server: string): number =>
    slices.find((slice) => slice.round === round && slice.server === server)?.report.rate ??
    Number.NaN;
  const rounds = [...new Set(slices.map((slice) => slice.round))];
  return rounds.map((round) => rateOf(round, flags) / rateOf(round, FLAG_SETS[0]?.name ?? ''));
}

function printFlags(summaries: readonly FlagsSummary[], options: Options): void {
  process.stdout.write(
    `\nring flags: ${summaries[0]?.connections} connections, ${options.messageBytes} B, ` +
      `${options.inFlight} in flight; ${options.rounds} rounds of ${options.sliceSeconds} s\n`,
  );
  printTable(
    [
      'flags',
      'req/s',
      '/ default',
      'CPU µs/req',
      'p50 µs',
      'p99 µs',
      'server CPU',
      'load CPU',
      'other CPU',
    ],
    summaries.map((s) => [
      s.flags,
      grouped(s.medianRate),
      fixed(s.againstDefault, 3),
      fixed(s.cpuUs, 2),
      grouped(s.p50Us),
      grouped(s.p99Us),
      percent(s.serverBusy),
      percent(s.clientBusy),
      percent(s.foreignBusy),
    ]),
  );
}
