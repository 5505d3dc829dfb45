/** base/native-registry: what is noted, in any order of notes and removals, and what whoever supervises reads. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';

import fc from 'fast-check';

import {
  forgetNative,
  Native,
  type NativeKind,
  type NativeObject,
  NativeRegistry,
  noteNative,
} from '../../src/base/native-registry.js';

const KINDS = Object.values(Native);

it('holds what was added and not removed, and gives it once, what refers to others first', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      address: fc.integer({ min: 16, max: 2 ** 47 - 1 }),
    }),
    fc.nat(30),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const registry = NativeRegistry.create(20);
      const places = new Map<number, NativeObject>();
      for (const each of steps) {
        if (typeof each === 'number') {
          const place = [...places.keys()][each];
          if (place !== undefined) {
            registry.remove(place);
            places.delete(place);
          }
          continue;
        }
        const place = registry.add(each.kind, each.address);
        assert.equal(place < 0, places.size === 20, 'only what does not fit');
        assert.equal(places.has(place), false);
        if (place >= 0) places.set(place, each);
      }
      registry.remove(-1);
      const objects = registry.takeAll();
      assert.deepEqual(objects.map(nameOf).sort(), [...places.values()].map(nameOf).sort());
      const kinds = objects.map(({ kind }) => kind);
      assert.deepEqual(
        kinds,
        kinds.toSorted((a, b) => a - b),
      );
      assert.deepEqual(registry.takeAll(), []);
    }),
  );
});

function nameOf({ kind, address }: NativeObject): string {
  return `${kind} ${address}`;
}

it('is written by one thread, read when that is gone, and then written by the next', async () => {
  const registry = NativeRegistry.create(100);
  const module = new URL('../../src/base/native-registry.js', import.meta.url);
  for (const first of [1_000, 2_000]) {
    const code = `
      import(${JSON.stringify(module.href)}).then((native) => {
        const { buffer } = require('node:worker_threads').workerData;
        native.useNativeRegistry(native.NativeRegistry.from(buffer));
        native.noteLibrary(77);
        const places = [0, 1, 2].map((i) => native.noteNative(native.Native.SSL, ${first} + i));
        native.forgetNative(places[1]);
        process.exit(1);
      });`;
    const worker = new Worker(code, { eval: true, workerData: { buffer: registry.buffer } });
    assert.deepEqual(await once(worker, 'exit'), [1]);
    assert.equal(registry.library, 77);
    const addresses = registry.takeAll().map(({ address }) => address);
    assert.deepEqual(addresses, [first, first + 2]);
    assert.equal(registry.library, 0);
  }
});

it('a thread without one notes nothing', () => {
  const place = noteNative(Native.SSL, 4_096);
  assert.equal(place, -1);
  forgetNative(place);
});

it('wants room for something, and has room for at most 2^20', () => {
  for (const entries of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => NativeRegistry.create(entries), RangeError);
  }
  assert.equal(NativeRegistry.create(2 ** 30).buffer.byteLength, (2 ** 20 + 2) * 8);
  const kind: NativeKind = Native.REGION;
  assert.equal(NativeRegistry.create(1).add(kind, 1) >= 0, true);
});
