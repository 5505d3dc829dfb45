/** Timers by slot, beside what timer-wheel-model.test.ts shows of them: the edges of their ticks, and their memory. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TimerWheel } from '../../src/connection/timer-wheel.js';

const ALL = Number.POSITIVE_INFINITY;
const WRAP = 2 ** 32 - 1;

test('a tick is exact wherever the wheel is, and as far ahead as 49 days', () => {
  for (const now of [0, 1, WRAP - 1, WRAP, WRAP + 1, 3 * WRAP - 7, 2 ** 45 + 5]) {
    for (const ahead of [0, 1, 4_096, 2 ** 31, 2 ** 32 - 3, 2 ** 32 - 2]) {
      const wheel = new TimerWheel({ slots: 4, now });
      assert.equal(wheel.set(now + ahead, 3), 3);
      assert.equal(wheel.deadlineOf(3), now + ahead);
      const fired: number[] = [];
      wheel.advance(now + ahead - 1, (slot) => fired.push(slot), ALL);
      assert.equal(fired.length, 0);
      wheel.advance(now + ahead, (slot) => fired.push(slot), ALL);
      assert.deepEqual(fired, [3]);
      assert.equal(wheel.isActive(3), false);
    }
  }
});

test('what is further away comes earlier, never later', () => {
  const wheel = new TimerWheel({ slots: 1, now: 100 });
  wheel.set(100 + 2 ** 40, 0);
  assert.equal(wheel.deadlineOf(0), 100 + 2 ** 32 - 2);
});

test('what is set for the past while an advance jumps ahead waits for the next one', () => {
  const wheel = new TimerWheel({ slots: 2, now: 0 });
  wheel.set(10, 0);
  const fired: number[] = [];
  // A machine that slept for 80 days.
  const late = 2 ** 32 + 2 ** 31;
  const fire = (slot: number): void => {
    fired.push(slot);
    if (fired.length === 1) {
      wheel.set(12, 1);
    }
  };
  wheel.advance(late, fire, ALL);
  assert.deepEqual(fired, [0]);
  assert.ok(wheel.nextDeadline() <= late);
  wheel.advance(late, fire, ALL);
  assert.deepEqual(fired, [0, 1]);
});

test('memory that is given back takes no timer along', () => {
  const wheel = new TimerWheel({ slots: 1_000, now: 0 });
  for (let slot = 0; slot < 1_000; slot++) {
    wheel.set(50 + slot, slot);
  }
  for (let slot = 10; slot < 1_000; slot++) {
    assert.equal(wheel.clear(slot), true);
    assert.equal(wheel.clear(slot), false);
  }
  wheel.trim(10);
  assert.equal(wheel.size, 10);
  wheel.set(5, 999);
  const fired: number[] = [];
  wheel.advance(1_000, (slot) => fired.push(slot), ALL);
  assert.deepEqual(fired, [999, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
