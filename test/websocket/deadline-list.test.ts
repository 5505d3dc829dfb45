/** websocket/deadline-list: on a reactor whose clock the test moves. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { Reactor } from '../../src/index.js';
import { type Deadlined, DeadlineList } from '../../src/websocket/deadline-list.js';

class Clock {
  now = 1_000.5;
  timers = new Map<number, { at: number; callback: () => void }>();
  #next = 1;

  setTimer(milliseconds: number, callback: () => void): number {
    this.timers.set(this.#next, { at: this.now + milliseconds, callback });
    this.#next += 1;
    return this.#next - 1;
  }

  clearTimer(id: number): void {
    this.timers.delete(id);
  }

  advance(milliseconds: number): void {
    this.now += milliseconds;
    for (let isDone = false; !isDone; ) {
      const due = [...this.timers].find(([, { at }]) => at <= this.now);
      isDone = due === undefined;
      if (due !== undefined) {
        this.timers.delete(due[0]);
        due[1].callback();
      }
    }
  }
}

class Item implements Deadlined {
  previous: Deadlined | undefined = undefined;
  next: Deadlined | undefined = undefined;
  deadline = 0;
  readonly name: number;

  constructor(name: number) {
    this.name = name;
  }
}

function rig(delayMs: number, onDue?: (item: Item) => void) {
  const clock = new Clock();
  const due: number[] = [];
  const list = new DeadlineList<Item>(clock as unknown as Reactor, delayMs, (item) => {
    due.push(item.name);
    onDue?.(item);
  });
  return { clock, due, list };
}

test('items are due in their order, each after the delay, and not if they were removed', () => {
  const { clock, due, list } = rig(100);
  const items = [0, 1, 2, 3, 4].map((name) => new Item(name));
  for (const item of items) {
    list.add(item);
    clock.advance(10);
  }
  list.remove(items[1]!);
  list.remove(items[1]!);
  clock.advance(49);
  assert.deepEqual(due, []);
  clock.advance(2);
  assert.deepEqual(due, [0]);
  assert.deepEqual(
    [...list].map(({ name }) => name),
    [2, 3, 4],
  );
  clock.advance(100);
  assert.deepEqual(due, [0, 2, 3, 4]);
  assert.equal(clock.timers.size, 0, 'an empty list has no timer');
});

test('one timer serves all, and none is left when the last item goes', () => {
  const { clock, list } = rig(100);
  const items = Array.from({ length: 1_000 }, (_, name) => new Item(name));
  for (const item of items) list.add(item);
  assert.equal(clock.timers.size, 1);
  for (const item of items) list.remove(item);
  assert.equal(clock.timers.size, 0);
});

test('more than a budget at once come in several turns; a delay of 0 is never', () => {
  const { clock, due, list } = rig(10);
  for (let i = 0; i < 2_500; i += 1) list.add(new Item(i));
  clock.advance(20);
  assert.equal(due.length, 2_500);
  const never = rig(0);
  never.list.add(new Item(1));
  never.clock.advance(1e9);
  assert.deepEqual(never.due, []);
});

test('what is due may be added again, and a hook that throws does not stop the others', () => {
  const again = rig(10, (item) => again.list.add(item));
  again.list.add(new Item(7));
  for (let i = 0; i < 5; i += 1) again.clock.advance(11);
  assert.deepEqual(again.due, [7, 7, 7, 7, 7]);
  const throwing = rig(10, (item) => {
    if (item.name === 0) throw new Error('a hook');
  });
  throwing.list.add(new Item(0));
  throwing.list.add(new Item(1));
  assert.throws(() => throwing.clock.advance(20), /a hook/);
  throwing.clock.advance(1);
  assert.deepEqual(throwing.due, [0, 1]);
});

test('any order of adding, removing and waiting: the same as a plain list', () => {
  const step = fc.tuple(fc.constantFrom('add', 'remove', 'wait'), fc.nat(9));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, due, list } = rig(10);
      const items = Array.from({ length: 10 }, (_, name) => new Item(name));
      let model: { name: number; at: number }[] = [];
      const expected: number[] = [];
      for (const [what, n] of steps) {
        if (what === 'add' && items[n]!.deadline === 0) {
          list.add(items[n]!);
          model.push({ name: n, at: Math.ceil(clock.now + 10) });
        } else if (what === 'remove') {
          list.remove(items[n]!);
          model = model.filter(({ name }) => name !== n);
        } else if (what === 'wait') {
          clock.advance(n);
          expected.push(...model.filter(({ at }) => at <= clock.now).map(({ name }) => name));
          model = model.filter(({ at }) => at > clock.now);
        }
        assert.deepEqual(
          [...list].map(({ name }) => name),
          model.map(({ name }) => name),
        );
      }
      assert.deepEqual(due, expected);
    }),
    { numRuns: 1_000 },
  );
});
