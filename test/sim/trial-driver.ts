/**
 * Which driver the trials run, and the one place that makes it: `--driver` of `npm run sim`, else MILLRACE_SIM_DRIVER,
 * else epoll.
 */

import type { Kernel } from '../../src/base/kernel.js';
import type { Completions, Driver, DriverOptions } from '../../src/connection/driver.js';
import { EpollDriver } from '../../src/connection/drivers/epoll.js';
import { UringDriver } from '../../src/connection/drivers/uring.js';
import type { UringFeatures } from '../../src/connection/drivers/uring-setup.js';

export const DRIVER_KINDS = ['epoll', 'uring'] as const;
export type DriverKind = (typeof DRIVER_KINDS)[number];

/** Throws for a name that is none. */
export function driverKind(name: string = process.env.MILLRACE_SIM_DRIVER ?? 'epoll'): DriverKind {
  const kind = DRIVER_KINDS.find((candidate) => candidate === name);
  if (kind === undefined) {
    throw new TypeError(`Unknown driver ${name}: expected ${DRIVER_KINDS.join(' or ')}`);
  }
  return kind;
}

export function createTrialDriver(
  kind: DriverKind,
  kernel: Kernel,
  completions: Completions,
  options: DriverOptions,
): Driver {
  switch (kind) {
    case 'epoll':
      return new EpollDriver(kernel, completions, options);
    case 'uring':
      return new UringDriver(kernel, completions, { ...options, features: featuresOf(kernel) });
  }
}

/** Reactors of one trial, at most. */
const REACTORS_MAX = 3;

/** Descriptors that a trial's drivers have beyond those of epoll: a ring each, and the eventfd that it signals. */
export function descriptorsMore(kind: DriverKind): number {
  return kind === 'uring' ? 2 * REACTORS_MAX : 0;
}

/** Some worlds have an older kernel. */
function featuresOf(kernel: Kernel): UringFeatures {
  const choice = kernel.random() % 4;
  return {
    deferredWork: choice !== 0,
    multishotReceive: choice > 1,
    incrementalBuffers: choice === 3,
    directDescriptors: true,
  };
}
