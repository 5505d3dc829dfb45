/** What the reader gets of a million connections: three tables on standard output. */
import { fixed, grouped, megabytes, printTable } from '../table.js';
import type { MillionOptions } from './options.js';
import type { Load, MillionResult, Reading } from './phases.js';

const ABSENT = '–';

export function printMillion(result: MillionResult, options: MillionOptions): void {
  const server = options.server.argv.slice(1).join(' ');
  process.stdout.write(`\nmillion: ${grouped(options.connections)} connections, ${server}\n`);
  printSteps(result);
  printLoads(result);
  printTable(['figure', 'value'], facts(result, options.connections));
  process.stdout.write(
    `lost: ${grouped(result.lost)} of ${grouped(options.connections)} connections\n\n`,
  );
}

function printSteps({ empty, connected }: MillionResult): void {
  const header = ['connections', 'seconds', 'per second', 'slowest ms'];
  header.push('RSS', 'heap used', 'heap total', 'external', 'kernel, both ends');
  const start = ['0', ABSENT, ABSENT, ABSENT, ...memoryCells(empty, empty)];
  const rows = connected.steps.map((step) => [
    ...[grouped(step.connections), fixed(step.seconds, 2), grouped(step.rate)],
    ...[fixed(step.longestUs / 1e3, 1), ...memoryCells(step, empty)],
  ]);
  const settled = ['collected', ABSENT, ABSENT, ABSENT, ...memoryCells(connected.settled, empty)];
  printTable(header, [start, ...rows, settled]);
}

function memoryCells({ memory, inside, kernel }: Reading, empty: Reading): string[] {
  return [
    megabytes(memory.rssBytes),
    inside === null ? ABSENT : megabytes(inside.heapUsedBytes),
    inside === null ? ABSENT : megabytes(inside.heapTotalBytes),
    inside === null ? ABSENT : megabytes(inside.externalBytes),
    megabytes(kernel.totalBytes - empty.kernel.totalBytes),
  ];
}

function printLoads({ loads }: MillionResult): void {
  const header = ['active', 'req/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'CPU µs/req'];
  header.push('longest GC ms', 'loop delay ms', 'lost');
  const rows = loads.map((load: Load) => [
    ...[grouped(load.load.active), grouped(load.load.rate)],
    ...[load.load.p50Us, load.load.p99Us, load.load.p999Us, load.load.longestUs].map((us) =>
      fixed(us / 1e3, 2),
    ),
    ...[fixed(load.cpuUsPerRequest, 2), milliseconds(load.gcMaxMs)],
    ...[milliseconds(load.delayMaxMs), grouped(load.load.lost + load.watched.lost)],
  ]);
  printTable(header, rows);
}

function facts(result: MillionResult, connections: number): string[][] {
  const { empty, connected, silence, everybody, ended } = result;
  const { settled } = connected;
  const heap =
    settled.inside === null || empty.inside === null
      ? Number.NaN
      : settled.inside.heapUsedBytes - empty.inside.heapUsedBytes;
  const kernel = settled.kernel.totalBytes - empty.kernel.totalBytes;
  return [
    ['time to connect, each echoing once, s', fixed(connected.seconds, 2)],
    ['connections a second', grouped(connected.rate)],
    ['server CPU for each, µs', fixed((connected.serverCpuSeconds / connections) * 1e6, 1)],
    ['server RSS gained for each, B', perConnection(settled, empty, connections)],
    ['live heap gained for each, B', grouped(heap / connections)],
    ['kernel memory for each, both ends, B', grouped(kernel / connections)],
    ['longest GC pause: connecting, ms', milliseconds(connected.gcMaxMs)],
    ['longest GC pause: idle, ms', milliseconds(silence.gcMaxMs)],
    ['a full collection, forced, ms', milliseconds(connected.fullCollectionMs)],
    ['longest event-loop delay: idle, ms', milliseconds(silence.delayMaxMs)],
    [`idle CPU, ms in ${silence.seconds} s`, grouped(silence.cpuSeconds * 1e3)],
    [`idle context switches in ${silence.seconds} s`, grouped(silence.contextSwitches)],
    ['a message to each: time, s', fixed(everybody.seconds, 2)],
    ['a message to each: answered', grouped(everybody.done)],
    ['a message to each: slowest, ms', fixed(everybody.longestUs / 1e3, 1)],
    ['a message to each: longest GC pause, ms', milliseconds(everybody.gcMaxMs)],
    ['a message to each: longest loop delay, ms', milliseconds(everybody.delayMaxMs)],
    ['ending all: time, s', fixed(ended.seconds, 2)],
    ['ending all: ended by both sides', grouped(ended.done)],
    ['ending all: longest GC pause, ms', milliseconds(ended.gcMaxMs)],
    ['RSS before, full, after the end, some seconds later', rssCells(result)],
    [
      'kernel memory left after the end, of both ends',
      megabytes(ended.settled.kernel.totalBytes - empty.kernel.totalBytes),
    ],
  ];
}

function perConnection(full: Reading, empty: Reading, connections: number): string {
  return grouped((full.memory.rssBytes - empty.memory.rssBytes) / connections);
}

function rssCells({ empty, connected, ended }: MillionResult): string {
  const readings = [empty, connected.settled, ended.atOnce, ended.settled];
  return readings.map(({ memory }) => megabytes(memory.rssBytes)).join(', ');
}

function milliseconds(value: number | null): string {
  return value === null ? ABSENT : fixed(value, 1);
}
