/** The timing wheel against a simple model: a map of deadlines. Any sequence of operations, also from callbacks. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { TimerWheel } from '../../src/connection/timer-wheel.js';

const ALL = Number.POSITIVE_INFINITY;
const SLOTS_MAX = 200;

interface ModelTimer {
  id: number;
  tick: number;
  /** Whether the deadline lay ahead when it was set, so that its place in the order is known. */
  ahead: boolean;
}

interface Operation {
  kind: 'set' | 'reset' | 'clear' | 'advance';
  which: number;
  delay: number;
  budget: number;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom<Operation['kind'][]>('set', 'set', 'reset', 'reset', 'clear', 'advance'),
  which: fc.nat(1_000_000),
  delay: fc.oneof(
    fc.double({ min: -5, max: 20, noNaN: true }),
    fc.double({ min: 0, max: 300, noNaN: true }),
    fc.integer({ min: 0, max: 10_000_000 }),
    fc.constantFrom(63, 64, 65, 4095, 4096, 4097, 2 ** 24, 2 ** 36 - 1, 2 ** 36, 2 ** 40),
  ),
  budget: fc.oneof(fc.nat(5), fc.constant(ALL)),
});

class Model {
  readonly wheel: TimerWheel;
  readonly timers = new Map<number, ModelTimer>();
  readonly gone: number[] = [];
  now: number;
  readonly #isBySlot: boolean;
  #payload = 0;

  constructor(now: number, isBySlot: boolean) {
    this.now = now;
    this.#isBySlot = isBySlot;
    this.wheel = new TimerWheel(isBySlot ? { slots: SLOTS_MAX, now } : { capacityMax: 5000, now });
  }

  /** Slots are used again soon. */
  nextPayload(): number {
    let payload = this.#payload++;
    while (this.#isBySlot && (payload >= SLOTS_MAX || this.timers.has(payload))) {
      payload = payload >= SLOTS_MAX ? 0 : payload + 1;
    }
    return payload;
  }

  /** By slot, nothing is further away than 49 days. */
  within(delay: number): number {
    return this.#isBySlot ? Math.min(delay, 2 ** 24) : delay;
  }

  pick(which: number): ModelTimer | undefined {
    const all = [...this.timers.values()];
    return all.length === 0 ? undefined : all[which % all.length];
  }

  set(delay: number): void {
    const deadline = this.now + this.within(delay);
    const payload = this.nextPayload();
    const id = this.wheel.set(deadline, payload);
    assert.notEqual(id, -1);
    const tick = Math.ceil(deadline);
    this.timers.set(payload, { id, tick, ahead: tick > this.now });
  }

  reset(which: number, delay: number): void {
    const timer = this.pick(which);
    if (timer !== undefined) {
      const deadline = this.now + this.within(delay);
      timer.tick = Math.ceil(deadline);
      timer.ahead = timer.tick > this.now;
      assert.equal(this.wheel.reset(timer.id, deadline), true);
    }
  }

  clear(which: number): void {
    const timer = this.pick(which);
    if (timer !== undefined) {
      assert.equal(this.wheel.clear(timer.id), true);
      this.forget(this.wheel, timer);
    }
  }

  forget(wheel: TimerWheel, timer: ModelTimer): void {
    for (const [payload, other] of this.timers) {
      if (other === timer) {
        this.timers.delete(payload);
      }
    }
    assert.equal(wheel.isActive(timer.id), false);
    this.gone.push(timer.id);
  }

  /** Advances; the firing callbacks do the operations in `inside`. */
  advance(delay: number, budget: number, inside: Operation[]): void {
    this.now += Math.max(0, this.within(delay));
    const due = new Set<number>();
    for (const [payload, timer] of this.timers) {
      if (timer.tick <= this.now) {
        due.add(payload);
      }
    }
    let order = 0;
    let count = 0;
    const fire = (payload: number, id: number): void => {
      const timer = this.timers.get(payload);
      assert.ok(timer !== undefined, 'fired though it was not set');
      assert.ok(due.has(payload), 'fired in the advance in which it was set');
      assert.equal(timer.id, id);
      assert.ok(timer.tick <= this.now, 'fired early');
      if (timer.ahead) {
        assert.ok(timer.tick >= order, 'fired out of order');
        order = timer.tick;
      }
      count++;
      this.forget(this.wheel, timer);
      const next = inside.shift();
      if (next !== undefined) {
        const before = next.kind === 'reset' ? this.pick(next.which) : undefined;
        this.apply(next, []);
        for (const [other, reset] of this.timers) {
          if (reset === before) {
            due.delete(other);
          }
        }
      }
    };
    const more = this.wheel.advance(this.now, fire, budget);
    assert.ok(count <= budget);
    if (!more) {
      for (const payload of due) {
        assert.equal(this.timers.has(payload), false, 'due and not fired');
      }
    }
  }

  apply(step: Operation, inside: Operation[]): void {
    if (step.kind === 'set') {
      this.set(step.delay);
    } else if (step.kind === 'reset') {
      this.reset(step.which, step.delay);
    } else if (step.kind === 'clear') {
      this.clear(step.which);
    } else {
      this.advance(step.delay, step.budget, inside);
    }
  }

  check(): void {
    assert.equal(this.wheel.size, this.timers.size);
    let earliest = Number.POSITIVE_INFINITY;
    for (const timer of this.timers.values()) {
      assert.equal(this.wheel.isActive(timer.id), true);
      earliest = Math.min(earliest, timer.tick);
    }
    const next = this.wheel.nextDeadline();
    assert.ok(next <= Math.max(earliest, this.now), `${next} is after ${earliest}`);
    assert.equal(next === Number.POSITIVE_INFINITY, this.timers.size === 0);
    for (const id of this.gone) {
      const isUsedAgain = this.#isBySlot && this.timers.has(id);
      assert.equal(this.wheel.isActive(id), isUsedAgain);
    }
  }
}

for (const isBySlot of [false, true]) {
  const what = isBySlot ? 'by slot' : 'by id';
  test(`any sequence of operations does what a sorted list would do, ${what}`, () => {
    check(isBySlot);
  });
}

function check(isBySlot: boolean): void {
  const starts = fc.constantFrom(0, 0.25, 4090.5, 2 ** 32 - 20, 2 ** 36 - 100, 2 ** 48 + 0.5);
  const steps = fc.array(
    fc.record({ step: operation, inside: fc.array(operation, { maxLength: 4, size: 'max' }) }),
    { maxLength: 120, size: 'max' },
  );
  fc.assert(
    fc.property(starts, steps, (now, sequence) => {
      const model = new Model(now, isBySlot);
      for (const { step, inside } of sequence) {
        // Inside of a callback nothing may advance.
        model.apply(
          step,
          inside.filter((one) => one.kind !== 'advance'),
        );
        model.check();
      }
      let rounds = 0;
      do {
        model.advance(2 ** 41, 50, []);
        rounds++;
      } while (model.timers.size > 0 && rounds < 100);
      model.check();
      assert.equal(model.timers.size, 0);
    }),
    { numRuns: 300 },
  );
}
