/** The memory of the timing wheel: lists, the first one in use, and ids that go stale. See timer-wheel.test.ts too. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { LEVELS, SLOTS } from '../../src/connection/timer-lists.js';
import { TIMERS_MAX, TimerNodes } from '../../src/connection/timer-nodes.js';

function listOf(nodes: TimerNodes, list: number): number[] {
  const members: number[] = [];
  for (let node = nodes.first(list); node !== list; node = nodes.next(node)) {
    members.push(node);
  }
  return members;
}

test('a node keeps what it was given, also when the memory grows', () => {
  const nodes = new TimerNodes(TIMERS_MAX);
  const taken = Array.from({ length: 5000 }, (_, i) => nodes.take(2 ** 40 + i, -i));
  assert.equal(new Set(taken).size, 5000);
  assert.equal(nodes.size, 5000);
  assert.equal(nodes.capacity, 8192);
  for (const [i, node] of taken.entries()) {
    assert.equal(nodes.tick(node), 2 ** 40 + i);
    assert.equal(nodes.payload(node), -i | 0);
    assert.equal(nodes.find(nodes.idOf(node)), node);
  }
});

test('an id is stale once its node is given back, and is not used for the next', () => {
  const nodes = new TimerNodes(1);
  const ids = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    const node = nodes.take(0, 0);
    const id = nodes.idOf(node);
    assert.ok(id > 0 && Number.isSafeInteger(id) && !ids.has(id));
    ids.add(id);
    nodes.giveBack(node);
    assert.equal(nodes.find(id), 0);
  }
});

test('lists keep their order, and the first in use is found among all', () => {
  const lists = fc.integer({ min: 0, max: LEVELS * SLOTS - 1 });
  const steps = fc.array(fc.record({ list: lists, isTaking: fc.boolean(), which: fc.nat() }), {
    maxLength: 200,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (sequence) => {
      const nodes = new TimerNodes(1000);
      const model = new Map<number, number[]>();
      for (const { list, isTaking, which } of sequence) {
        const used = [...model.keys()].filter((one) => model.get(one)!.length > 0);
        if (isTaking || used.length === 0) {
          const node = nodes.take(0, 0);
          nodes.link(node, list);
          model.set(list, [...(model.get(list) ?? []), node]);
        } else {
          const from = used[which % used.length];
          const members = model.get(from)!;
          const [node] = members.splice(which % members.length, 1);
          nodes.unlink(node);
          nodes.giveBack(node);
        }
        const first = Math.min(...[...model.keys()].filter((one) => model.get(one)!.length > 0));
        assert.equal(nodes.firstUsed(), first === Number.POSITIVE_INFINITY ? -1 : first);
      }
      for (const [list, members] of model) {
        assert.deepEqual(listOf(nodes, list), members);
        assert.equal(nodes.isEmpty(list), members.length === 0);
      }
    }),
  );
});

test('all of a list moves at once, to a list of the seventh level that is not searched', () => {
  const nodes = new TimerNodes(10);
  const members = [1, 2, 3].map((payload) => nodes.take(0, payload));
  for (const node of members) {
    nodes.link(node, 70);
  }
  const own = LEVELS * SLOTS;
  nodes.moveAll(70, own);
  assert.deepEqual(listOf(nodes, own), members);
  assert.equal(nodes.isEmpty(70), true);
  assert.equal(nodes.firstUsed(), -1);
  for (const node of members) {
    nodes.unlink(node);
  }
  assert.equal(nodes.isEmpty(own), true);
});

test('memory of nodes that were given back is given back, and no id comes again', () => {
  const kept = fc.uniqueArray(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(kept, fc.boolean(), (staying, isHighKept) => {
      const nodes = new TimerNodes(TIMERS_MAX);
      const ids = new Set<number>();
      const take = (payload: number) => {
        const node = nodes.take(payload + 0.5, payload);
        const id = nodes.idOf(node);
        assert.ok(!ids.has(id), 'an id came twice');
        ids.add(id);
        nodes.link(node, payload % SLOTS);
        return node;
      };
      const taken = Array.from({ length: 5000 }, (_, i) => take(i));
      const living = new Set(isHighKept ? [...staying, 4999] : staying);
      for (const [i, node] of taken.entries()) {
        if (!living.has(i)) {
          nodes.unlink(node);
          nodes.giveBack(node);
        }
      }
      const before = new Map([...living].map((i) => [i, nodes.idOf(taken[i]!)]));
      nodes.trim();
      assert.equal(nodes.capacity < 8192, !isHighKept);
      assert.equal(nodes.size, living.size);
      const valid = [...ids].filter((id) => nodes.find(id) !== 0);
      assert.deepEqual(new Set(valid), new Set(before.values()));
      for (const [i, id] of before) {
        assert.equal(nodes.find(id), taken[i]);
        assert.deepEqual([nodes.payload(taken[i]!), nodes.tick(taken[i]!)], [i, i + 0.5]);
        assert.ok(listOf(nodes, i % SLOTS).includes(taken[i]!));
      }
      const again = Array.from({ length: 3000 }, (_, i) => take(i));
      assert.equal(
        new Set([...again, ...[...living].map((i) => taken[i])]).size,
        3000 + living.size,
      );
    }),
    { numRuns: 20 },
  );
});
