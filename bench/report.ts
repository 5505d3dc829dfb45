/**
 * What the reader gets: a table on standard output, and a file of JSON with every slice, the machine and the command.
 *
 * A ratio is the median over the rounds of "this server's rate in the round / the reference's rate in the same
 * round", not the quotient of two medians: the two slices of a round are seconds apart and saw the same machine.
 */
import type { ClientsRound } from './clients8k.js';
import { C_REFERENCE, NODE_NET } from './contestants.js';
import type { IdleResult } from './idle.js';
import type { Slice } from './interleave.js';
import type { Machine } from './machine.js';
import type { Benchmark, Options } from './options.js';
import { writeResultFile } from './result-file.js';
import { median, sum } from './statistics.js';
import { fixed, grouped, megabytes, percent, printTable } from './table.js';

/** The benchmark's own process and the kernel's threads stay below this part of two cores. */
const FOREIGN_BUSY_MAX = 0.05;

/** One line of the table: a server with a number of connections. NaN where the reference was not in the run. */
export interface Summary {
  readonly server: string;
  readonly connections: number;
  /** Requests per second; megabytes per second for stream. */
  readonly bestRate: number;
  readonly medianRate: number;
  readonly againstC: number;
  readonly againstNet: number;
  /** CPU time of the server for one request (echo) or one megabyte (stream). */
  readonly cpuUs: number;
  /** Part of the time that the server's and the generator's core was used: below 1 for both, somebody waited. */
  readonly serverBusy: number;
  readonly clientBusy: number;
  /** Part of the two cores' time that somebody else used, the hypervisor included. */
  readonly foreignBusy: number;
  /** Medians over the slices; the maximum is that of all slices. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly errors: number;
}

export interface Results {
  readonly slices: readonly Slice[];
  readonly summaries: readonly Summary[];
  readonly idle: readonly IdleResult[];
  readonly clients: readonly ClientsRound[];
}

/**
 * Summaries of the slices of one benchmark with one number of connections. The first round is not rotated, so the
 * servers come in the order they were given.
 */
export function summarize(slices: readonly Slice[]): Summary[] {
  const servers = [...new Set(slices.map((slice) => slice.server))];
  return servers.map((server) => summarizeServer(slices, server));
}

function summarizeServer(slices: readonly Slice[], server: string): Summary {
  const own = slices.filter((slice) => slice.server === server);
  const reports = own.map((slice) => slice.report);
  const rates = own.map(rateOf);
  const isStream = reports[0]?.mode === 'stream';
  const units = sum(reports.map((r) => (isStream ? r.totalBytes / 1e6 : r.totalRequests)));
  const cpuSeconds = sum(own.map((slice) => slice.serverCpuSeconds));
  const totalSeconds = sum(reports.map((r) => r.totalSeconds));
  const clientCpuSeconds = sum(reports.map((r) => r.clientCpuSeconds));
  const foreignSeconds = sum(own.map((s) => s.coresBusySeconds)) - cpuSeconds - clientCpuSeconds;
  return {
    server,
    connections: own[0]?.connections ?? 0,
    bestRate: Math.max(...rates),
    medianRate: median(rates),
    againstC: ratio(slices, own, C_REFERENCE),
    againstNet: ratio(slices, own, NODE_NET),
    cpuUs: (cpuSeconds / units) * 1e6,
    serverBusy: cpuSeconds / totalSeconds,
    clientBusy: clientCpuSeconds / totalSeconds,
    foreignBusy: Math.max(0, foreignSeconds / (2 * totalSeconds)),
    p50Us: median(reports.map((r) => r.p50Us)),
    p99Us: median(reports.map((r) => r.p99Us)),
    p999Us: median(reports.map((r) => r.p999Us)),
    maxUs: Math.max(...reports.map((r) => r.maxUs)),
    errors: sum(reports.map((r) => r.errors)),
  };
}

function rateOf(slice: Slice): number {
  return slice.report.mode === 'stream' ? slice.report.megabytesPerSecond : slice.report.rate;
}

function ratio(slices: readonly Slice[], own: readonly Slice[], reference: string): number {
  const rates = new Map<number, number>();
  for (const slice of slices) if (slice.server === reference) rates.set(slice.round, rateOf(slice));
  return median(own.map((slice) => rateOf(slice) / (rates.get(slice.round) ?? Number.NaN)));
}

/** The table of echo and stream. */
export function printSummaries(mode: 'echo' | 'stream', summaries: readonly Summary[]): void {
  const isEcho = mode === 'echo';
  const digits = isEcho ? 0 : 1;
  const header = [
    ...['server', 'connections', isEcho ? 'best req/s' : 'best MB/s', 'median', '/ c', '/ net'],
    ...[isEcho ? 'CPU µs/req' : 'CPU µs/MB', 'server CPU', 'load CPU', 'other CPU'],
    ...(isEcho ? ['p50 µs', 'p99 µs', 'p99.9 µs', 'max µs'] : []),
    'errors',
  ];
  const rows = summaries.map((s) => [
    ...[
      s.server,
      grouped(s.connections),
      grouped(s.bestRate, digits),
      grouped(s.medianRate, digits),
    ],
    ...[fixed(s.againstC, 2), fixed(s.againstNet, 2), fixed(s.cpuUs, isEcho ? 2 : 1)],
    ...[percent(s.serverBusy), percent(s.clientBusy), percent(s.foreignBusy)],
    ...(isEcho ? [s.p50Us, s.p99Us, s.p999Us, s.maxUs].map((value) => grouped(value)) : []),
    grouped(s.errors),
  ]);
  printTable(header, rows);
  if (summaries.some((s) => s.foreignBusy > FOREIGN_BUSY_MAX)) {
    process.stdout.write('Something else used these cores (other CPU): do not publish this.\n\n');
  }
}

/** The table of idle. Ratios are of bytes per connection, so below 1 is better. */
export function printIdle(results: readonly IdleResult[]): void {
  const net = results.find((result) => result.server === NODE_NET);
  const header = [
    ...[
      'server',
      'connections',
      'RSS before',
      'RSS full',
      'RSS closed',
      'B/conn',
      '2nd half',
      '/ net',
    ],
    ...['switches', 'idle CPU ms', 'open s', 'echo s', 'lost'],
  ];
  const rows = results.map((r) => [
    ...[r.server, grouped(r.connections), megabytes(r.before.rssBytes), megabytes(r.full.rssBytes)],
    ...[megabytes(r.closed.rssBytes), grouped(r.bytesPerConnection), grouped(r.marginalBytes)],
    fixed(net === undefined ? Number.NaN : r.bytesPerConnection / net.bytesPerConnection, 3),
    ...[grouped(r.idleContextSwitches), grouped(r.idleCpuSeconds * 1_000)],
    ...[fixed(r.openSeconds, 2), fixed(r.echoSeconds, 2), grouped(r.lost)],
  ]);
  printTable(header, rows);
}

/** Writes the result file and returns its path; undefined when none is wanted. */
export function writeResults(
  benchmarks: readonly Benchmark[],
  options: Options,
  machine: Machine,
  results: Results,
): string | undefined {
  const name = benchmarks.length === 1 ? benchmarks[0] : 'all';
  return writeResultFile(name ?? 'all', options.json, { machine, options, ...results });
}
