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
  TIMEOUT_MAX_MS,
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

describe('the memory of a table', () => {
  it('is given back when the slots in use are few and low, and what these have stays', () => {
    const table = new ConnectionTable(1_000, 100);
    const slots = Array.from({ length: 400 }, () => table.take());
    for (const slot of slots) {
      table.flags[slot] = slot + 1;
      table.corkDepths[slot] = slot + 2;
      table.hardDeadlines[slot] = slot + 0.5;
      table.addReceived(slot, slot + 3);
      table.noteSent(slot, slot + 4);
    }
    for (const slot of slots.slice(60)) {
      table.release(slot);
    }
    assert.equal(table.settle(), false);
    table.release(7);
    for (const slot of slots.slice(50, 60)) {
      table.release(slot);
    }
    assert.equal(table.settle(), true);
    assert.equal(table.trim(), 50);
    assert.equal(table.used, 49);
    for (const slot of slots.slice(0, 50).filter((slot) => slot !== 7)) {
      assert.deepEqual(
        [table.flags[slot], table.corkDepths[slot], table.hardDeadlines[slot]],
        [slot + 1, slot + 2, slot + 0.5],
      );
      assert.deepEqual(
        [table.bytesReceived(slot), table.lastSent(slot, 1_000)],
        [slot + 3, slot + 4],
      );
    }
    assert.deepEqual(
      [table.flags[399], table.hardDeadlines[399], table.bytesReceived(399)],
      [0, 0, 0],
    );
    // Ids of former uses stay what they were: the generations go on.
    assert.deepEqual([table.generations[7], table.generations[399]], [1, 1]);
    assert.deepEqual([table.take(), table.take(), table.take()], [7, 50, 51]);
  });

  it('stays while a high slot is in use, and is looked at again when half of the others are gone', () => {
    const table = new ConnectionTable(1_000, 100);
    const slots = Array.from({ length: 400 }, () => table.take());
    const release = (list: readonly number[]) => {
      for (const slot of list) {
        table.release(slot);
      }
      return table.settle();
    };
    assert.equal(release(slots.slice(40, 399)), true);
    assert.equal(table.trim(), -1);
    assert.equal(release(slots.slice(20, 30)), false);
    assert.equal(release(slots.slice(10, 20)), false);
    assert.equal(release([...slots.slice(0, 1), 399]), true);
    assert.equal(table.trim(), 40);
  });

  it('is left alone where few slots were ever in use', () => {
    const table = new ConnectionTable(1_000, 100);
    const slots = Array.from({ length: 99 }, () => table.take());
    for (const slot of slots) {
      table.release(slot);
    }
    assert.equal(table.settle(), false);
  });
});

describe('byte counts', () => {
  it('go on beyond 2^32, and begin at 0 in the next use of the slot', () => {
    const table = new ConnectionTable(2);
    for (let i = 0; i < 9; i += 1) {
      table.addReceived(1, 2 ** 31 - 1);
      table.addSent(1, 2 ** 31);
    }
    assert.equal(table.bytesReceived(1), 9 * (2 ** 31 - 1));
    assert.equal(table.bytesSent(1), 9 * 2 ** 31);
    assert.equal(table.bytesSent(0), 0);
    table.resetBytes(1);
    assert.deepEqual([table.bytesReceived(1), table.bytesSent(1)], [0, 0]);
  });
});

describe('times', () => {
  it('come back rounded up to milliseconds, for as long as the longest timeout', () => {
    const table = new ConnectionTable(1);
    const time = fc.double({ min: 0, max: 2 ** 50, noNaN: true });
    fc.assert(
      fc.property(time, fc.integer({ min: 0, max: TIMEOUT_MAX_MS }), (then, elapsed) => {
        table.noteReceived(0, then);
        assert.equal(table.lastReceived(0, then), Math.ceil(then));
        assert.equal(table.lastReceived(0, then + elapsed), Math.ceil(then));
      }),
    );
  });
});
