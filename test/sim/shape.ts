/**
 * The shape of a world: sizes, delays and weights that a seed draws. Unlike faults they are no errors and they never
 * stop; every Linux machine has some of them.
 */

import type { Random } from './random.js';

export interface WorldShape {
  /** Capacity in bytes of a TCP socket's buffers, and of a Unix socket's send buffer. */
  sendBuffer: number;
  receiveBuffer: number;
  unixBuffer: number;
  /** A segment takes up to this long. 0: it can be delivered in the next step. */
  latencyMaxMs: number;
  /** The most bytes of one segment. */
  segmentMax: number;
  /** Whether a FIN comes with the last bytes, or in a segment of its own. A probability. */
  finWithData: number;
  /** The part of what is in flight that still arrives ahead of a RST. A probability. */
  dataBeforeReset: number;
  /** How often and by how much the clock goes on before a step. */
  jumpChance: number;
  jumpMaxMs: number;
  /** Where the clock starts. */
  startMs: number;
  /** Weights by which the scheduler picks what runs next. */
  weightDeferred: number;
  weightDoorbell: number;
  weightAlarm: number;
  weightSegment: number;
  weightPeer: number;
  /** Soft limit of open descriptors, and the limit of the whole system. */
  descriptorLimit: number;
  systemLimit: number;
  /** Where an io_uring's heads and tails start: 0 on Linux, but they run through all 32 bits. */
  ringStart: number;
  /** The most completions that an io_uring has room for, whatever was asked for: a small queue overflows. */
  ringCompletions: number;
  /** How much that became ready one enter reports (IO_LOCAL_TW_DEFAULT_MAX). */
  ringWork: number;
}

/** No delays, no chunks, equal weights: for tests of one fact. */
export const PLAIN_SHAPE: WorldShape = {
  sendBuffer: 65_536,
  receiveBuffer: 65_536,
  unixBuffer: 65_536,
  latencyMaxMs: 0,
  segmentMax: 65_536,
  finWithData: 1,
  dataBeforeReset: 1,
  jumpChance: 0,
  jumpMaxMs: 0,
  startMs: 1000,
  weightDeferred: 1,
  weightDoorbell: 1,
  weightAlarm: 1,
  weightSegment: 1,
  weightPeer: 1,
  descriptorLimit: 1024,
  systemLimit: 100_000,
  ringStart: 0,
  ringCompletions: 65_536,
  ringWork: 20,
};

export function randomShape(random: Random): WorldShape {
  // One seed in eight has buffers that hold a few bytes only.
  const smallest = random.chance(0.125) ? 8 : 512;
  return {
    sendBuffer: Math.floor(random.logarithmic(smallest, 262_144)),
    receiveBuffer: Math.floor(random.logarithmic(smallest, 262_144)),
    unixBuffer: Math.floor(random.logarithmic(smallest, 262_144)),
    latencyMaxMs: random.pick([0, 0, 0.2, 2, 50]),
    segmentMax: random.pick([random.between(1, 16), 536, 1460, 16_384, 65_536]),
    finWithData: random.pick([0, 0.5, 1]),
    dataBeforeReset: random.pick([0, 0.5, 1]),
    jumpChance: random.pick([0, 0.05, 0.3]),
    jumpMaxMs: random.pick([0.1, 2, 40]),
    startMs: randomStart(random),
    weightDeferred: random.between(1, 16),
    weightDoorbell: random.between(1, 16),
    weightAlarm: random.between(1, 16),
    weightSegment: random.between(1, 16),
    weightPeer: random.between(1, 16),
    descriptorLimit: random.chance(0.1) ? random.between(24, 64) : 1024,
    systemLimit: 100_000,
    ringStart: random.chance(0.5) ? 2 ** 32 - random.between(1, 64) : 0,
    ringCompletions: random.chance(0.3) ? 2 ** random.between(2, 6) : 65_536,
    ringWork: random.pick([20, 20, random.between(1, 20)]),
  };
}

/** Some clocks start right before the numbers at which 32-bit arithmetic on milliseconds goes wrong. */
function randomStart(random: Random): number {
  const base = random.pick([0, 1000, 2 ** 31 - 500, 2 ** 32 - 500, 2 ** 40]);
  return base + random.fraction() * 400;
}
