/** What the system says of a process: its descriptors, threads, memory and context switches. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

type Pid = number | 'self';

/** What each descriptor leads to, such as `socket:[1234]`, by its number. */
export function descriptorsOf(pid: Pid): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      found.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      // Closed meanwhile: that of the listing itself, for one.
    }
  }
  return found;
}

export function threadsOf(pid: Pid): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** Resident memory in bytes. */
export function residentBytes(): number {
  return process.memoryUsage.rss();
}

/** How often the threads gave up the processor because they had nothing to do, all together. */
export function voluntarySwitches(pid: Pid): number {
  return threadsOf(pid).reduce((sum, thread) => sum + switchesOf(pid, thread), 0);
}

function switchesOf(pid: Pid, thread: number): number {
  try {
    return Number(statusOf(pid, thread, 'voluntary_ctxt_switches'));
  } catch {
    return 0;
  }
}

/** A line of a thread's status, such as `Cpus_allowed_list`. */
export function statusOf(pid: Pid, thread: number, name: string): string {
  const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
  const line = status.split('\n').find((each) => each.startsWith(`${name}:`));
  if (line === undefined) {
    throw new Error(`There is no ${name} in the status of thread ${thread}`);
  }
  return line.slice(name.length + 1).trim();
}
