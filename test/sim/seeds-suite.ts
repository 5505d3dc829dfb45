/**
 * The production code from many seeds, on all cores, for one driver. MILLRACE_SIM_SEEDS says how many (10,000); under
 * AddressSanitizer, where the point is memory and not schedules, some hundreds do. MILLRACE_SIM_DRIVER names the only
 * driver that is wanted. Each driver has a test file of its own, since Node 20 limits the time of a file.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { FAULT_NAMES } from './faults.js';
import { runTrial } from './trial.js';
import { type DriverKind, driverKind } from './trial-driver.js';

const SEEDS = Number(
  process.env.MILLRACE_SIM_SEEDS ?? (process.env.MILLRACE_GUARD === '1' ? 300 : 10_000),
);
/** Enough that the rarest fault is met several times. */
const COVERAGE_SEEDS = 500;
const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

interface Run {
  readonly code: number | null;
  readonly output: string;
}

function run(driver: DriverKind, from: number, count: number): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [MAIN, '--from', String(from), '--seeds', String(count), '--driver', driver],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output: Buffer.concat(chunks).toString() }));
  });
}

/** Faults of epoll's own calls: with io_uring only the engine's acceptor makes them, too seldom to count on. */
const ONLY_EPOLL = [
  'waitInterrupted',
  'eventWithheld',
  'eventSplit',
  'eventsShuffled',
  'controlNoMemory',
];

/** Only a driver on io_uring makes a ring; those of datagrams are for datagrams.test.ts. */
function canMeet(driver: DriverKind, fault: string): boolean {
  if (fault.startsWith('datagram')) return false;
  return driver === 'uring' ? !ONLY_EPOLL.includes(fault) : !fault.startsWith('ring');
}

/** Registers the tests of one driver. */
export function seedsSuite(driver: DriverKind): void {
  const isWanted = process.env.MILLRACE_SIM_DRIVER === undefined || driverKind() === driver;
  if (isWanted) {
    describe(`the reactor on the simulated kernel, with ${driver}`, () => registerSeeds(driver));
  }
}

function registerSeeds(driver: DriverKind): void {
  it(`keeps its promises in ${SEEDS} seeds`, async () => {
    const parts = Math.max(1, availableParallelism());
    const size = Math.ceil(SEEDS / parts);
    const runs = await Promise.all(
      Array.from({ length: parts }, (_, i) =>
        run(driver, i * size, Math.min(size, SEEDS - i * size)),
      ),
    );
    for (const { code, output } of runs) {
      assert.equal(code, 0, output);
      assert.match(output, /seeds passed/);
    }
  });

  it(`meets every fault in ${COVERAGE_SEEDS} seeds`, async (t) => {
    const counts = new Map<string, number>(FAULT_NAMES.map((name) => [name, 0]));
    for (let seed = 0; seed < COVERAGE_SEEDS; seed += 1) {
      const { faults } = await runTrial(seed, { driver });
      for (const [name, n] of Object.entries(faults)) {
        counts.set(name, (counts.get(name) ?? 0) + n);
      }
    }
    t.diagnostic([...counts].map(([name, n]) => `${name} ${n}`).join(', '));
    const missed = [...counts].filter(([name, n]) => n === 0 && canMeet(driver, name));
    assert.deepEqual(missed, [], 'faults that never happened');
  });

  it('does the same twice from the same seed', async () => {
    // Two of each scenario at least: trial.ts.
    for (let seed = 0; seed < 40; seed += 1) {
      const first = await runTrial(seed, { driver });
      const second = await runTrial(seed, { driver });
      assert.equal(second.hash, first.hash, `seed ${seed}`);
      assert.equal(second.steps, first.steps, `seed ${seed}`);
    }
  });
}
