/** Writes: their order, when they complete, and what an early end says of the stream, seen from the other end. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { awaitCondition, rounds } from '../support/await-condition.js';
import { noise, noiseHash, sha256 } from '../support/noise.js';
import { type Pair, summary, WatcherRig } from '../support/watcher-rig.js';

const MEGABYTE = 1_048_576;

let rig: WatcherRig;
let pair: Pair;

beforeEach(async () => {
  // A peer that does not read must not be dropped meanwhile.
  rig = await WatcherRig.open({}, { writeTimeoutMs: 0 });
  pair = await rig.pair({ receiveBufferBytes: 16_384 });
});
afterEach(() => rig.close());

describe('write', () => {
  it('completes when the kernel has all of it, and gives the buffer back', async () => {
    const { connection, peer } = pair;
    const bytes = Buffer.from('hello');
    assert.equal(rig.watcher.write(connection, bytes, { context: 7 }), 'pending');
    const { result } = await rig.one();
    assert.equal(result.operation, 'write');
    assert.equal(result.connection, connection);
    assert.equal(result.context, 7);
    assert.equal(result.buffer, bytes);
    assert.equal(result.size, 5);
    assert.equal(result.error, undefined);
    assert.equal((await peer.read(5)).toString(), 'hello');
  });

  it('sends many in order, and completes them in order', async () => {
    const { connection, peer } = pair;
    const pieces = Array.from({ length: 500 }, (_, i) => noise(i, 1 + ((i * 7_919) % 9_000)));
    for (const [i, piece] of pieces.entries()) {
      rig.watcher.write(connection, piece, { context: i });
    }
    const all = Buffer.concat(pieces);
    const [received, outcomes] = await Promise.all([
      peer.read(all.length),
      rig.take(pieces.length),
    ]);
    assert.equal(sha256(received), sha256(all));
    assert.deepEqual(
      outcomes.map(({ result }) => result.context),
      pieces.map((_, i) => i),
    );
    assert.ok(outcomes.every(({ result }) => result.error === undefined));
  });

  it('of much does not complete before the peer has taken some', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    const bytes = noise(3, 16 * MEGABYTE);
    watcher.write(connection, bytes, { context: 'large' });
    watcher.write(connection, Buffer.from('small'), { context: 'small' });
    await rounds(100);
    assert.equal(watcher.stats.operations, 2);
    assert.equal(watcher.stats.results, 0);
    // What is on its way to the kernel is bounded.
    assert.ok(connection.queuedBytes <= 327_680, `queued ${connection.queuedBytes}`);
    const received = await peer.read(bytes.length + 5);
    assert.deepEqual((await rig.take(2)).map(summary), [
      `write large ${bytes.length}`,
      'write small 5',
    ]);
    assert.equal(sha256(received.subarray(0, bytes.length)), noiseHash(3, bytes.length));
    assert.equal(received.subarray(bytes.length).toString(), 'small');
  });

  it('that the close cut off says what the kernel has, though one behind it ended by a deadline', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    connection.setOption('sendBufferBytes', 16_384);
    // All of both is on its way, since so much may be, and nobody reads.
    watcher.write(connection, noise(5, 200_000), { context: 'first' });
    watcher.write(connection, noise(6, 20_000), { context: 'second', deadlineMs: 5 });
    const { result: second } = await rig.one();
    assert.deepEqual([second.context, second.error?.code], ['second', 'ERR_DEADLINE']);
    assert.equal(second.size, 20_000);
    const sent = connection.bytesSent;
    assert.ok(sent < 200_000, `the kernel has ${sent} bytes`);
    connection.abort();
    const { result: first } = await rig.one();
    assert.deepEqual([first.context, first.error?.code], ['first', 'ERR_CLOSED']);
    assert.equal(first.size, sent);
    peer.close();
  });

  it('does not wait for reads, nor they for it', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    watcher.write(connection, noise(4, 16 * MEGABYTE), { context: 'blocked' });
    watcher.read(connection, undefined, { context: 'r' });
    await peer.send(Buffer.from('in'));
    assert.equal(summary(await rig.one()), 'read r 2 "in"');
    watcher.read(connection, undefined, { context: 'waits' });
    const reading = peer.read(16 * MEGABYTE);
    assert.equal(summary(await rig.one()), `write blocked ${16 * MEGABYTE}`);
    assert.equal(sha256(await reading), noiseHash(4, 16 * MEGABYTE));
  });

  it('goes in order with what the connection was given before', async () => {
    const { connection, peer } = pair;
    const before = noise(5, MEGABYTE);
    while (connection.write(before) !== 'full') {
      // Until its queue is full.
    }
    const already = connection.bytesSent + connection.queuedBytes;
    rig.watcher.write(connection, Buffer.alloc(MEGABYTE, 'w'));
    rig.watcher.write(connection, Buffer.from('last'));
    const reading = peer.read(already + MEGABYTE + 4);
    await rig.take(2);
    const received = await reading;
    assert.equal(received.subarray(already, already + MEGABYTE).indexOf('w'), 0);
    assert.equal(received.subarray(-4).toString(), 'last');
  });

  it('after the end of our side fails, and the other direction goes on', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    watcher.write(connection, Buffer.from('x'));
    await rig.one();
    connection.end();
    watcher.write(connection, Buffer.from('y'), { context: 1 });
    assert.equal(summary(await rig.one()), 'write 1 0 ERR_CLOSED');
    watcher.read(connection, undefined, { context: 2 });
    await peer.send(Buffer.from('still here'));
    assert.equal(summary(await rig.one()), 'read 2 10 "still here"');
  });
});

describe('a small write queue', () => {
  it('refuses, and all goes on when it has drained', async () => {
    const small = await WatcherRig.open({}, { writeQueueMax: 5_000, writeTimeoutMs: 0 });
    const { connection, peer } = await small.pair({ receiveBufferBytes: 16_384 });
    for (let i = 0; i < 40; i += 1) {
      small.watcher.write(connection, noise(i, 200_000), { context: i });
    }
    await awaitCondition(() => connection.queuedBytes > 0, 'the kernel is full');
    const reading = peer.read(40 * 200_000);
    const outcomes = await small.take(40);
    assert.deepEqual(
      outcomes.map(({ result }) => [result.context, result.error]),
      outcomes.map((_, i) => [i, undefined]),
    );
    const received = await reading;
    for (let i = 0; i < 40; i += 1) {
      const piece = received.subarray(i * 200_000, (i + 1) * 200_000);
      assert.equal(sha256(piece), noiseHash(i, 200_000));
    }
    await small.close();
  });
});

describe('a write that ends early', () => {
  it('by its deadline has `size` bytes in the stream: the rest can follow', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    const bytes = noise(6, 16 * MEGABYTE);
    watcher.write(connection, bytes, { deadlineMs: 50, context: 'late' });
    const { result } = await rig.one();
    assert.equal(result.error?.code, 'ERR_DEADLINE');
    assert.ok(result.size > 0 && result.size < bytes.length, `size ${result.size}`);
    watcher.write(connection, bytes.subarray(result.size), { context: 'rest' });
    const received = await peer.read(bytes.length);
    assert.equal(summary(await rig.one()), `write rest ${bytes.length - result.size}`);
    assert.equal(sha256(received), noiseHash(6, bytes.length));
  });

  it('before its turn has nothing in the stream, and those behind it go on', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    watcher.write(connection, noise(7, 8 * MEGABYTE), { context: 'first' });
    watcher.write(connection, Buffer.alloc(MEGABYTE, '!'), { deadlineMs: 20, context: 'late' });
    watcher.write(connection, Buffer.from('last'), { context: 'last' });
    assert.equal(summary(await rig.one()), 'write late 0 ERR_DEADLINE');
    const received = await peer.read(8 * MEGABYTE + 4);
    assert.equal(sha256(received.subarray(0, -4)), noiseHash(7, 8 * MEGABYTE));
    assert.equal(received.subarray(-4).toString(), 'last');
    assert.deepEqual((await rig.take(2)).map(summary), [
      `write first ${8 * MEGABYTE}`,
      'write last 4',
    ]);
  });

  it('by a reset says what the kernel had', async () => {
    const { connection, peer } = pair;
    rig.watcher.write(connection, noise(8, 16 * MEGABYTE), { context: 1 });
    rig.watcher.write(connection, Buffer.from('more'), { context: 2 });
    await awaitCondition(() => connection.queuedBytes > 0, 'the kernel is full');
    await rounds(20);
    const sent = connection.bytesSent;
    peer.reset();
    const [first, second] = await rig.take(2);
    assert.match(String(first!.result.error?.code), /^(ECONNRESET|EPIPE)$/);
    assert.equal(first!.result.size, sent);
    assert.match(summary(second!), /^write 2 0 (ECONNRESET|EPIPE)$/);
    await awaitCondition(() => connection.state === 'closed', 'the close');
  });

  it('by the write timeout of its connection says so', async () => {
    const { connection } = pair;
    rig.watcher.write(connection, noise(9, 16 * MEGABYTE), { context: 1 });
    await awaitCondition(() => connection.queuedBytes > 0, 'the kernel is full');
    await rounds(20);
    const sent = connection.bytesSent;
    connection.setWriteTimeout(30);
    const { result } = await rig.one();
    assert.equal(result.error?.code, 'ERR_CLOSED');
    assert.match(String(result.error?.message), /write timeout/);
    assert.equal(result.size, sent);
  });
});
