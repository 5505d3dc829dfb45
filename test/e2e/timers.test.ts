/** Timers of connections and reactors: in order, once, never after their connection, and never in the others' way. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { createWorld, endWorlds } from '../support/timed-world.js';

afterEach(endWorlds);

it('thousands of timers of one tick all fire, once', async () => {
  const { reactor, inTurn } = await createWorld();
  const fired = new Array<number>(8_000).fill(0);
  await inTurn(() => {
    for (let i = 0; i < fired.length; i += 1) {
      reactor.setTimer(3, () => {
        fired[i]! += 1;
      });
    }
  });
  await awaitCondition(() => fired.every((count) => count > 0), 'all timers');
  await rounds(5);
  assert.ok(fired.every((count) => count === 1));
});

describe('timers of a connection', () => {
  it('call back with the connection, in the order of their times', async () => {
    const world = await createWorld();
    const { connection } = await world.pair();
    const fired: string[] = [];
    const note = (name: string) => (given: Connection) => {
      fired.push(given === connection ? name : 'somebody else');
    };
    await world.inTurn(() => {
      connection.setTimer(9, note('third'));
      connection.setTimer(3, note('first'));
      connection.setTimer(6, note('second'));
    });
    await awaitCondition(() => fired.length === 3, 'the timers');
    assert.deepEqual(fired, ['first', 'second', 'third']);
  });

  it('can be cleared, early, late and twice', async () => {
    const world = await createWorld();
    const { connection } = await world.pair();
    const fired: number[] = [];
    const timer = connection.setTimer(3, () => fired.push(1));
    connection.clearTimer(timer);
    connection.clearTimer(timer);
    const own: number = connection.setTimer(3, () => {
      fired.push(2);
      connection.clearTimer(own);
    });
    await world.after(20);
    assert.deepEqual(fired, [2]);
    connection.clearTimer(own);
    connection.clearTimer(-1);
  });

  it('set again from their own callback they do not starve the connections', async () => {
    const world = await createWorld(
      {},
      { onData: (connection, bytes) => void connection.write(bytes) },
    );
    const { peer, connection } = await world.pair();
    let ticks = 0;
    const tick = () => {
      ticks += 1;
      connection.setTimer(0, tick);
    };
    tick();
    while (ticks < 50) {
      peer.send('ping');
      await peer.read(4);
    }
  });

  it('refuse what is no delay or no function', async () => {
    const world = await createWorld();
    const { connection } = await world.pair();
    for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 37]) {
      assert.throws(() => connection.setTimer(wrong, () => {}), RangeError);
    }
    assert.throws(() => connection.setTimer(1, 'soon' as unknown as () => void), TypeError);
  });
});
