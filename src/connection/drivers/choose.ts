/** Which driver a server gets: asked once, before its reactors start, so that all of them get the same. */

import type { Kernel } from '../../base/kernel.js';
import { SystemError } from '../../errors.js';
import type { DriverFactory } from '../driver.js';
import { EpollDriver } from './epoll.js';
import { UringDriver } from './uring.js';
import { probeUring, type UringFeatures } from './uring-setup.js';

export type DriverName = 'epoll' | 'uring';

/** A choice that can be cloned to a thread. */
export interface DriverChoice {
  readonly name: DriverName;
  /** Why, for people: one line. */
  readonly reason: string;
  readonly features?: UringFeatures;
  /** Direct descriptors: places in the table of one ring; 0 for none. */
  readonly directFiles?: number;
}

/** One less than 2^16: a place's number is 16 bits. The kernel allows no more than RLIMIT_NOFILE in one table. */
const DIRECT_FILES_MAX = 32_768;

/**
 * `auto` takes io_uring only with everything that made it faster in our measurements (docs/benchmarks.md): work that
 * waits for the reactor's turn (6.1), multishot receive (6.0) and shared buffers (6.12). Throws SystemError when
 * io_uring was asked for and cannot be had.
 */
export function chooseDriver(
  kernel: Kernel,
  wanted: DriverName | 'auto',
  wantsDirect: boolean,
): DriverChoice {
  if (wanted === 'epoll') {
    return { name: 'epoll', reason: 'asked for' };
  }
  const features = probeUring(kernel);
  if (typeof features === 'number') {
    if (wanted === 'uring' || wantsDirect) {
      throw new SystemError('io_uring_setup', -features);
    }
    const error = new SystemError('io_uring_setup', -features);
    return { name: 'epoll', reason: `no io_uring here: ${error.message}` };
  }
  if (wantsDirect) {
    if (!features.directDescriptors) {
      throw new TypeError('Direct descriptors need Linux 6.8 or later');
    }
    const directFiles = Math.min(kernel.descriptorLimit() - 100, DIRECT_FILES_MAX);
    return { name: 'uring', reason: 'direct descriptors', features, directFiles };
  }
  if (wanted === 'uring') {
    return { name: 'uring', reason: 'asked for', features };
  }
  const { deferredWork, multishotReceive, incrementalBuffers } = features;
  return deferredWork && multishotReceive && incrementalBuffers
    ? { name: 'uring', reason: 'io_uring of Linux 6.12 or later', features }
    : { name: 'epoll', reason: 'io_uring here is older than Linux 6.12' };
}

export function driverFactory(kernel: Kernel, choice: DriverChoice): DriverFactory {
  const { features, directFiles = 0 } = choice;
  return choice.name === 'epoll' || features === undefined
    ? (completions, options) => new EpollDriver(kernel, completions, options)
    : (completions, options) =>
        new UringDriver(kernel, completions, { ...options, features, directFiles });
}
