/** Slots and ids of connections. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import {
  ConnectionTable,
  checkId,
  generationOfId,
  makeId,
  reactorOfId,
  SLOTS_MAX,
  slotOfId,
} from '../../src/connection/connection-table.js';

const GENERATIONS = 2 ** 22;

describe('an id', () => {
  it('is a safe integer that gives back what it was made of', () => {
    const reactor = fc.integer({ min: 0, max: 255 });
    const generation = fc.integer({ min: 0, max: GENERATIONS - 1 });
    const slot = fc.integer({ min: 0, max: SLOTS_MAX - 1 });
    fc.assert(
      fc.property(reactor, generation, slot, (r, g, s) => {
        const id = makeId(r, g, s);
        assert.ok(Number.isSafeInteger(id));
        assert.deepEqual([reactorOfId(id), generationOfId(id), slotOfId(id)], [r, g, s]);
        checkId(id);
      }),
    );
  });

  it('is nothing else than a non-negative safe integer', () => {
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53, '1', undefined, null, 1n]) {
      assert.throws(() => checkId(wrong as number), TypeError, String(wrong));
    }
  });
});

describe('slots', () => {
  it('are never given twice, free after the turn of their release, and bounded', () => {
    const command = fc.constantFrom('take', 'take', 'release', 'settle');
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), fc.nat(), (commands, chance) => {
        const table = new ConnectionTable(8);
        const taken: number[] = [];
        const releasing: number[] = [];
        for (const [i, name] of commands.entries()) {
          if (name === 'take') {
            const slot = table.take();
            assert.equal(slot < 0, taken.length + releasing.length === 8);
            if (slot >= 0) {
              assert.ok(slot < 8 && !taken.includes(slot) && !releasing.includes(slot));
              taken.push(slot);
            }
          } else if (name === 'release' && taken.length > 0) {
            const [slot] = taken.splice((chance + i) % taken.length, 1);
            table.release(slot);
            releasing.push(slot);
          } else if (name === 'settle') {
            table.settle();
            releasing.length = 0;
          }
          assert.equal(table.used, taken.length + releasing.length);
        }
      }),
    );
  });

  it('have no flags and the next generation after each use, which begins again at the end', () => {
    const table = new ConnectionTable(1);
    for (const [before, after] of [
      [0, 1],
      [1, 2],
      [GENERATIONS - 1, 0],
    ]) {
      assert.equal(table.take(), 0);
      table.generations[0] = before;
      table.flags[0] = 0xffff_ffff;
      table.release(0);
      assert.deepEqual([table.flags[0], table.generations[0]], [0, after]);
      table.settle();
    }
  });

  it('that were freed last come first', () => {
    const table = new ConnectionTable(4);
    const slots = [table.take(), table.take(), table.take()];
    table.release(slots[0]);
    table.release(slots[1]);
    assert.equal(table.take(), 3);
    table.settle();
    assert.deepEqual([table.take(), table.take(), table.take()], [slots[1], slots[0], -1]);
  });

  it('are 1 to 2^21', () => {
    for (const wrong of [0, -1, 1.5, Number.NaN, SLOTS_MAX + 1]) {
      assert.throws(() => new ConnectionTable(wrong), RangeError);
    }
    assert.equal(new ConnectionTable(SLOTS_MAX).capacity, SLOTS_MAX);
  });
});
