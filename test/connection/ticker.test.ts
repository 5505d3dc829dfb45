/** onTick, in virtual time. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import type { Handler } from '../../src/api.js';
import { SimRig } from '../support/reactor-rig.js';

let rig: SimRig;

afterEach(() => rig.close());

/** Starts ticks that answer with `answers`, one after the other; answers the times at which they came. */
function start(answers: unknown[]): number[] {
  const times: number[] = [];
  const handler: Handler = {
    onTick(reactor) {
      assert.equal(reactor, rig.reactor);
      times.push(rig.world.now);
      const answer = answers[times.length - 1];
      if (answer instanceof Error) {
        throw answer;
      }
      return answer as number;
    },
  };
  rig = SimRig.open(handler);
  rig.reactor.startTicks();
  return times;
}

it('comes at once, then after each delay that it returns', async () => {
  const times = start([100, 0, 50]);
  const [first] = times;
  await rig.pass(1_000);
  const delays = times.map((time) => time - first);
  assert.equal(delays.length, 4);
  for (const [i, expected] of [0, 100, 100, 150].entries()) {
    assert.ok(delays[i] >= expected && delays[i] < expected + 5, delays.join());
  }
});

it('comes no more after an answer that is no delay, or an error, which is told', async () => {
  for (const answer of [undefined, -1, Number.NaN, 'none', new Error('as told')]) {
    const times = start([10, answer]);
    await rig.pass(1_000);
    assert.equal(times.length, 2, String(answer));
    assert.deepEqual(rig.warnings, answer instanceof Error ? [answer] : []);
    await rig.close();
  }
  start([]);
});

it('may ask for the shutdown of the server', async () => {
  start([10, 'shutdown']);
  await rig.pass(1_000);
  assert.equal(rig.shutdowns, 1);
});

it('comes no more once the reactor is destroyed, also when it ends it itself', async () => {
  let ticks = 0;
  rig = SimRig.open({
    onTick() {
      ticks += 1;
      return 10;
    },
  });
  rig.reactor.startTicks();
  await rig.pass(15);
  rig.free();
  assert.equal(rig.reactor.state.timerCallbacks.size, 0);
  rig.reactor.startTicks();
  assert.equal(ticks, 2);
  start([]);
});
