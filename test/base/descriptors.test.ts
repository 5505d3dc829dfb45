/** The register of descriptors: owners, hand-over, bounds, and use from several threads at once. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import fc from 'fast-check';

import {
  DESCRIPTOR_LIMIT_MAX,
  DESCRIPTOR_OWNER_MAX,
  DescriptorRegistry,
} from '../../src/base/descriptors.js';

test('a descriptor has the owner that was set last, and none after clear', () => {
  const registry = DescriptorRegistry.create(100);
  assert.equal(registry.ownerOf(7), 0);
  registry.set(7, 3);
  assert.equal(registry.ownerOf(7), 3);
  registry.set(7, DESCRIPTOR_OWNER_MAX);
  assert.equal(registry.ownerOf(7), DESCRIPTOR_OWNER_MAX);
  registry.clear(7);
  assert.equal(registry.ownerOf(7), 0);
  registry.set(7, 1);
  registry.set(7, 0);
  assert.equal(registry.ownerOf(7), 0);
});

test('ownedBy() lists the descriptors of one owner in ascending order', () => {
  const registry = DescriptorRegistry.create(1000);
  for (const fd of [999, 0, 500, 3]) registry.set(fd, 2);
  registry.set(4, 1);
  assert.deepEqual(registry.ownedBy(2), [0, 3, 500, 999]);
  assert.deepEqual(registry.ownedBy(9), []);
  assert.equal(registry.countOf(2), 4);
  assert.equal(registry.count(), 5);
});

test('transfer() moves what is ours and refuses what is not', () => {
  const registry = DescriptorRegistry.create(10);
  registry.set(5, 1);
  assert.equal(registry.transfer(5, 2), true);
  assert.equal(registry.ownerOf(5), 2);
  assert.equal(registry.transfer(6, 2), false);
  assert.equal(registry.ownerOf(6), 0);
  assert.equal(registry.transfer(10, 2), false);
});

test('descriptors from the limit on are ignored and counted', () => {
  const registry = DescriptorRegistry.create(8);
  registry.set(8, 1);
  registry.set(1_000_000, 1);
  registry.clear(8);
  assert.equal(registry.ownerOf(8), 0);
  assert.equal(registry.count(), 0);
  assert.equal(registry.ignored, 2);
});

test('the table is no larger than the largest default limit of Linux', () => {
  assert.equal(DescriptorRegistry.create(2 ** 30).limit, DESCRIPTOR_LIMIT_MAX);
  assert.equal(DescriptorRegistry.create(Number.POSITIVE_INFINITY).limit, DESCRIPTOR_LIMIT_MAX);
  assert.equal(DescriptorRegistry.create(10.7).limit, 10);
});

test('a registry from the same buffer sees the same owners and limit', () => {
  const registry = DescriptorRegistry.create(77);
  const other = DescriptorRegistry.from(registry.buffer);
  other.set(76, 4);
  other.set(77, 4);
  assert.equal(registry.ownerOf(76), 4);
  assert.equal(registry.ignored, 1);
  assert.equal(other.limit, 77);
});

test('wrong arguments are refused', () => {
  const registry = DescriptorRegistry.create(10);
  for (const fd of [-1, 1.5, Number.NaN]) {
    assert.throws(() => registry.set(fd, 1), RangeError);
    assert.throws(() => registry.clear(fd), RangeError);
    assert.throws(() => registry.ownerOf(fd), RangeError);
  }
  for (const owner of [-1, 0.5, DESCRIPTOR_OWNER_MAX + 1]) {
    assert.throws(() => registry.set(1, owner), RangeError);
  }
  assert.throws(() => registry.transfer(1, 0), RangeError);
  assert.throws(() => registry.ownedBy(0), RangeError);
  assert.throws(() => DescriptorRegistry.create(0), RangeError);
  assert.throws(() => DescriptorRegistry.create(Number.NaN), RangeError);
  assert.throws(() => DescriptorRegistry.from(new ArrayBuffer(8) as never), TypeError);
  assert.throws(() => DescriptorRegistry.from(new SharedArrayBuffer(4)), RangeError);
});

test('any sequence of calls does what the same calls do to a Map', () => {
  const fds = fc.nat(12);
  const owners = fc.integer({ min: 1, max: 4 });
  const call = fc.oneof(
    fc.tuple(fc.constant('set' as const), fds, owners),
    fc.tuple(fc.constant('transfer' as const), fds, owners),
    fc.tuple(fc.constant('clear' as const), fds, owners),
  );
  fc.assert(
    fc.property(fc.array(call), (calls) => {
      const registry = DescriptorRegistry.create(10);
      const model = new Map<number, number>();
      for (const [name, fd, owner] of calls) {
        registry[name](fd, owner);
        if (name === 'clear') model.delete(fd);
        else if (fd < 10 && (name === 'set' || model.has(fd))) model.set(fd, owner);
      }
      for (let owner = 1; owner <= 4; owner++) {
        const expected = [...model].filter(([, value]) => value === owner).map(([fd]) => fd);
        assert.deepEqual(
          registry.ownedBy(owner),
          expected.sort((a, b) => a - b),
        );
      }
      assert.equal(registry.count(), model.size);
    }),
  );
});

test('threads that write neighbouring entries do not disturb each other', async () => {
  const registry = DescriptorRegistry.create(1000);
  const module = new URL('../../src/base/descriptors.js', import.meta.url).href;
  const source = `
    import { workerData } from 'node:worker_threads';
    const { DescriptorRegistry } = await import(${JSON.stringify(module)});
    const registry = DescriptorRegistry.from(workerData.buffer);
    for (let round = 0; round < 50; round++) {
      for (let fd = workerData.owner - 1; fd < 1000; fd += 2) {
        registry.clear(fd);
        registry.set(fd, workerData.owner);
      }
      registry.set(1000, workerData.owner);
    }`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const workers = [1, 2].map((owner) => {
    return new Worker(url, { workerData: { buffer: registry.buffer, owner } });
  });
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.deepEqual(codes, [[0], [0]]);
  assert.deepEqual([registry.countOf(1), registry.countOf(2)], [500, 500]);
  assert.equal(registry.ownedBy(1)[3], 6);
  assert.equal(registry.ignored, 100);
});
