/**
 * Off-heap regions that outlive their user: a view of one may have been kept, against the rules, by the program, and
 * must never point into memory that is gone. So a driver gives its regions back here, not to the system, and the next
 * driver of the thread gets them. A thread that ends releases them all.
 */

import type { Kernel, Region } from './kernel.js';

type Allocator = Pick<Kernel, 'allocate' | 'release'>;

const caches = new WeakMap<Allocator, Map<number, Region[]>>();

/** A region of exactly `byteLength` bytes; its contents are undefined. */
export function takeRegion(kernel: Allocator, byteLength: number): Region {
  return caches.get(kernel)?.get(byteLength)?.pop() ?? kernel.allocate(byteLength);
}

export function giveRegion(kernel: Allocator, region: Region): void {
  let sizes = caches.get(kernel);
  if (sizes === undefined) {
    sizes = new Map();
    caches.set(kernel, sizes);
  }
  const { length: byteLength } = region.bytes;
  const list = sizes.get(byteLength);
  if (list === undefined) {
    sizes.set(byteLength, [region]);
  } else {
    list.push(region);
  }
}

/** Frees all of a kernel's cached regions: when its thread ends and no view can be used any more. */
export function releaseCachedRegions(kernel: Allocator): void {
  for (const list of caches.get(kernel)?.values() ?? []) {
    for (const region of list) {
      kernel.release(region);
    }
  }
  caches.delete(kernel);
}
