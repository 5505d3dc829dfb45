/**
 * What a timer costs with a million of them set: `npm run bench -- timers [--rounds N]`. Deadlines are random, within a
 * minute as those of idle connections are; timers are cleared and reset in random order, so that each touches memory
 * that no cache holds. The medians of the rounds are printed, in nanoseconds for each operation.
 */

import { TimerWheel } from '../src/connection/timer-wheel.js';
import { median } from './statistics.js';

const TIMERS = 1_000_000;
const SPREAD_MS = 60_000;
/** Timers fired by one advance, as in a reactor's turn. */
const FIRE_BUDGET = 4096;

interface Timings {
  readonly set: number[];
  readonly resetLater: number[];
  readonly resetEarlier: number[];
  readonly clear: number[];
  readonly setAndClear: number[];
  readonly fire: number[];
  readonly idleTurn: number[];
  readonly nextDeadline: number[];
}

/** Random deadlines and a random order, the same in each round. */
function prepare(): { delays: Float64Array; order: Int32Array } {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
  const delays = new Float64Array(TIMERS).map(() => random() * SPREAD_MS);
  const order = new Int32Array(TIMERS).map((_, i) => i);
  for (let i = TIMERS - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    const moved = order[i];
    order[i] = order[other];
    order[other] = moved;
  }
  return { delays, order };
}

/** Nanoseconds for each of `count` operations. */
function time(count: number, work: () => void): number {
  const start = performance.now();
  work();
  return ((performance.now() - start) * 1e6) / count;
}

function runRound(timings: Timings, delays: Float64Array, order: Int32Array): number {
  const ids = new Float64Array(TIMERS);
  const wheel = new TimerWheel({ capacityMax: 2 ** 20, now: 1_000 });
  const setAll = (): void => {
    for (let i = 0; i < TIMERS; i++) {
      ids[i] = wheel.set(1_000 + delays[i], i);
    }
  };
  const resetAll = (base: number): void => {
    for (const i of order) {
      wheel.reset(ids[i], base + delays[i]);
    }
  };
  // The memory has grown to its full size before anything is measured.
  setAll();
  for (const id of ids) {
    wheel.clear(id);
  }
  timings.set.push(time(TIMERS, setAll));
  timings.resetLater.push(time(TIMERS, () => resetAll(2_000)));
  timings.resetEarlier.push(time(TIMERS, () => resetAll(1_500)));
  timings.idleTurn.push(
    time(TIMERS, () => {
      for (let i = 0; i < TIMERS; i++) {
        wheel.advance(1_000 + i / TIMERS, fail, FIRE_BUDGET);
      }
    }),
  );
  timings.nextDeadline.push(
    time(TIMERS, () => {
      for (let i = 0; i < TIMERS; i++) {
        wheel.nextDeadline();
      }
    }),
  );
  timings.clear.push(
    time(TIMERS, () => {
      for (const i of order) {
        wheel.clear(ids[i]);
      }
    }),
  );
  setAll();
  timings.setAndClear.push(
    time(TIMERS, () => {
      for (let i = 0; i < TIMERS; i++) {
        wheel.clear(wheel.set(1_000 + delays[i], i));
      }
    }),
  );
  let longestMs = 0;
  timings.fire.push(
    time(TIMERS, () => {
      for (let now = 1_000; wheel.size > 0; now += 1) {
        let isLeft = true;
        while (isLeft) {
          const start = performance.now();
          isLeft = wheel.advance(now, ignore, FIRE_BUDGET);
          longestMs = Math.max(longestMs, performance.now() - start);
        }
      }
    }),
  );
  if (wheel.refused > 0) {
    throw new Error(`${wheel.refused} timers were refused`);
  }
  return longestMs;
}

function ignore(): void {}

function fail(): never {
  throw new Error('A timer fired early');
}

/** The command `timers` of the benchmark; `argv` is what follows it. */
export function runTimersBenchmark(argv: readonly string[]): void {
  const at = argv.indexOf('--rounds');
  const rounds = at < 0 ? 5 : Number(argv[at + 1]);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(`--rounds is ${argv[at + 1]}; expected an integer from 1`);
  }
  const timings: Timings = {
    set: [],
    resetLater: [],
    resetEarlier: [],
    clear: [],
    setAndClear: [],
    fire: [],
    idleTurn: [],
    nextDeadline: [],
  };
  const { delays, order } = prepare();
  const longest: number[] = [];
  for (let round = 0; round < rounds; round++) {
    longest.push(runRound(timings, delays, order));
  }
  process.stdout.write(`\n${TIMERS} timers, ns for each operation (median of ${rounds})\n`);
  for (const [name, values] of Object.entries(timings)) {
    const rate = (1e3 / median(values)).toFixed(1);
    process.stdout.write(
      `  ${name.padEnd(16)}${median(values).toFixed(1).padStart(8)}${rate.padStart(10)} M/s\n`,
    );
  }
  process.stdout.write(`  longest advance with a budget of ${FIRE_BUDGET}: `);
  process.stdout.write(`${median(longest).toFixed(2)} ms\n`);
}
