/** What the system says of a process: its descriptors, threads, memory and context switches. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

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

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export interface MemoryFigures {
  /** Bytes of live objects of this thread. */
  readonly heap: number;
  /** Resident bytes of all but this thread's heap of objects, whose size follows V8's taste. */
  readonly other: number;
}

/** Collects garbage first. */
export function memoryFigures(): MemoryFigures {
  collectGarbage();
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return { heap: heapUsed, other: rss - heapTotal };
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
