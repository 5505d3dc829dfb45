/** Timers of a reactor's user, in virtual time. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import fc from 'fast-check';

import { SimRig } from '../support/reactor-rig.js';

let rig: SimRig;

afterEach(() => rig.close());

it('fire in the order of their times, none early, but for those that were cleared', async () => {
  const timer = fc.record({ delay: fc.integer({ min: 0, max: 5_000 }), isCleared: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(timer, { maxLength: 12 }), async (timers) => {
      rig = SimRig.open({});
      const start = rig.world.now;
      const fired: number[] = [];
      for (const { delay, isCleared } of timers) {
        const id = rig.reactor.setTimer(delay, () => {
          assert.ok(rig.world.now - start >= delay);
          fired.push(delay);
        });
        if (isCleared) {
          rig.reactor.clearTimer(id);
          rig.reactor.clearTimer(id);
        }
      }
      await rig.pass(6_000);
      const expected = timers.filter(({ isCleared }) => !isCleared).map(({ delay }) => delay);
      assert.deepEqual(
        fired,
        expected.sort((a, b) => a - b),
      );
      await rig.close();
    }),
    { numRuns: 30 },
  );
  rig = SimRig.open({});
});

it('can set and clear others from inside', async () => {
  rig = SimRig.open({});
  const notes: string[] = [];
  const { reactor } = rig;
  reactor.setTimer(10, () => {
    notes.push('first');
    reactor.clearTimer(second);
    reactor.setTimer(0, () => notes.push('third'));
  });
  const second = reactor.setTimer(11, () => notes.push('second'));
  await rig.pass(100);
  assert.deepEqual(notes, ['first', 'third']);
});

it('that throw are told, and the others fire', async () => {
  rig = SimRig.open({});
  const notes: string[] = [];
  rig.reactor.setTimer(1, () => {
    throw new Error('as told');
  });
  rig.reactor.setTimer(2, () => notes.push('second'));
  await rig.pass(100);
  assert.deepEqual([notes, rig.warnings.map(String)], [['second'], ['Error: as told']]);
  assert.equal(rig.stats.snapshot(0).handlerErrors, 1);
});

it('refuse what is no delay and no function', () => {
  rig = SimRig.open({});
  const { reactor } = rig;
  for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 36 + 1, '5', undefined]) {
    assert.throws(() => reactor.setTimer(wrong as number, () => {}), RangeError, String(wrong));
  }
  assert.throws(() => reactor.setTimer(1, 'callback' as unknown as () => void), TypeError);
  reactor.clearTimer(reactor.setTimer(2 ** 36, () => {}));
  reactor.clearTimer(123_456);
  reactor.clearTimer(-1);
});

it('count from the time it is when they are set outside of a turn', async () => {
  rig = SimRig.open({});
  await rig.pass(10_000);
  let firedAt = 0;
  const start = rig.world.now;
  rig.reactor.setTimer(50, () => {
    firedAt = rig.world.now;
  });
  await rig.until(() => firedAt > 0);
  assert.ok(firedAt - start >= 50 && firedAt - start < 53, `${firedAt - start} ms`);
});

it('are no reason to wake up before they are due', async () => {
  rig = SimRig.open({});
  rig.reactor.setTimer(100_000, () => {});
  await rig.pass(10);
  const { turns } = rig.stats.snapshot(0);
  await rig.pass(90_000);
  assert.ok(rig.stats.snapshot(0).turns - turns <= 1);
  await rig.pass(20_000);
  assert.equal(rig.stats.snapshot(0).timersFired, 1);
});
