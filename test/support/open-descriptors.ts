/** The descriptors of this process, as /proc has them: for tests that nothing leaks. */

import { readdirSync, readlinkSync } from 'node:fs';

/** What each open descriptor is, by number: `socket:[4711]`, `anon_inode:[eventfd]`, a path. */
export function openDescriptors(): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      open.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor that read the directory is gone again.
    }
  }
  return open;
}

/** How many descriptors there are of each kind; sockets and pipes without their inode numbers. */
export function descriptorCounts(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const target of openDescriptors().values()) {
    const kind = target.replace(/:\[\d+\]$/, '');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
