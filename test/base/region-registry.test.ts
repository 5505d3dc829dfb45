/** Addresses that a thread leaves for its supervisor. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';

import fc from 'fast-check';

import { RegionRegistry } from '../../src/base/region-registry.js';

/** The most that fit. */
const ENTRIES = 4_096;

it('has what was added and not removed, and takeAll() leaves nothing', () => {
  const command = fc.record({ isAdded: fc.boolean(), address: fc.integer({ min: 1, max: 20 }) });
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const registry = RegionRegistry.create();
      const model: number[] = [];
      for (const { isAdded, address } of commands) {
        if (isAdded) {
          registry.add(address * 2 ** 40);
          model.push(address * 2 ** 40);
        } else {
          registry.remove(address * 2 ** 40);
          const i = model.indexOf(address * 2 ** 40);
          if (i >= 0) {
            model.splice(i, 1);
          }
        }
      }
      const order = (a: number, b: number) => a - b;
      assert.deepEqual(registry.takeAll().sort(order), model.sort(order));
      assert.deepEqual(registry.takeAll(), []);
    }),
    { numRuns: 50 },
  );
});

it('ignores what does not fit, and has room again after a removal', () => {
  const registry = RegionRegistry.create();
  for (let i = 1; i <= ENTRIES + 10; i += 1) {
    registry.add(i);
  }
  registry.remove(ENTRIES + 1);
  registry.remove(5);
  registry.add(77_777);
  const all = registry.takeAll();
  assert.equal(all.length, ENTRIES);
  assert.ok(all.includes(77_777) && !all.includes(5) && !all.includes(ENTRIES + 1));
});

it('is seen by who has its buffer, when the thread that wrote it has died', async () => {
  const registry = RegionRegistry.create();
  const url = JSON.stringify(new URL('../../src/base/region-registry.js', import.meta.url).href);
  const code = `import(${url}).then(({ RegionRegistry }) => {
    const registry = RegionRegistry.from(require('node:worker_threads').workerData);
    registry.add(4096);
    registry.add(8192);
    registry.remove(4096);
    process.exit(3);
  });`;
  const worker = new Worker(code, { eval: true, workerData: registry.buffer });
  await new Promise((resolve) => worker.once('exit', resolve));
  assert.deepEqual(registry.takeAll(), [8_192]);
});
