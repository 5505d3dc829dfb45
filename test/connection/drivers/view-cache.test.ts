/** Views of a receive buffer. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { ViewCache } from '../../../src/connection/drivers/view-cache.js';

it('first() views exactly the first bytes, whatever was asked for before', () => {
  const all = Buffer.alloc(10_000);
  const cache = new ViewCache(all);
  for (const n of [1, 4_096, 4_097, 9_999, 10_000, 1, 2, 4_096]) {
    const view = cache.first(n);
    assert.equal(view.byteLength, n);
    all[0] += 1;
    all[n - 1] = n % 251;
    assert.deepEqual([view[0], view[n - 1]], [all[0], all[n - 1]]);
  }
});

it('first() makes no view twice for small messages, and none for a full buffer', () => {
  const all = Buffer.alloc(10_000);
  const cache = new ViewCache(all);
  assert.equal(cache.first(10_000), all);
  assert.equal(cache.first(100), cache.first(100));
  assert.equal(cache.first(4_096), cache.first(4_096));
  assert.notEqual(cache.first(4_097), cache.first(4_097));
});

it('a buffer smaller than the cache is fine', () => {
  const all = Buffer.alloc(64);
  const cache = new ViewCache(all);
  assert.equal(cache.first(64).byteLength, 64);
  assert.equal(cache.first(64), cache.first(64));
});
