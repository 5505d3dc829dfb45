/** The watcher's own rules: arguments, limits, batches, one consumer, several watchers. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { type Connection, dial } from '../../src/index.js';
import { type Result, Watcher } from '../../src/proactor/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { noise, noiseHash, sha256 } from '../support/noise.js';
import { summary, WatcherRig } from '../support/watcher-rig.js';

let rig: WatcherRig;
afterEach(() => rig.close());

describe('a watcher', () => {
  beforeEach(async () => {
    rig = await WatcherRig.open();
  });

  it('gives back the context of each operation', async () => {
    const { connection, peer } = await rig.pair();
    const contexts = [undefined, null, 0, '', 'text', Symbol('s'), { an: 'object' }, () => 1];
    for (const context of contexts) {
      rig.watcher.read(connection, Buffer.alloc(1), { context });
    }
    await peer.send(Buffer.alloc(contexts.length, 'x'));
    const outcomes = await rig.take(contexts.length);
    for (const [i, { result }] of outcomes.entries()) {
      assert.equal(result.context, contexts[i]);
    }
  });

  it('takes nothing but connections and sockets', async () => {
    const datagrams = createSocket('udp4');
    const others = [undefined, null, 1, 'tcp://', {}, () => 1, datagrams, new EventTarget()];
    for (const other of others as Connection[]) {
      for (const submit of [
        () => rig.watcher.read(other),
        () => rig.watcher.readFull(other, Buffer.alloc(1)),
        () => rig.watcher.write(other, Buffer.alloc(1)),
        () => rig.watcher.free(other),
      ]) {
        assert.throws(submit, { name: 'TypeError', message: /expected a connection/ });
      }
    }
    assert.equal(rig.watcher.stats.operations, 0);
    datagrams.close();
  });

  it('takes no empty buffer, and nothing that is none', async () => {
    const { connection } = await rig.pair();
    const { watcher } = rig;
    const empty = { name: 'RangeError', message: /buffer is empty/ };
    assert.throws(() => watcher.read(connection, Buffer.alloc(0)), empty);
    assert.throws(() => watcher.readFull(connection, Buffer.alloc(0)), empty);
    assert.throws(() => watcher.write(connection, Buffer.alloc(0)), empty);
    const wrong = { name: 'TypeError', message: /expected a buffer, a Uint8Array, got/ };
    assert.throws(() => watcher.read(connection, null as never), wrong);
    assert.throws(() => watcher.readFull(connection, undefined as never), wrong);
    assert.throws(() => watcher.write(connection, 'text' as never), wrong);
    assert.equal(watcher.stats.connections, 0);
  });

  it('checks deadlines and options', async () => {
    const { connection } = await rig.pair();
    for (const deadlineMs of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5' as never]) {
      assert.throws(() => rig.watcher.read(connection, undefined, { deadlineMs }), RangeError);
    }
    assert.throws(() => new Watcher({ sharedBytes: 65_535 }), /Expected sharedBytes .* from 65536/);
    assert.throws(() => new Watcher({ resultsMax: 0 }), /Expected resultsMax .* from 1/);
    assert.throws(() => new Watcher({ operationsMax: 1.5 }), /Expected operationsMax .* got 1.5/);
  });

  it('has one consumer: a second wait is an error, and the first goes on', async () => {
    const { connection, peer } = await rig.pair();
    const first = rig.watcher.waitIo();
    await assert.rejects(rig.watcher.waitIo(), { name: 'MillraceError', code: 'ERR_WAITING' });
    await assert.rejects(rig.watcher[Symbol.asyncIterator]().next(), { code: 'ERR_WAITING' });
    rig.watcher.read(connection);
    await peer.send(Buffer.from('x'));
    assert.equal((await settled(first, 'the result'))?.length, 1);
  });

  it('gives all that completes in one turn in one batch', async () => {
    const pairs = await rig.pairs(20);
    for (const { connection, peer } of pairs) {
      peer.trySend(Buffer.from('x'));
      rig.watcher.write(connection, Buffer.from('y'));
    }
    const written: Result[] = [];
    while (written.length < 20) {
      written.push(...(await rig.watcher.waitIo())!);
    }
    for (const { connection } of pairs) {
      rig.watcher.read(connection, Buffer.alloc(1));
    }
    await awaitCondition(() => rig.watcher.stats.results === 20, 'all of them');
    assert.equal((await rig.watcher.waitIo())!.length, 20);
  });

  it('lets the loop go on though its results never end', async () => {
    const { connection, peer } = await rig.pair();
    const { watcher } = rig;
    await peer.send(Buffer.alloc(60_000, 'x'));
    watcher.read(connection, Buffer.alloc(1));
    let timers = 0;
    const interval = setInterval(() => {
      timers += 1;
    }, 0);
    let taken = 0;
    let most = 0;
    let since = 0;
    let seen = 0;
    while (taken < 60_000) {
      taken += (await watcher.waitIo())!.length;
      since = timers === seen ? since + 1 : 0;
      seen = timers;
      most = Math.max(most, since);
      // Completes at once: the bytes are here already.
      watcher.read(connection, Buffer.alloc(1));
    }
    clearInterval(interval);
    assert.ok(timers > 10, `${timers} timers in 60,000 batches`);
  });

  it('leaves its connections to others when the loop over it is left', async () => {
    const { connection, peer } = await rig.pair();
    rig.watcher.read(connection);
    await peer.send(Buffer.from('a'));
    for await (const results of rig.watcher) {
      assert.equal(results.length, 1);
      break;
    }
    rig.watcher.read(connection, undefined, { context: 1 });
    await peer.send(Buffer.from('b'));
    assert.equal(summary(await rig.one()), 'read 1 1 "b"');
  });

  it('does not take what another one has, or what is iterated over', async () => {
    const { connection } = await rig.pair();
    const other = new Watcher();
    rig.watcher.read(connection);
    assert.throws(() => other.read(connection), { name: 'TypeError', message: /somebody else/ });
    assert.throws(() => other.free(connection), TypeError);
    const iterated = (await rig.pair()).connection;
    const iterator = iterated[Symbol.asyncIterator]();
    assert.throws(() => other.read(iterated), { name: 'TypeError', message: /iterated over/ });
    await iterator.return?.();
    await other.close();
  });

  it('works on both ends of connections, in both directions at once', async () => {
    const { watcher } = rig;
    const total = 3_000_000;
    const ends: Connection[] = [];
    for (let i = 0; i < 4; i += 1) {
      ends.push(await dial(rig.url), await rig.accepted());
    }
    const buffers = ends.map((connection, i) => {
      const buffer = Buffer.alloc(total);
      watcher.readFull(connection, buffer, { context: i });
      watcher.write(connection, noise(i, total), { context: i });
      return buffer;
    });
    const outcomes = await rig.take(ends.length * 2);
    assert.ok(outcomes.every(({ result }) => result.error === undefined && result.size === total));
    for (const [i, buffer] of buffers.entries()) {
      assert.equal(sha256(buffer), noiseHash(i ^ 1, total));
    }
  });

  it('knows its connections by the reactor’s own objects, too', async () => {
    const { connection, peer } = await rig.pair();
    const { watcher } = rig;
    watcher.read(connection, undefined, { context: 1 });
    const [own] = [...connection.reactor.connections()];
    assert.equal(own?.id, connection.id);
    watcher.read(own!, undefined, { context: 2 });
    assert.equal(watcher.stats.connections, 1);
    await peer.send(Buffer.from('a'));
    assert.equal(summary(await rig.one()), 'read 1 1 "a"');
    await peer.send(Buffer.from('b'));
    assert.equal(summary(await rig.one()), 'read 2 1 "b"');
  });
});

describe('limits of a watcher', () => {
  it('operationsMax refuses what is above, until results are taken', async () => {
    rig = await WatcherRig.open({ operationsMax: 3 });
    const { connection, peer } = await rig.pair();
    const { watcher } = rig;
    for (let i = 0; i < 3; i += 1) {
      assert.equal(watcher.read(connection, Buffer.alloc(1), { context: i }), 'pending');
    }
    assert.equal(watcher.read(connection), 'full');
    await peer.send(Buffer.from('abc'));
    await awaitCondition(() => watcher.stats.results === 3, 'the results');
    // They wait to be taken.
    assert.equal(watcher.write(connection, Buffer.from('x')), 'full');
    assert.equal(watcher.stats.refused, 2);
    assert.deepEqual((await rig.take(3)).map(summary), [
      'read 0 1 "a"',
      'read 1 1 "b"',
      'read 2 1 "c"',
    ]);
    assert.equal(watcher.write(connection, Buffer.from('x')), 'pending');
  });

  it('resultsMax stops reading, not the other connections for ever', async () => {
    rig = await WatcherRig.open({ resultsMax: 4 });
    const pairs = await rig.pairs(16);
    for (const [i, { connection, peer }] of pairs.entries()) {
      rig.watcher.read(connection, undefined, { context: i });
      await peer.send(Buffer.from('x'));
    }
    await awaitCondition(() => rig.watcher.stats.results === 4, 'as many as may wait');
    await rounds(20);
    assert.equal(rig.watcher.stats.results, 4);
    const contexts = (await rig.take(16)).map(({ result }) => result.context as number);
    assert.deepEqual(
      contexts.sort((a, b) => a - b),
      pairs.map((_, i) => i),
    );
  });

  it('shared memory that is used up makes reads wait for the next batch, whole', async () => {
    rig = await WatcherRig.open({ sharedBytes: 65_536 });
    const pairs = await rig.pairs(24);
    for (const [i, { connection, peer }] of pairs.entries()) {
      rig.watcher.read(connection, undefined, { context: i });
      await peer.send(Buffer.alloc(10_000, 97 + i));
    }
    await awaitCondition(() => rig.watcher.stats.heldBytes > 0, 'one that has to wait');
    const received = pairs.map(() => 0);
    while (received.some((n) => n < 10_000)) {
      const batch = (await rig.watcher.waitIo())!;
      let total = 0;
      // All of one batch lie side by side: none has been overwritten by another.
      for (const { context, connection, buffer, size } of batch) {
        const i = context as number;
        assert.equal(buffer.byteLength, size);
        assert.ok(Buffer.from(buffer).equals(Buffer.alloc(size, 97 + i)));
        received[i]! += size;
        total += size;
        if (received[i]! < 10_000) {
          rig.watcher.read(connection, undefined, { context: i });
        }
      }
      assert.ok(total <= 65_536, `${total} bytes in one batch`);
    }
    assert.ok(received.every((n) => n === 10_000));
    assert.equal(rig.watcher.stats.heldBytes, 0);
  });
});
