/** Regions that outlive their users. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { giveRegion, releaseCachedRegions, takeRegion } from '../../src/base/region-cache.js';
import { MemoryKernel } from '../support/memory-kernel.js';

it('a region that was given back is taken again by who wants its size, and nobody else', () => {
  const kernel = new MemoryKernel();
  const first = takeRegion(kernel, 100);
  giveRegion(kernel, first);
  const other = takeRegion(kernel, 101);
  assert.notEqual(other, first);
  assert.equal(takeRegion(kernel, 100), first);
  const second = takeRegion(kernel, 100);
  assert.notEqual(second, first);
  assert.equal(kernel.releaseCalls, 0);
});

it('what is cached belongs to its kernel, and is freed when that ends', () => {
  const kernel = new MemoryKernel();
  const neighbour = new MemoryKernel();
  const regions = [100, 100, 200].map((byteLength) => takeRegion(kernel, byteLength));
  const theirs = takeRegion(neighbour, 100);
  for (const region of regions) {
    giveRegion(kernel, region);
  }
  giveRegion(neighbour, theirs);
  releaseCachedRegions(kernel);
  assert.deepEqual([kernel.allocatedBytes, neighbour.allocatedBytes], [0, 100]);
  releaseCachedRegions(kernel);
  assert.equal(kernel.releaseCalls, 3);
  const fresh = takeRegion(kernel, 100);
  assert.ok(!regions.includes(fresh));
  releaseCachedRegions(neighbour);
});
