/** The phases of a reactor's shutdown, in virtual time. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import type { CloseReason, Connection } from '../../src/api.js';
import { drainReactor } from '../../src/engine/drain.js';
import type { PeerHabits } from '../sim/sim-peer.js';
import { SimRig } from '../support/reactor-rig.js';

let rig: SimRig;
let reasons: string[];

/** A reactor with a connection that has much to send. */
async function open(habits: PeerHabits = {}) {
  reasons = [];
  const onClose = (_connection: Connection, { code, unsentBytes }: CloseReason) =>
    void reasons.push(`${code}${unsentBytes > 0 ? ' unsent' : ''}`);
  rig = SimRig.open({ onClose }, { lingerTimeoutMs: 100_000, writeTimeoutMs: 0 });
  const { connection, peer } = await rig.connect(habits);
  connection.write(Buffer.alloc(1_000_000));
  return { connection, peer };
}

afterEach(() => rig.close());

/** Milliseconds until it is done. */
async function timeToEnd(done: Promise<void>): Promise<number> {
  const start = rig.world.now;
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  await rig.until(() => isDone);
  return rig.world.now - start;
}

it('sends what is queued, and resolves when no connection is left', async () => {
  const { peer } = await open();
  const { done } = drainReactor(rig.reactor, 10_000);
  assert.ok((await timeToEnd(done)) < 100);
  assert.deepEqual([peer.bytesReceived, peer.hasEnded, reasons], [1_000_000, true, ['shutdown']]);
  assert.equal(rig.reactor.state.timerCallbacks.size, 0, 'the deadline is left');
});

it('takes no more connections from the start', async () => {
  await open({ isReadingStopped: true });
  const drain = drainReactor(rig.reactor, 1_000);
  const late = rig.world.peer();
  late.connect(rig.url);
  await rig.until(() => late.isOver);
  assert.equal(rig.reactor.connectionCount, 1);
  await timeToEnd(drain.done);
});

it('aborts what is left at the deadline', async () => {
  await open({ isReadingStopped: true });
  const milliseconds = await timeToEnd(drainReactor(rig.reactor, 1_000).done);
  assert.ok(milliseconds >= 999 && milliseconds < 1_005, `${milliseconds} ms`);
  assert.deepEqual(reasons, ['shutdown unsent']);
});

it('hurry() brings the deadline forward, and never puts it off', async () => {
  await open({ isReadingStopped: true });
  const drain = drainReactor(rig.reactor, 1_000);
  drain.hurry(50_000);
  await rig.pass(100);
  drain.hurry(200);
  drain.hurry(300);
  const milliseconds = await timeToEnd(drain.done);
  assert.ok(milliseconds >= 190 && milliseconds < 205, `${milliseconds} ms`);
});

it('a deadline of 0 aborts soon, and one without connections does not wait', async () => {
  await open({ isReadingStopped: true });
  assert.ok((await timeToEnd(drainReactor(rig.reactor, 0).done)) < 5);
  await rig.close();
  rig = SimRig.open({});
  assert.ok((await timeToEnd(drainReactor(rig.reactor, 10_000).done)) < 5);
});
