/** Free and close: in every state, with and without pending operations, and what comes afterwards. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { awaitCondition, settled } from '../support/await-condition.js';
import { noise } from '../support/noise.js';
import { type Pair, summary, WatcherRig } from '../support/watcher-rig.js';

let rig: WatcherRig;
let pair: Pair;

beforeEach(async () => {
  rig = await WatcherRig.open({}, { lingerTimeoutMs: 1_000 });
  pair = await rig.pair({ receiveBufferBytes: 16_384 });
});
afterEach(() => rig.close());

describe('free', () => {
  it('completes pending operations with ERR_FREED and sends FIN', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    watcher.read(connection, undefined, { context: 1 });
    watcher.readFull(connection, Buffer.alloc(3), { context: 2 });
    assert.equal(watcher.free(connection), true);
    assert.deepEqual((await rig.take(2)).map(summary), [
      'read 1 0 "" ERR_FREED',
      'read 2 0 "" ERR_FREED',
    ]);
    assert.equal((await peer.readToEnd()).length, 0);
    peer.close();
    await awaitCondition(() => connection.state === 'closed', 'the close');
    assert.equal(watcher.stats.connections, 0);
    assert.equal(watcher.stats.operations, 0);
  });

  it('sends what was written before', async () => {
    const { connection, peer } = pair;
    rig.watcher.write(connection, Buffer.from('good-bye'), { context: 1 });
    rig.watcher.free(connection);
    assert.equal((await peer.readToEnd()).toString(), 'good-bye');
    peer.close();
    assert.equal(summary(await rig.one()), 'write 1 8');
  });

  it('completes a write that the peer does not take, and says how much of it is sent', async () => {
    const { connection, peer } = pair;
    rig.watcher.write(connection, noise(1, 16 * 1_048_576), { context: 1 });
    rig.watcher.write(connection, Buffer.from('x'), { context: 2 });
    rig.watcher.free(connection);
    const [first, second] = await rig.take(2);
    assert.equal(first!.result.error?.code, 'ERR_FREED');
    assert.equal(summary(second!), 'write 2 0 ERR_FREED');
    const received = await peer.readToEnd();
    assert.equal(received.length, first!.result.size);
    assert.ok(received.equals(noise(1, received.length)));
  });

  it('of a connection that was never submitted closes it, and keeps nothing', async () => {
    const { connection, peer } = pair;
    assert.equal(rig.watcher.free(connection), true);
    assert.equal((await peer.readToEnd()).length, 0);
    peer.close();
    await awaitCondition(() => rig.watcher.stats.connections === 0, 'the end of the connection');
    assert.equal(connection.state, 'closed');
    assert.equal(rig.watcher.stats.results, 0);
  });

  it('twice is harmless, and so is one of a closed connection', async () => {
    const { connection, peer } = pair;
    assert.equal(rig.watcher.free(connection), true);
    assert.equal(rig.watcher.free(connection), false);
    peer.close();
    await awaitCondition(() => connection.state === 'closed', 'the close');
    assert.equal(rig.watcher.free(connection), false);
    const other = await rig.pair();
    other.connection.abort();
    await awaitCondition(() => other.connection.state === 'closed', 'the close');
    assert.equal(rig.watcher.free(other.connection), false);
  });

  it('lets later operations fail, each with a result', async () => {
    const { connection } = pair;
    const { watcher } = rig;
    watcher.free(connection);
    assert.equal(watcher.read(connection, undefined, { context: 1 }), 'pending');
    assert.equal(watcher.write(connection, Buffer.from('x'), { context: 2 }), 'pending');
    assert.deepEqual((await rig.take(2)).map(summary), [
      'read 1 0 "" ERR_FREED',
      'write 2 0 ERR_FREED',
    ]);
    assert.equal(watcher.stats.connections, 1);
    pair.peer.close();
    await awaitCondition(() => watcher.stats.connections === 0, 'the close');
  });

  it('drops what nobody had asked for', async () => {
    const { connection, peer } = pair;
    await peer.send(Buffer.from('0123456789'));
    rig.watcher.read(connection, Buffer.alloc(1));
    await rig.one();
    assert.equal(rig.watcher.stats.heldBytes, 9);
    rig.watcher.free(connection);
    assert.equal(rig.watcher.stats.heldBytes, 0);
  });
});

describe('a connection that is closed by others', () => {
  it('completes its operations with ERR_CLOSED', async () => {
    const { connection } = pair;
    const { watcher } = rig;
    watcher.read(connection, undefined, { context: 1 });
    connection.abort();
    assert.equal(summary(await rig.one()), 'read 1 0 "" ERR_CLOSED');
    watcher.write(connection, Buffer.from('x'), { context: 2 });
    watcher.read(connection, undefined, { context: 3 });
    assert.deepEqual((await rig.take(2)).map(summary), [
      'write 2 0 ERR_CLOSED',
      'read 3 0 "" ERR_CLOSED',
    ]);
  });

  it('before it was submitted does so, too', async () => {
    const { connection } = pair;
    connection.abort();
    await awaitCondition(() => connection.state === 'closed', 'the close');
    rig.watcher.read(connection, undefined, { context: 1 });
    assert.equal(summary(await rig.one()), 'read 1 0 "" ERR_CLOSED');
    assert.equal(rig.watcher.stats.connections, 0);
  });

  it('by its server’s end completes all', async () => {
    const pairs = [pair, ...(await rig.pairs(20))];
    for (const { connection } of pairs) {
      rig.watcher.read(connection);
      rig.watcher.write(connection, noise(1, 8 * 1_048_576));
    }
    await rig.server.close({ deadlineMs: 0 });
    const outcomes = await rig.take(42);
    assert.deepEqual(
      new Set(outcomes.map(({ result }) => result.error?.code)),
      new Set(['ERR_CLOSED']),
    );
    assert.equal(rig.watcher.stats.connections, 0);
    assert.equal(rig.watcher.stats.operations, 0);
  });
});

describe('close', () => {
  it('completes what is pending with ERR_CLOSED, and ends the results after them', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    watcher.read(connection, undefined, { context: 1 });
    watcher.write(connection, noise(1, 16 * 1_048_576), { context: 2 });
    const closing = watcher.close();
    const outcomes = await rig.take(2);
    assert.equal(summary(outcomes[0]!), 'read 1 0 "" ERR_CLOSED');
    assert.equal(outcomes[1]!.result.error?.code, 'ERR_CLOSED');
    assert.equal(await watcher.waitIo(), undefined);
    assert.equal(await watcher.waitIo(), undefined);
    assert.equal((await peer.readToEnd()).length, outcomes[1]!.result.size);
    peer.close();
    await settled(closing, 'the close');
    assert.equal(watcher.stats.connections, 0);
  });

  it('may be called again, and refuses what comes later', async () => {
    const { watcher } = rig;
    await watcher.close();
    await watcher.close();
    assert.equal(watcher.read(pair.connection), 'closed');
    assert.equal(watcher.write(pair.connection, Buffer.from('x')), 'closed');
    assert.equal(watcher.stats.connections, 0);
    assert.equal(await watcher.waitIo(), undefined);
  });

  it('wakes who waits for results', async () => {
    const waiting = rig.watcher.waitIo();
    void rig.watcher.close();
    assert.equal(await settled(waiting, 'the end'), undefined);
  });

  it('ends the loop over batches', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    const seen: string[] = [];
    const loop = (async () => {
      for await (const results of watcher) {
        for (const { error, buffer } of results) {
          seen.push(error?.code ?? Buffer.from(buffer).toString());
          watcher.read(connection);
        }
      }
      return 'over';
    })();
    watcher.read(connection);
    await peer.send(Buffer.from('a'));
    await awaitCondition(() => seen.length === 1, 'the first result');
    peer.close();
    await watcher[Symbol.asyncDispose]();
    assert.equal(await settled(loop, 'the end of the loop'), 'over');
    assert.equal(seen[0], 'a');
  });
});
