/**
 * `npm run bench -- plot`: draws docs/plots/throughput.svg and docs/plots/idle-bytes.svg from bench/results/*.json:
 * from the newest run of echo with several numbers of connections, and the newest of idle. A chart never mixes runs,
 * since rates of different runs must not be compared. --echo FILE and --idle FILE choose others, --out another folder.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { IdleResult } from './idle.js';
import type { Machine } from './machine.js';
import type { Options } from './options.js';
import { PLOTS_DIRECTORY, RESULTS_DIRECTORY } from './paths.js';
import { barChart, lineChart } from './plot/charts.js';
import type { Summary } from './report.js';

/** The parts of a result file that are drawn; those of other benchmarks lack them. */
interface ResultFile {
  readonly date: string;
  readonly machine: Machine;
  readonly options: Options;
  readonly summaries?: readonly Summary[];
  readonly idle?: readonly IdleResult[];
}

export function runPlots(argv: readonly string[]): void {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      echo: { type: 'string' },
      idle: { type: 'string' },
      out: { type: 'string', default: PLOTS_DIRECTORY },
    },
  });
  const results = readdirSync(RESULTS_DIRECTORY)
    .filter((name) => name.endsWith('.json'))
    .map((name) => readResult(join(RESULTS_DIRECTORY, name)))
    .sort((a, b) => b.date.localeCompare(a.date));
  const echo = values.echo === undefined ? results.find(hasEcho) : readResult(values.echo);
  const idle = values.idle === undefined ? results.find(hasIdle) : readResult(values.idle);
  mkdirSync(values.out, { recursive: true });
  if (echo !== undefined) save(join(values.out, 'throughput.svg'), throughputChart(echo));
  if (idle !== undefined) save(join(values.out, 'idle-bytes.svg'), idleChart(idle));
  if (echo === undefined && idle === undefined) {
    throw new Error(`there is nothing to draw in ${RESULTS_DIRECTORY}`);
  }
}

function readResult(path: string): ResultFile {
  return JSON.parse(readFileSync(path, 'utf8')) as ResultFile;
}

function save(path: string, svg: string): void {
  writeFileSync(path, svg);
  process.stdout.write(`${path}\n`);
}

function hasEcho({ options, summaries = [] }: ResultFile): boolean {
  const isAlone = options.benchmarks?.length === 1 && options.benchmarks[0] === 'echo';
  return isAlone && new Set(summaries.map(({ connections }) => connections)).size > 1;
}

function hasIdle({ idle = [] }: ResultFile): boolean {
  return idle.length > 0;
}

function throughputChart({ date, machine, options, summaries = [] }: ResultFile): string {
  const names = [...new Set(summaries.map(({ server }) => server))];
  const series = names.map((name) => ({
    name,
    points: summaries
      .filter(({ server }) => server === name)
      .map(({ connections, medianRate }) => ({ x: connections, y: medianRate }))
      .sort((a, b) => a.x - b.x),
  }));
  const load = `${options.messageBytes} B messages, ${options.inFlight} on the way for each connection`;
  return lineChart(series, {
    title: 'Echo throughput against connections, one core',
    subtitles: [`${load}; median of ${options.rounds} rounds`, conditions(date, machine)],
    xLabel: 'open connections, all busy (logarithmic)',
    yLabel: 'requests a second',
  });
}

function idleChart({ date, machine, idle = [] }: ResultFile): string {
  const connections = Math.max(...idle.map((result) => result.connections));
  const bars = idle
    .filter((result) => result.connections === connections)
    .map(({ server, bytesPerConnection }) => ({ name: server, value: bytesPerConnection }));
  return barChart(bars, {
    title: 'User-space memory for an idle connection',
    subtitles: [
      `${connections.toLocaleString('en')} connections that echoed once`,
      conditions(date, machine),
    ],
    xLabel: 'bytes for each connection (growth of the resident set)',
    yLabel: 'server',
  });
}

function conditions(date: string, machine: Machine): string {
  return `${date.slice(0, 10)}, ${machine.cpu}, ${machine.kernel}, Node ${machine.node}`;
}
