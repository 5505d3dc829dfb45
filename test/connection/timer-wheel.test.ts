/** The timing wheel at its edges: jumps, budgets, callbacks that change it, ticks beyond 2^32, a million timers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TIMERS_MAX, TimerWheel } from '../../src/connection/timer-wheel.js';

const ALL = Number.POSITIVE_INFINITY;

function fired(wheel: TimerWheel, now: number, budget = ALL): number[] {
  const payloads: number[] = [];
  wheel.advance(now, (payload) => payloads.push(payload), budget);
  return payloads;
}

/** Generator of 32-bit numbers (mulberry32), so that large tests are the same in each run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

test('a timer fires once, at its deadline and not before', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 1000.5 });
  const id = wheel.set(1007.2, 42);
  assert.equal(wheel.isActive(id), true);
  assert.equal(wheel.payloadOf(id), 42);
  assert.equal(wheel.deadlineOf(id), 1008);
  assert.equal(wheel.nextDeadline(), 1008);
  assert.deepEqual(fired(wheel, 1007.9), []);
  assert.deepEqual(fired(wheel, 1008), [42]);
  assert.deepEqual(fired(wheel, 2000), []);
  assert.equal(wheel.isActive(id), false);
  assert.equal(wheel.payloadOf(id), -1);
  assert.equal(wheel.deadlineOf(id), Number.POSITIVE_INFINITY);
  assert.equal(wheel.clear(id), false);
  assert.equal(wheel.reset(id, 3000), false);
  assert.equal(wheel.nextDeadline(), Number.POSITIVE_INFINITY);
});

test('a stale id does not touch the timer that uses its memory now', () => {
  const wheel = new TimerWheel({ capacityMax: 1, now: 0 });
  const first = wheel.set(5, 1);
  assert.equal(wheel.clear(first), true);
  const second = wheel.set(6, 2);
  assert.notEqual(first, second);
  assert.equal(wheel.clear(first), false);
  assert.equal(wheel.reset(first, 1), false);
  assert.deepEqual(fired(wheel, 6), [2]);
});

test('what is no id of a timer finds nothing', () => {
  const wheel = new TimerWheel({ capacityMax: 4, now: 0 });
  wheel.set(5, 1);
  for (const id of [-1, 0, 1, 383, 384, 447, 449, 2 ** 26, 2 ** 53 - 1, -(2 ** 40), 0.5]) {
    assert.equal(wheel.isActive(id), false, String(id));
    assert.equal(wheel.clear(id), false, String(id));
  }
  assert.equal(wheel.size, 1);
});

test('a full wheel refuses, counts it, and takes the next after a clear', () => {
  const wheel = new TimerWheel({ capacityMax: 3000, now: 0 });
  const ids = Array.from({ length: 3000 }, (_, i) => wheel.set(i, i));
  assert.equal(new Set(ids).size, 3000);
  assert.equal(wheel.set(1, 1), -1);
  assert.equal(wheel.refused, 1);
  assert.equal(wheel.capacity, 3000);
  assert.equal(wheel.clear(ids[1500]), true);
  assert.notEqual(wheel.set(7, 9), -1);
  assert.equal(wheel.size, 3000);
});

test('wrong options and deadlines are refused', () => {
  for (const capacityMax of [0, -1, 1.5, TIMERS_MAX + 1, Number.NaN]) {
    assert.throws(() => new TimerWheel({ capacityMax, now: 0 }), RangeError);
  }
  for (const now of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => new TimerWheel({ capacityMax: 1, now }), RangeError);
  }
  const wheel = new TimerWheel({ capacityMax: 1, now: 0 });
  assert.throws(() => wheel.set(Number.NaN, 0), RangeError);
  assert.equal(wheel.size, 0);
});

test('due timers fire oldest tick first; true says that the budget left some', () => {
  const wheel = new TimerWheel({ capacityMax: 1000, now: 0 });
  for (let i = 0; i < 100; i++) {
    wheel.set(((i * 37) % 100) * 11, ((i * 37) % 100) * 11);
  }
  const seen: number[] = [];
  let rounds = 0;
  while (wheel.advance(5000, (payload) => seen.push(payload), 7)) {
    rounds++;
    assert.ok(seen.length <= rounds * 7);
    assert.ok(wheel.nextDeadline() <= 5000);
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 100 }, (_, i) => i * 11),
  );
});

test('a budget of nothing fires nothing and says whether something is due', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 0 });
  wheel.set(10, 1);
  assert.equal(wheel.advance(9, assert.fail, 0), false);
  assert.equal(wheel.advance(10, assert.fail, 0), true);
  assert.deepEqual(fired(wheel, 10), [1]);
});

test('a timer set by a firing one for a time that is due waits for the next advance', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 0 });
  wheel.set(10, 1);
  let count = 0;
  const again = (payload: number): void => {
    count++;
    wheel.set(payload === 1 ? 5 : 20, payload + 1);
  };
  assert.equal(wheel.advance(30, again, ALL), false);
  assert.equal(count, 1);
  assert.ok(wheel.nextDeadline() <= 30);
  wheel.advance(30, again, ALL);
  assert.equal(count, 2);
  wheel.advance(30, again, ALL);
  assert.equal(count, 3);
});

test('a timer cleared by one that fires in the same advance does not fire', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 0 });
  const ids = [wheel.set(10, 0), wheel.set(10, 1), wheel.set(11, 2), wheel.set(5000, 3)];
  const seen: number[] = [];
  wheel.advance(
    6000,
    (payload) => {
      seen.push(payload);
      for (const id of ids) {
        wheel.clear(id);
      }
    },
    ALL,
  );
  assert.equal(seen.length, 1);
  assert.equal(wheel.size, 0);
});

test('a timer reset by one that fires waits for its new time, or for the next advance', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 0 });
  wheel.set(10, 0);
  const later = wheel.set(11, 1);
  const due = wheel.set(12, 2);
  const seen: number[] = [];
  wheel.advance(
    50,
    (payload) => {
      seen.push(payload);
      if (payload === 0) {
        assert.equal(wheel.reset(later, 60), true);
        assert.equal(wheel.reset(due, 49), true);
      }
    },
    ALL,
  );
  assert.deepEqual(seen, [0]);
  assert.deepEqual(fired(wheel, 50), [2]);
  assert.equal(wheel.nextDeadline(), 60);
  assert.deepEqual(fired(wheel, 60), [1]);
});

test('an error thrown by a callback costs its own timer only', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 0 });
  wheel.set(10, 0);
  wheel.set(11, 1);
  const fail = (): never => {
    wheel.set(3, 2);
    throw new Error('of the user');
  };
  assert.throws(() => wheel.advance(20, fail, ALL), /of the user/);
  assert.deepEqual(fired(wheel, 20).sort(), [1, 2]);
});

test('advance inside of advance is refused', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 0 });
  wheel.set(1, 0);
  assert.throws(() => wheel.advance(1, () => wheel.advance(2, assert.fail, 1), 1), /must not/);
});

test('a clock that goes back, or is not a number, changes nothing', () => {
  const wheel = new TimerWheel({ capacityMax: 10, now: 100 });
  wheel.set(150, 1);
  assert.deepEqual(fired(wheel, 120), []);
  assert.deepEqual(fired(wheel, 50), []);
  assert.deepEqual(fired(wheel, Number.NaN), []);
  assert.deepEqual(fired(wheel, 150), [1]);
});

test('a jump over years fires all that lies between, in order, without walking the ticks', () => {
  const wheel = new TimerWheel({ capacityMax: 100, now: 0 });
  const deadlines = [3, 64, 4095, 4096, 86_400_000, 2 ** 32, 2 ** 36 - 1, 2 ** 36, 2 ** 36 + 1];
  deadlines.push(2 ** 37 + 5, 2 ** 42, 2 ** 50);
  for (const [i, deadline] of [...deadlines.entries()].reverse()) {
    wheel.set(deadline, i);
  }
  const never = wheel.set(Number.POSITIVE_INFINITY, 99);
  assert.deepEqual(
    fired(wheel, 2 ** 51),
    deadlines.map((_, i) => i),
  );
  assert.equal(wheel.isActive(never), true);
});

test('the ticks pass 2^32 and the end of the window without a change', () => {
  for (const edge of [2 ** 32, 2 ** 36, 2 ** 40]) {
    const wheel = new TimerWheel({ capacityMax: 1000, now: edge - 100 });
    for (let i = 0; i < 200; i++) {
      wheel.set(edge - 99 + i, i);
    }
    for (let i = 0; i < 200; i++) {
      assert.ok(wheel.nextDeadline() <= edge - 99 + i);
      assert.deepEqual(fired(wheel, edge - 99 + i - 0.01), []);
      assert.deepEqual(fired(wheel, edge - 99 + i), [i]);
    }
  }
});

test('the next deadline of a few timers is exact, also after a reset to later', () => {
  const wheel = new TimerWheel({ capacityMax: 100, now: 12_345 });
  const idle = wheel.set(12_345 + 60_000, 1);
  assert.equal(wheel.nextDeadline(), 72_345);
  wheel.reset(idle, 80_000);
  // A lower bound, then exact once the old time has passed.
  assert.ok(wheel.nextDeadline() <= 80_000 && wheel.nextDeadline() >= 72_345);
  assert.deepEqual(fired(wheel, 73_728), []);
  assert.equal(wheel.nextDeadline(), 80_000);
  wheel.reset(idle, 75_000);
  assert.equal(wheel.nextDeadline(), 75_000);
  wheel.set(76_000, 2);
  wheel.clear(idle);
  assert.equal(wheel.nextDeadline(), 76_000);
});

test('sleeping until nextDeadline each time takes few wakes', () => {
  const wheel = new TimerWheel({ capacityMax: 1000, now: 0 });
  const random = generator(1);
  for (let i = 0; i < 1000; i++) {
    wheel.set(random() % 10_000_000, i);
  }
  let wakes = 0;
  let count = 0;
  for (let now = 0; wheel.size > 0; wakes++) {
    now = Math.max(now, wheel.nextDeadline());
    count += fired(wheel, now).length;
  }
  assert.equal(count, 1000);
  assert.ok(wakes < 1300, `${wakes} wakes`);
});

test('a million timers fire, each once and not early, and cascades keep to the budget', () => {
  const wheel = new TimerWheel({ capacityMax: 1_048_576, now: 0 });
  const random = generator(7);
  const deadlines = new Float64Array(1_000_000);
  for (let i = 0; i < deadlines.length; i++) {
    deadlines[i] = 60_000 + (random() % 3_000_000) / 1000;
    wheel.set(deadlines[i], i);
  }
  assert.equal(wheel.size, 1_000_000);
  let now = 0;
  let total = 0;
  let latest = 0;
  let early = 0;
  const check = (payload: number): void => {
    total++;
    early += deadlines[payload] > now ? 1 : 0;
    latest = Math.max(latest, now - deadlines[payload]);
    deadlines[payload] = Number.POSITIVE_INFINITY;
  };
  for (; now < 64_000; now += 0.7) {
    while (wheel.advance(now, check, 1000)) {
      // Again, as the reactor does in its next turn.
    }
  }
  assert.equal(total, 1_000_000);
  assert.equal(early, 0);
  assert.ok(latest < 2, `${latest} ms late`);
  assert.equal(wheel.size, 0);
});

test('moving many timers down is spread over advances; none is early or late', () => {
  const wheel = new TimerWheel({ capacityMax: 10_000, now: 0 });
  for (let i = 0; i < 1000; i++) {
    wheel.set(4096 + 1000 - i, i);
  }
  let advances = 1;
  for (; wheel.advance(4096, assert.fail, 10); advances++) {
    assert.equal(wheel.nextDeadline(), 4096);
    assert.notEqual(wheel.set(4097, 1000 + advances), -1);
  }
  assert.ok(advances > 20 && advances < 50, `${advances} advances`);
  const seen = fired(wheel, 4097);
  assert.equal(seen.length, advances);
  assert.deepEqual(fired(wheel, 4098), [998]);
  assert.equal(fired(wheel, 5096).length, 998);
});
