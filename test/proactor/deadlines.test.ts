/** Deadlines: by the thousand, of any order, and while nobody takes results. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { awaitCondition, rounds } from '../support/await-condition.js';
import { summary, WatcherRig } from '../support/watcher-rig.js';

let rig: WatcherRig;
afterEach(() => rig.close());

describe('deadlines', () => {
  for (const count of [1, 1_000, 2_000, 4_000, 8_000]) {
    it(`pass ${count} at once, each once`, async () => {
      rig = await WatcherRig.open();
      const { connection } = await rig.pair();
      for (let i = 0; i < count; i += 1) {
        rig.watcher.read(connection, undefined, { deadlineMs: 10, context: i });
      }
      const outcomes = await rig.take(count);
      assert.ok(outcomes.every(({ result }) => result.error?.code === 'ERR_DEADLINE'));
      assert.deepEqual(
        outcomes.map(({ result }) => result.context),
        outcomes.map((_, i) => i),
      );
      const { operations, deadlines, results } = rig.watcher.stats;
      assert.deepEqual(
        { operations, deadlines, results },
        { operations: 0, deadlines: count, results: 0 },
      );
    });
  }

  it('pass on many connections at once', async () => {
    rig = await WatcherRig.open();
    const pairs = await rig.pairs(200);
    for (const { connection } of pairs) {
      rig.watcher.read(connection, undefined, { deadlineMs: 20 });
      rig.watcher.readFull(connection, Buffer.alloc(9), { deadlineMs: 5 });
    }
    const outcomes = await rig.take(400);
    assert.ok(outcomes.every(({ result }) => result.error?.code === 'ERR_DEADLINE'));
    assert.equal(rig.watcher.stats.operations, 0);
  });

  it('that are nearer come first, whenever they were submitted', async () => {
    rig = await WatcherRig.open();
    const { connection } = await rig.pair();
    const { watcher } = rig;
    watcher.read(connection, undefined, { deadlineMs: 3_600_000, context: 'hour' });
    watcher.read(connection, undefined, { deadlineMs: 60, context: 'later' });
    watcher.read(connection, undefined, { deadlineMs: 20, context: 'soon' });
    watcher.read(connection, undefined, { context: 'never' });
    assert.equal(summary(await rig.one()), 'read soon 0 "" ERR_DEADLINE');
    assert.equal(summary(await rig.one()), 'read later 0 "" ERR_DEADLINE');
    assert.equal(watcher.stats.operations, 2);
  });

  it('do not come before their time', async () => {
    rig = await WatcherRig.open();
    const { connection } = await rig.pair();
    for (const deadlineMs of [1, 5, 20, 50]) {
      const start = performance.now();
      rig.watcher.read(connection, undefined, { deadlineMs });
      await rig.one();
      const took = performance.now() - start;
      assert.ok(took >= deadlineMs - 0.5, `${took} ms instead of ${deadlineMs}`);
    }
  });

  it('are gone with their operation, and the next ones hold', async () => {
    rig = await WatcherRig.open();
    const { connection, peer } = await rig.pair();
    const { watcher } = rig;
    for (let i = 0; i < 50; i += 1) {
      watcher.read(connection, undefined, { deadlineMs: 3_600_000, context: i });
      await peer.send(Buffer.from('x'));
      assert.equal(summary(await rig.one()), `read ${i} 1 "x"`);
    }
    watcher.read(connection, undefined, { deadlineMs: 10, context: 'last' });
    assert.equal(summary(await rig.one()), 'read last 0 "" ERR_DEADLINE');
    assert.equal(watcher.stats.deadlines, 1);
  });

  it('of a readFull give what came', async () => {
    rig = await WatcherRig.open();
    const { connection, peer } = await rig.pair();
    await peer.send(Buffer.from('abc'));
    rig.watcher.readFull(connection, Buffer.alloc(10), { deadlineMs: 30, context: 1 });
    assert.equal(summary(await rig.one()), 'read 1 3 "abc" ERR_DEADLINE');
    // The next read starts behind that.
    rig.watcher.read(connection, undefined, { context: 2 });
    await peer.send(Buffer.from('def'));
    assert.equal(summary(await rig.one()), 'read 2 3 "def"');
  });

  it('pass while nobody takes results, though reading has stopped', async () => {
    rig = await WatcherRig.open({ resultsMax: 10 });
    const { connection, peer } = await rig.pair();
    const other = await rig.pair();
    const { watcher } = rig;
    await peer.send(Buffer.alloc(100, 'x'));
    for (let i = 0; i < 100; i += 1) {
      watcher.read(connection, Buffer.alloc(1), { context: i });
    }
    await awaitCondition(() => watcher.stats.results === 10, 'as many results as may wait');
    for (let i = 0; i < 50; i += 1) {
      watcher.read(other.connection, undefined, { deadlineMs: 10 });
    }
    await awaitCondition(() => watcher.stats.results === 60, 'the deadlines');
    await rounds(5);
    assert.equal(watcher.stats.deadlines, 50);
    assert.equal(watcher.stats.results, 60);
    // Nothing was lost when there is somebody again.
    const outcomes = await rig.take(150);
    const reads = outcomes.filter(({ result }) => result.error === undefined);
    assert.deepEqual(
      reads.map(({ result }) => result.context),
      Array.from({ length: 100 }, (_, i) => i),
    );
  });
});
