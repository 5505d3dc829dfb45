/**
 * How busy the two cores of a benchmark were, whoever used them. Set against the CPU time of the server and of the
 * load generator, it shows what else ran there (or was stolen by the hypervisor): a figure taken on a shared core
 * is worthless.
 */
import { readFileSync } from 'node:fs';
import { TICKS_PER_SECOND } from './server-process.js';

/**
 * Busy seconds since boot, summed over the cores (proc(5), /proc/stat): everything but idle and waiting for a
 * disk.
 */
export function coresBusySeconds(cores: readonly number[]): number {
  const text = readFileSync('/proc/stat', 'utf8');
  let ticks = 0;
  for (const core of cores) {
    const fields = new RegExp(`^cpu${core} (.*)$`, 'm').exec(text)?.[1]?.split(' ').map(Number);
    if (fields === undefined) throw new RangeError(`core ${core} is not in /proc/stat`);
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
    ticks += user + nice + system + irq + softirq + steal;
  }
  return ticks / TICKS_PER_SECOND;
}
