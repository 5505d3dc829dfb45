/**
 * One trial from one seed: which of the scenarios it is, is the seed's choice. Each runs production code on the
 * simulated kernel and checks it throughout and at the end.
 */

import type { SimWorld } from './sim-world.js';
import { type DriverKind, driverKind } from './trial-driver.js';
import type { TrialResult } from './trial-result.js';
import { DescriptorTrial } from './trial-descriptors.js';
import { EngineTrial } from './trial-engine.js';
import { ProactorTrial } from './trial-proactor.js';
import { SlotTrial } from './trial-slots.js';
import { TrafficTrial } from './trial-traffic.js';

export interface TrialRun {
  readonly driver?: DriverKind;
  /** Lines of the trace to show when the trial fails. 0. */
  readonly traceLines?: number;
}

interface Trial {
  readonly world: SimWorld;
  run(): Promise<TrialResult>;
}

/** Which of twenty seeds in a row; the rest is traffic. */
const CYCLE = 20;
const DESCRIPTORS = [5, 15];
const ENGINE = [3, 13];
const PROACTOR = [10];
const SLOTS = [8, 18];

function makeTrial(seed: number, driver: DriverKind, traceLines: number): Trial {
  const place = seed % CYCLE;
  if (DESCRIPTORS.includes(place)) {
    return new DescriptorTrial(seed, driver, traceLines);
  }
  if (ENGINE.includes(place)) {
    return new EngineTrial(seed, driver, traceLines);
  }
  if (PROACTOR.includes(place)) {
    return new ProactorTrial(seed, driver, traceLines);
  }
  // What a driver whose kernel receives ahead had taken for one slot is lost for another.
  if (SLOTS.includes(place) && driver === 'epoll') {
    return new SlotTrial(seed, driver, traceLines);
  }
  return new TrafficTrial(seed, driver, traceLines);
}

/** Runs the trial of a seed. Throws an error whose message ends with the way to see it again. */
export async function runTrial(seed: number, options: TrialRun = {}): Promise<TrialResult> {
  const { driver = driverKind(), traceLines = 0 } = options;
  const trial = makeTrial(seed, driver, traceLines);
  try {
    return await trial.run();
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const which = driver === 'epoll' ? '' : ` -- --driver ${driver}`;
    throw new Error(`${what}\n${trial.world.describe()}\nSEED=${seed} npm run sim${which}`);
  }
}
