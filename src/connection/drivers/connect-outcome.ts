/** The outcome of a connect that was under way, asked of the socket once it can be written to. For all drivers. */

import { ENOTCONN } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import { SO_ERROR, SOL_SOCKET } from '../../base/linux.js';
import type { DriverCounters } from '../driver.js';

const errorBytes = new Uint8Array(4);
const addressBytes = new Uint8Array(128);

/** The pending error of a socket, which is cleared by asking; 0 for none. */
export function takeError(kernel: Kernel, fd: number, counters: DriverCounters): number {
  counters.calls += 1;
  const n = kernel.getSocketOption(fd, SOL_SOCKET, SO_ERROR, errorBytes);
  return n < 0 ? -n : errorBytes[0] | (errorBytes[1] << 8);
}

/** 0 for connected, or the positive errno; undefined while there is no outcome. */
export function connectOutcome(
  kernel: Kernel,
  fd: number,
  counters: DriverCounters,
): number | undefined {
  const code = takeError(kernel, fd, counters);
  if (code !== 0) {
    return code;
  }
  counters.calls += 1;
  if (kernel.getPeerName(fd, addressBytes) !== -ENOTCONN) {
    return 0;
  }
  const late = takeError(kernel, fd, counters);
  return late === 0 ? undefined : late;
}
