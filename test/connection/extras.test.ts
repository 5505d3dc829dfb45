/** What only some connections have. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import { HAS_EXTRAS } from '../../src/connection/connection-table.js';
import { extrasOf } from '../../src/connection/extras.js';
import { SimRig } from '../support/reactor-rig.js';

let rig: SimRig;

afterEach(() => rig.close());

it('a connection has none until they are asked for, then always the same', async () => {
  rig = SimRig.open({});
  const { connection } = await rig.connect();
  const { state } = rig.reactor;
  assert.equal(state.extras.size, 0);
  const extras = extrasOf(state, connection.slot);
  assert.equal(extrasOf(state, connection.slot), extras);
  assert.notEqual(state.table.flags[connection.slot] & HAS_EXTRAS, 0);
  assert.deepEqual(
    [extras.timers.size, extras.waiters, extras.sources, extras.consumer],
    [0, [], [], undefined],
  );
});

it('end with the connection, and the next one of the slot has none', async () => {
  rig = SimRig.open({});
  const { connection } = await rig.connect();
  const { state } = rig.reactor;
  const { slot } = connection;
  const answers: unknown[] = [];
  const extras = extrasOf(state, slot);
  extras.waiters.push((isDrained) => answers.push(isDrained));
  extras.consumer = {
    keepsHalfOpen: false,
    push() {},
    end() {},
    close: ({ code }) => void answers.push(code),
  };
  connection.setTimer(1_000_000, () => {});
  connection.abort();
  await rig.until(() => connection.slot < 0);
  assert.deepEqual(answers, [false, 'aborted']);
  assert.deepEqual([state.extras.size, state.timerCallbacks.size, state.wheel.size], [0, 0, 0]);
  const next = (await rig.connect()).connection;
  assert.equal(next.slot, slot);
  assert.equal(state.table.flags[slot] & HAS_EXTRAS, 0);
});

it('forget timers that were cleared', async () => {
  rig = SimRig.open({});
  const { connection } = await rig.connect();
  for (let i = 0; i < 100; i += 1) {
    connection.clearTimer(connection.setTimer(1_000_000, () => {}));
  }
  assert.equal(extrasOf(rig.reactor.state, connection.slot).timers.size, 0);
});
