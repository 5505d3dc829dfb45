/**
 * `npm run sim`: trials from seeds.
 *
 *     SEED=17 npm run sim                       one seed, with the last lines of its trace if it fails
 *     npm run sim -- --seeds 1000 --from 0      many; stops at the first that fails
 *     npm run sim -- --driver epoll             which driver; else MILLRACE_SIM_DRIVER, else epoll
 *
 * Exit code 1 when a seed fails: the last line is the command that shows it again.
 */

import { parseArgs } from 'node:util';

import { runTrial } from './trial.js';
import { type DriverKind, driverKind } from './trial-driver.js';

const TRACE_LINES = 300;
const PROGRESS_EVERY = 1_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '0' },
      driver: { type: 'string' },
    },
  });
  const driver = driverKind(values.driver);
  const one = process.env.SEED;
  return one === undefined
    ? run(Number(values.from), Number(values.seeds), driver, 0)
    : run(Number(one), 1, driver, TRACE_LINES);
}

async function run(
  from: number,
  count: number,
  driver: DriverKind,
  traceLines: number,
): Promise<number> {
  const kinds = new Map<string, number>();
  const faults = new Map<string, number>();
  let connections = 0;
  let steps = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    try {
      const result = await runTrial(seed, { driver, traceLines });
      kinds.set(result.kind, (kinds.get(result.kind) ?? 0) + 1);
      connections += result.connections;
      steps += result.steps;
      for (const [name, n] of Object.entries(result.faults)) {
        faults.set(name, (faults.get(name) ?? 0) + n);
      }
    } catch (error) {
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
    if ((seed + 1 - from) % PROGRESS_EVERY === 0) {
      process.stdout.write(`${seed + 1 - from} of ${count} seeds\n`);
    }
  }
  const list = (map: Map<string, number>) => [...map].map(([name, n]) => `${name} ${n}`).join(', ');
  process.stdout.write(`${count} seeds passed: ${connections} connections, ${steps} steps\n`);
  process.stdout.write(`kinds: ${list(kinds)}\nfaults: ${list(faults)}\n`);
  return 0;
}

process.exitCode = await main();
