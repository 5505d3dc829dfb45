/** The mailbox on one thread: its edges, a model, and a thread that dies at each of its steps. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { highWord, joinWords, lowWord, Mailbox } from '../../src/connection/mailbox.js';

const ALL = Number.POSITIVE_INFINITY;

function kinds(mailbox: Mailbox, budget = ALL): number[] {
  const seen: number[] = [];
  mailbox.drain(budget, (kind) => seen.push(kind));
  return seen;
}

function pushKind(mailbox: Mailbox, kind: number): boolean {
  return mailbox.push(kind, 0, 0, 0, 0, 0, 0);
}

/** As if `position` messages had gone through an empty mailbox. Knows the layout in mailbox.ts. */
function startAt(mailbox: Mailbox, position: number): void {
  const words = new Int32Array(mailbox.buffer);
  const cells = mailbox.capacity * 2;
  words[16] = position % 2 ** 31;
  words[49] = position % 2 ** 31;
  new Float64Array(mailbox.buffer)[26] = position;
  words[32] = position;
  words[48] = position + mailbox.capacity;
  for (let i = 0; i < cells; i++) {
    words[96 + ((position + i) % cells)] = (position + i) % 2 ** 31;
  }
}

test('a message comes out as it went in', () => {
  const mailbox = Mailbox.create(2);
  const message = [-(2 ** 31), 2 ** 31 - 1, -1, 0, 1, 0x1234_5678, 99] as const;
  assert.equal(mailbox.push(...message), true);
  const seen: number[][] = [];
  assert.equal(
    mailbox.drain(10, (...numbers) => seen.push(numbers)),
    1,
  );
  assert.deepEqual(seen, [[...message]]);
});

test('a full mailbox refuses and counts it, until one is taken out', () => {
  const mailbox = Mailbox.create(4);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((kind) => pushKind(mailbox, kind)),
    [true, true, true, true, false],
  );
  assert.equal(mailbox.depth, 4);
  assert.equal(mailbox.refused, 1);
  assert.deepEqual(kinds(mailbox, 1), [1]);
  assert.equal(pushKind(mailbox, 6), true);
  assert.equal(pushKind(mailbox, 7), false);
  assert.deepEqual(kinds(mailbox), [2, 3, 4, 6]);
  assert.equal(mailbox.depth, 0);
  assert.equal(mailbox.pushed, 5);
  assert.equal(mailbox.highWater, 4);
});

test('two views of one memory are the same mailbox', () => {
  const mailbox = Mailbox.create();
  assert.equal(mailbox.capacity, 4096);
  const other = Mailbox.from(mailbox.buffer);
  pushKind(other, 5);
  assert.equal(mailbox.depth, 1);
  assert.deepEqual(kinds(mailbox), [5]);
  assert.equal(other.pushed, 1);
});

test('memory that is no mailbox and capacities that are no powers of two are refused', () => {
  for (const capacity of [0, 1, 3, 4095, -4, 2 ** 21, 4.5, Number.NaN]) {
    assert.throws(() => Mailbox.create(capacity), RangeError);
  }
  for (const memory of [new SharedArrayBuffer(0), new SharedArrayBuffer(4096)]) {
    assert.throws(() => Mailbox.from(memory), TypeError);
  }
  assert.throws(() => Mailbox.from(new ArrayBuffer(4096) as never), TypeError);
});

test('needsSignal is true for one producer until the consumer begins to drain', () => {
  const mailbox = Mailbox.create(8);
  const other = Mailbox.from(mailbox.buffer);
  assert.equal(mailbox.needsSignal(), true);
  assert.equal(other.needsSignal(), false);
  assert.equal(mailbox.needsSignal(), false);
  mailbox.beginDrain();
  assert.equal(other.needsSignal(), true);
});

test('a handler may push into the mailbox that is being drained, and drain it', () => {
  const mailbox = Mailbox.create(4);
  pushKind(mailbox, 1);
  pushKind(mailbox, 2);
  const seen: number[] = [];
  const n = mailbox.drain(10, (kind) => {
    seen.push(kind);
    if (kind === 1) {
      pushKind(mailbox, 3);
      seen.push(...kinds(mailbox, 1));
    }
  });
  assert.deepEqual(seen, [1, 2, 3]);
  assert.equal(n, 2);
});

test('a handler that throws loses its own message only', () => {
  const mailbox = Mailbox.create(4);
  pushKind(mailbox, 1);
  pushKind(mailbox, 2);
  const fail = (): never => {
    throw new Error('of the handler');
  };
  assert.throws(() => mailbox.drain(10, fail), /of the handler/);
  assert.deepEqual(kinds(mailbox), [2]);
  assert.equal(mailbox.pushed, 2);
});

test('an argument whose conversion throws costs a node at most', () => {
  const mailbox = Mailbox.create(4);
  const hostile = {
    valueOf() {
      throw new Error('no number');
    },
  };
  assert.throws(() => mailbox.push(1, 2, 3, 4, 5, 6, hostile as never), /no number/);
  assert.equal(mailbox.depth, 0);
  pushKind(mailbox, 7);
  assert.deepEqual(kinds(mailbox), [7]);
});

test('a closed mailbox takes nothing more, gives what it has, and can be opened again', () => {
  const mailbox = Mailbox.create(4);
  pushKind(mailbox, 1);
  mailbox.close();
  mailbox.close();
  assert.equal(mailbox.isClosed, true);
  assert.equal(pushKind(Mailbox.from(mailbox.buffer), 2), false);
  assert.equal(mailbox.refused, 0);
  assert.equal(mailbox.depth, 1);
  assert.equal(mailbox.pushed, 1);
  assert.deepEqual(kinds(mailbox), [1]);
  assert.equal(mailbox.depth, 0);
  mailbox.reopen();
  assert.equal(pushKind(mailbox, 3), true);
  assert.deepEqual(kinds(mailbox), [3]);
  assert.equal(mailbox.pushed, 2);
});

test('the positions wrap around without a change', () => {
  for (const position of [2 ** 30 - 5, 2 ** 31 - 5, 2 ** 31 * 3 - 5, 2 ** 32 - 11]) {
    const mailbox = Mailbox.create(8);
    startAt(mailbox, position);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 8; i++) {
        assert.equal(pushKind(mailbox, i), true);
        assert.equal(mailbox.depth, i + 1);
        assert.equal(mailbox.pushed, position + round * 8 + i + 1);
      }
      assert.equal(pushKind(mailbox, 8), false);
      assert.deepEqual(kinds(mailbox), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
  }
});

test('an integer of 53 bits survives being split', () => {
  const integers = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1));
  fc.assert(
    fc.property(integers, (value) => {
      const mailbox = Mailbox.create(2);
      mailbox.push(0, lowWord(value), highWord(value), 0, 0, 0, 0);
      mailbox.drain(1, (_kind, low, high) => assert.equal(joinWords(low, high), value));
    }),
  );
});

test('any sequence of operations does what an array would do', () => {
  const step = fc.record({
    kind: fc.nat(9),
    value: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  });
  const steps = fc.array(step, { maxLength: 300, size: 'max' });
  fc.assert(
    fc.property(fc.constantFrom(2, 4, 16), steps, (capacity, sequence) => {
      const mailbox = Mailbox.create(capacity);
      const model: number[] = [];
      let open = true;
      let pushed = 0;
      for (const { kind, value } of sequence) {
        if (kind === 0) {
          mailbox.close();
          open = false;
        } else if (kind === 1) {
          mailbox.reopen();
          open = true;
        } else if (kind < 4) {
          const budget = Math.abs(value) % 5;
          assert.deepEqual(kinds(mailbox, budget), model.splice(0, budget));
        } else {
          const fits: boolean = open && model.length < capacity;
          assert.equal(pushKind(mailbox, value), fits);
          if (fits) {
            model.push(value);
            pushed++;
          }
        }
        assert.equal(mailbox.depth, model.length);
        assert.equal(mailbox.pushed, pushed);
        assert.equal(mailbox.isClosed, !open);
      }
    }),
  );
});

/**
 * Runs `work` as a thread that is terminated at its n-th atomic operation, before or after its effect. False when there
 * was no such operation, so that `work` came to its end.
 */
function dieAt(n: number, afterEffect: boolean, work: () => void): boolean {
  const names = ['load', 'store', 'add', 'compareExchange'] as const;
  const originals = names.map((name) => Atomics[name]);
  const death = new Error('terminated');
  let left = n;
  for (const [i, name] of names.entries()) {
    const original = originals[i] as (...values: unknown[]) => number;
    Atomics[name] = (...values: unknown[]): never => {
      left--;
      if (left === 0 && !afterEffect) {
        throw death;
      }
      const result = original(...values);
      if (left === 0) {
        throw death;
      }
      return result as never;
    };
  }
  try {
    work();
    return false;
  } catch (error) {
    assert.equal(error, death);
    return true;
  } finally {
    for (const [i, name] of names.entries()) {
      Atomics[name] = originals[i] as never;
    }
  }
}

test('a producer may die at each of its steps: the others go on, and one node is lost at most', () => {
  for (const filled of [0, 1, 3, 4]) {
    for (const afterEffect of [false, true]) {
      for (let step = 1; ; step++) {
        const mailbox = Mailbox.create(4);
        startAt(mailbox, 13);
        for (let i = 0; i < filled; i++) {
          pushKind(mailbox, i);
        }
        const died = dieAt(step, afterEffect, () => pushKind(Mailbox.from(mailbox.buffer), 99));
        const expected = Array.from({ length: filled }, (_, i) => i);
        const seen = kinds(mailbox);
        assert.deepEqual(seen.slice(0, filled), expected);
        assert.ok(seen.length === filled || (seen.length === filled + 1 && seen[filled] === 99));
        assert.ok(mailbox.lost <= 1);
        for (let round = 0; round < 20; round++) {
          for (const kind of [7, 8, 9]) {
            assert.equal(pushKind(mailbox, kind), true);
          }
          assert.equal(mailbox.depth, 3);
          assert.deepEqual(kinds(mailbox), [7, 8, 9]);
        }
        assert.equal(mailbox.pushed, 13 + seen.length + 60);
        if (!died) {
          break;
        }
      }
    }
  }
});

test('a consumer may die at each of its steps: the next one gets all but one message, none twice', () => {
  for (const afterEffect of [false, true]) {
    for (let step = 1; ; step++) {
      const mailbox = Mailbox.create(4);
      startAt(mailbox, 6);
      const seen: number[] = [];
      for (const kind of [1, 2, 3, 4]) {
        pushKind(mailbox, kind);
      }
      const died = dieAt(step, afterEffect, () => mailbox.drain(3, (kind) => seen.push(kind)));
      const successor = Mailbox.from(mailbox.buffer);
      successor.close();
      seen.push(...kinds(successor));
      assert.ok(seen.length >= 3);
      assert.deepEqual(
        seen,
        [1, 2, 3, 4].filter((kind) => seen.includes(kind)),
      );
      successor.reopen();
      for (let round = 0; round < 20; round++) {
        assert.equal(pushKind(mailbox, 5), true);
        assert.deepEqual(kinds(successor), [5]);
      }
      assert.ok(mailbox.lost <= 1);
      if (!died) {
        break;
      }
    }
  }
});

test('a thread may die at each step of closing', () => {
  for (const afterEffect of [false, true]) {
    for (let step = 1; ; step++) {
      const mailbox = Mailbox.create(2);
      pushKind(mailbox, 1);
      pushKind(mailbox, 2);
      const died = dieAt(step, afterEffect, () => mailbox.close());
      mailbox.close();
      assert.deepEqual(kinds(mailbox), [1, 2]);
      assert.equal(pushKind(mailbox, 3), false);
      if (!died) {
        break;
      }
    }
  }
});
