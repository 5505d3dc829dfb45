/** A reactor's counters: shared memory, snapshots, sums, and reads while another thread writes. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import {
  Counter,
  type CounterName,
  combine,
  Hook,
  ReactorStats,
  serverStats,
} from '../../src/connection/stats.js';

const NAMES = Object.keys(Counter) as CounterName[];

test('each counter has a place of its own', () => {
  assert.deepEqual(
    NAMES.map((name) => Counter[name]).sort((a, b) => a - b),
    NAMES.map((_, i) => i),
  );
  const stats = ReactorStats.create();
  for (const name of NAMES) {
    stats.add(Counter[name], Counter[name] + 1);
  }
  stats.batchSize.record(5);
  stats.turnMicroseconds.record(6);
  stats.loopLagMicroseconds.record(7);
  stats.enterHook(Hook.onData, 9);
  stats.beginTurn(123.5);
  const snapshot = stats.snapshot(3);
  for (const name of NAMES) {
    assert.equal(snapshot[name], Counter[name] + 1, name);
    assert.equal(stats.get(Counter[name]), Counter[name] + 1, name);
  }
  assert.equal(snapshot.batchSize.max, 5);
  assert.equal(snapshot.turnMicroseconds.max, 6);
  assert.equal(snapshot.loopLagMicroseconds.max, 7);
  const { index, turnStartedAt, hook, slot } = snapshot;
  assert.deepEqual(
    { index, turnStartedAt, hook, slot },
    { index: 3, turnStartedAt: 123.5, hook: 'onData', slot: 9 },
  );
});

test('another view of the memory sees the same', () => {
  const stats = ReactorStats.create();
  const other = ReactorStats.from(stats.buffer);
  assert.equal(other.slot, -1);
  stats.add(Counter.bytesReceived, 2 ** 40);
  stats.add(Counter.connections, 3);
  stats.add(Counter.connections, -1);
  stats.set(Counter.driverCalls, 77);
  stats.beginTurn(10);
  stats.enterHook(Hook.timer, 4);
  assert.equal(other.get(Counter.bytesReceived), 2 ** 40);
  assert.equal(other.get(Counter.connections), 2);
  assert.equal(other.turnStartedAt, 10);
  assert.equal(other.hook, 'timer');
  assert.equal(other.slot, 4);
  stats.leaveHook();
  stats.endTurn();
  assert.equal(other.turnStartedAt, 0);
  assert.equal(other.hook, 'none');
  assert.equal(other.slot, -1);
  assert.deepEqual(other.snapshot(0), stats.snapshot(0));
});

test('memory that is not of a reactor is refused', () => {
  assert.throws(() => ReactorStats.from(new SharedArrayBuffer(64)), TypeError);
  assert.throws(() => ReactorStats.from(new ArrayBuffer(64) as never), TypeError);
});

test('a successor starts with gauges at zero and goes on with the totals', () => {
  const stats = ReactorStats.create();
  for (const name of NAMES) {
    stats.set(Counter[name], 5);
  }
  stats.beginTurn(1);
  stats.enterHook(Hook.onOpen, 2);
  stats.reset();
  const zeroed = NAMES.filter((name) => stats.get(Counter[name]) === 0);
  const gauges = ['blockBytes', 'connections', 'datagramSockets', 'queuedBytes', 'sessions'];
  assert.deepEqual(zeroed.sort(), gauges);
  assert.equal(stats.turnStartedAt, 0);
  assert.equal(stats.hook, 'none');
  assert.equal(stats.slot, -1);
});

test('the totals of a server are the sums of its reactors, with joint histograms', () => {
  const reactors = [ReactorStats.create(), ReactorStats.create()];
  for (const [i, stats] of reactors.entries()) {
    stats.add(Counter.opened, 10 + i);
    stats.add(Counter.queuedBytes, 100 * (i + 1));
    stats.batchSize.record(i + 1);
  }
  const { totals, reactors: snapshots } = serverStats(reactors);
  assert.equal(totals.opened, 21);
  assert.equal(totals.queuedBytes, 300);
  assert.equal(totals.batchSize.count, 2);
  assert.equal(totals.batchSize.mean, 1.5);
  assert.deepEqual(
    snapshots.map(({ index, opened }) => [index, opened]),
    [
      [0, 10],
      [1, 11],
    ],
  );
  assert.equal(combine([]).opened, 0);
});

test('a snapshot is plain data', () => {
  const stats = ReactorStats.create();
  stats.turnMicroseconds.record(1000);
  const snapshot = serverStats([stats]);
  assert.deepEqual(structuredClone(snapshot), snapshot);
  assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot);
});

test('a read while another thread writes is never torn', async () => {
  const stats = ReactorStats.create();
  // Both differ in every byte, so that a mix of them is a third number.
  const bits = new BigUint64Array([0x4111_1111_1111_1111n, 0x3eee_eeee_eeee_eeeen]);
  const values = [...new Float64Array(bits.buffer)];
  stats.set(Counter.bytesSent, values[0]);
  const worker = new Worker(new URL('./stats-writer.js', import.meta.url), {
    workerData: { buffer: stats.buffer, values },
  });
  const exit = once(worker, 'exit');
  await once(worker, 'message');
  const seen = new Map<number, number>();
  for (let i = 0; i < 3_000_000; i++) {
    const value = stats.get(Counter.bytesSent);
    seen.set(value, (seen.get(value) ?? 0) + 1);
  }
  stats.set(Counter.turns, 1);
  await exit;
  for (const value of seen.keys()) {
    assert.ok(values.includes(value), `${value} was never written`);
  }
});
