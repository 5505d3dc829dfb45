/**
 * Fixed array, ring buffer or linked blocks? `npm run bench -- buffers [--rounds N] [--only TEXT]` compares the three
 * ways to keep received bytes on the traffic of workloads.ts, and the memory that idle connections retain.
 *
 * The contenders take turns within each round, since a shared machine changes speed; the medians of the rounds are
 * printed. A round is as many repetitions as take some 10 ms.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Contender, ContenderKind } from './buffers/contender.js';
import { fixed } from './buffers/fixed.js';
import { linked } from './buffers/linked.js';
import { ring } from './buffers/ring.js';
import { type Workload, workloads } from './buffers/workloads.js';
import { median } from './statistics.js';

const KINDS: readonly ContenderKind[] = [fixed, ring, linked];
const ROUND_MS = 10;
const IDLE_CONNECTIONS = 10_000;

interface Row {
  readonly workload: string;
  readonly kind: string;
  readonly nanoseconds: number;
  readonly unit: string;
  readonly megabytesPerSecond: number;
}

function measure(workload: Workload, rounds: number): Row[] {
  const sides = KINDS.map((kind) => {
    const contenders = Array.from({ length: workload.connections }, () => kind.make());
    return { kind, contenders, times: [] as number[] };
  });
  const expected = sides.map(({ contenders }) => workload.run(contenders));
  if (new Set(expected).size !== 1) {
    throw new Error(`The contenders disagree on ${workload.name}: ${expected.join(' ')}`);
  }
  let repetitions = 1;
  for (let round = -3; round < rounds; round++) {
    for (const { contenders, times } of sides) {
      const elapsed = time(workload, contenders, repetitions);
      if (round < 0) {
        repetitions = Math.max(repetitions, Math.ceil((repetitions * ROUND_MS) / elapsed));
      } else {
        times.push(elapsed / repetitions);
      }
    }
  }
  return sides.map(({ kind, times }) => {
    const milliseconds = median(times);
    return {
      workload: workload.name,
      kind: kind.name,
      nanoseconds: (milliseconds * 1e6) / workload.operations,
      unit: workload.unit,
      megabytesPerSecond: workload.bytes / 1e3 / milliseconds,
    };
  });
}

function time(workload: Workload, contenders: readonly Contender[], repetitions: number): number {
  const start = performance.now();
  for (let i = 0; i < repetitions; i++) {
    workload.run(contenders);
  }
  return performance.now() - start;
}

/** Bytes for each connection that stay after it received `burst` bytes and read all of them but `left`. */
function measureRetained(kind: ContenderKind, burst: number, left: number): number {
  kind.trim();
  const network = Buffer.alloc(burst, 1);
  const before = accountedBytes(kind);
  const contenders: Contender[] = [];
  for (let i = 0; i < IDLE_CONNECTIONS; i++) {
    const contender = kind.make();
    contender.receive(network, 0, burst);
    contender.skip(burst - left);
    contender.endTurn();
    contenders.push(contender);
  }
  const retained = (accountedBytes(kind) - before) / contenders.length;
  for (const contender of contenders) {
    contender.skip(left);
    contender.endTurn();
  }
  return retained;
}

const collectGarbage = exposeGarbageCollector();

function exposeGarbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

function accountedBytes(kind: ContenderKind): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers + kind.offHeapBytes();
}

function printRows(rows: readonly Row[]): void {
  const best = Math.min(...rows.map((row) => row.nanoseconds));
  process.stdout.write(`\n${rows[0]!.workload}\n`);
  for (const { kind, nanoseconds, unit, megabytesPerSecond } of rows) {
    const time = `${nanoseconds.toFixed(nanoseconds < 1000 ? 1 : 0)} ns/${unit}`;
    const speed = `${megabytesPerSecond.toFixed(0)} MB/s`;
    const ratio = nanoseconds === best ? 'best' : `${(nanoseconds / best).toFixed(2)} x the time`;
    process.stdout.write(
      `  ${kind.padEnd(14)}${time.padStart(18)}${speed.padStart(14)}   ${ratio}\n`,
    );
  }
}

function printRetained(): void {
  process.stdout.write(`\nretained bytes for each of ${IDLE_CONNECTIONS} idle connections\n`);
  process.stdout.write(
    `  ${''.padEnd(14)}${'1 KiB read'.padStart(14)}${'64 KiB read'.padStart(14)}${'100 B unread'.padStart(14)}\n`,
  );
  for (const kind of KINDS) {
    const cells = [
      measureRetained(kind, 1024, 0),
      measureRetained(kind, 65_536, 0),
      measureRetained(kind, 1024, 100),
    ];
    const columns = cells.map((cell) => cell.toFixed(0).padStart(14)).join('');
    process.stdout.write(`  ${kind.name.padEnd(14)}${columns}\n`);
  }
}

function printWinners(rows: readonly Row[]): void {
  process.stdout.write('\nwinners (within 5 % is a tie)\n');
  for (const workload of new Set(rows.map((row) => row.workload))) {
    const group = rows.filter((row) => row.workload === workload);
    const best = Math.min(...group.map((row) => row.nanoseconds));
    const winners = group.filter((row) => row.nanoseconds <= best * 1.05).map((row) => row.kind);
    process.stdout.write(`  ${workload}: ${winners.join(', ')}\n`);
  }
}

function numberOption(argv: readonly string[], name: string, otherwise: number): number {
  const at = argv.indexOf(name);
  const value = at < 0 ? otherwise : Number(argv[at + 1]);
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} is ${argv[at + 1]}; expected an integer from 1`);
  }
  return value;
}

/** The command `buffers` of the benchmark; `argv` is what follows it. */
export function runBuffersBenchmark(argv: readonly string[]): void {
  const rounds = numberOption(argv, '--rounds', 15);
  const only = argv.includes('--only') ? argv[argv.indexOf('--only') + 1]! : '';
  const rows: Row[] = [];
  for (const workload of workloads) {
    if (workload.name.includes(only)) {
      const measured = measure(workload, rounds);
      printRows(measured);
      rows.push(...measured);
    }
  }
  printWinners(rows);
  if (only === '') {
    printRetained();
  }
}
