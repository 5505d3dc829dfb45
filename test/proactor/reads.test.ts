/** Reads: their order, how much they get and when nothing is read, seen from both ends. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { awaitCondition, rounds } from '../support/await-condition.js';
import { noise, noiseAt } from '../support/noise.js';
import { type Pair, summary, WatcherRig } from '../support/watcher-rig.js';

let rig: WatcherRig;
let pair: Pair;

beforeEach(async () => {
  rig = await WatcherRig.open();
  pair = await rig.pair();
});
afterEach(() => rig.close());

describe('read', () => {
  it('completes with what came, in a buffer of the user', async () => {
    const { connection, peer } = pair;
    const buffer = Buffer.alloc(100, '.');
    assert.equal(rig.watcher.read(connection, buffer, { context: 'a' }), 'pending');
    await peer.send(Buffer.from('hello'));
    const { result } = await rig.one();
    assert.equal(result.operation, 'read');
    assert.equal(result.connection, connection);
    assert.equal(result.context, 'a');
    assert.equal(result.buffer, buffer);
    assert.equal(result.isShared, false);
    assert.equal(result.size, 5);
    assert.equal(result.error, undefined);
    assert.equal(buffer.toString(), `hello${'.'.repeat(95)}`);
  });

  it('completes with what came, in shared memory', async () => {
    const { connection, peer } = pair;
    rig.watcher.read(connection);
    await peer.send(Buffer.from('hello'));
    const { result } = await rig.one();
    assert.equal(result.isShared, true);
    assert.equal(result.size, 5);
    assert.equal(Buffer.from(result.buffer).toString(), 'hello');
    assert.equal(result.context, undefined);
  });

  it('is answered in the order of submission, each with what is there', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    await peer.send(Buffer.from('abcdefgh'));
    watcher.read(connection, Buffer.alloc(3), { context: 1 });
    watcher.readFull(connection, Buffer.alloc(2), { context: 2 });
    watcher.read(connection, undefined, { context: 3 });
    watcher.readFull(connection, Buffer.alloc(4), { context: 4 });
    assert.deepEqual((await rig.take(3)).map(summary), [
      'read 1 3 "abc"',
      'read 2 2 "de"',
      'read 3 3 "fgh"',
    ]);
    await peer.send(Buffer.from('ij'));
    await peer.send(Buffer.from('kl'));
    assert.deepEqual((await rig.take(1)).map(summary), ['read 4 4 "ijkl"']);
  });

  it('of bytes that came with others completes without the kernel', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    await peer.send(Buffer.from('0123456789'));
    watcher.read(connection, Buffer.alloc(1));
    await rig.one();
    assert.equal(watcher.stats.heldBytes, 9);
    for (let i = 1; i < 10; i += 1) {
      watcher.read(connection, Buffer.alloc(1), { context: i });
      assert.equal(watcher.stats.results, 1);
      assert.equal(summary(await rig.one()), `read ${i} 1 "${i}"`);
    }
    assert.equal(watcher.stats.heldBytes, 0);
  });

  it('after the peer has ended gives the rest, and then ERR_END, again and again', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    await peer.send(Buffer.from('the end'));
    peer.halfClose();
    watcher.read(connection, Buffer.alloc(4), { context: 1 });
    watcher.read(connection, undefined, { context: 2 });
    watcher.read(connection, undefined, { context: 3 });
    watcher.readFull(connection, Buffer.alloc(1), { context: 4 });
    assert.deepEqual((await rig.take(4)).map(summary), [
      'read 1 4 "the "',
      'read 2 3 "end"',
      'read 3 0 "" ERR_END',
      'read 4 0 "" ERR_END',
    ]);
    watcher.read(connection, undefined, { context: 5 });
    assert.equal(summary(await rig.one()), 'read 5 0 "" ERR_END');
    // The other direction goes on.
    watcher.write(connection, Buffer.from('an answer'));
    assert.equal(summary(await rig.one()), 'write undefined 9');
    assert.equal((await peer.read(9)).toString(), 'an answer');
    watcher.free(connection);
    assert.equal((await peer.readToEnd()).length, 0);
  });

  it('of a connection that the peer has reset ends with the system’s error', async () => {
    const { connection, peer } = pair;
    rig.watcher.read(connection, undefined, { context: 1 });
    rig.watcher.read(connection, undefined, { context: 2 });
    peer.reset();
    assert.deepEqual((await rig.take(2)).map(summary), [
      'read 1 0 "" ECONNRESET',
      'read 2 0 "" ECONNRESET',
    ]);
    rig.watcher.read(connection, undefined, { context: 3 });
    assert.equal(summary(await rig.one()), 'read 3 0 "" ECONNRESET');
    assert.equal(connection.state, 'closed');
  });
});

describe('readFull', () => {
  it('completes when the buffer is full, however it came', async () => {
    const { connection, peer } = pair;
    const buffer = Buffer.alloc(300_000);
    rig.watcher.readFull(connection, buffer);
    for (let at = 0; at < 300_000; at += 7_500) {
      await peer.send(noiseAt(1, at, 7_500));
      await rounds(1);
    }
    const { result } = await rig.one();
    assert.equal(result.size, 300_000);
    assert.ok(buffer.equals(noise(1, 300_000)));
    // A read after it is not held up: nothing was lost in between.
    rig.watcher.read(connection);
    await peer.send(Buffer.from('more'));
    assert.equal((await rig.one()).bytes.toString(), 'more');
  });

  it('that the peer does not fill ends with ERR_END and what came', async () => {
    const { connection, peer } = pair;
    rig.watcher.readFull(connection, Buffer.alloc(10), { context: 'part' });
    await peer.send(Buffer.from('1234'));
    peer.close();
    assert.equal(summary(await rig.one()), 'read part 4 "1234" ERR_END');
  });

  it('takes no more than it asked for', async () => {
    const { connection, peer } = pair;
    await peer.send(Buffer.from('headbody and more'));
    rig.watcher.readFull(connection, Buffer.alloc(4), { context: 1 });
    assert.equal(summary(await rig.one()), 'read 1 4 "head"');
    rig.watcher.readFull(connection, Buffer.alloc(4), { context: 2 });
    assert.equal(summary(await rig.one()), 'read 2 4 "body"');
  });
});

describe('what nobody asked for', () => {
  const BLOCK = Buffer.alloc(65_536, 'x');

  /** Sends until the kernel takes no more, for some rounds of the loop. How many bytes that was. */
  async function sendUntilFull(): Promise<number> {
    let total = 0;
    for (let fruitless = 0; fruitless < 50; fruitless += 1) {
      for (let n = pair.peer.trySend(BLOCK); n > 0; n = pair.peer.trySend(BLOCK)) {
        total += n;
        fruitless = 0;
      }
      await rounds(1);
    }
    return total;
  }

  it('is not read: the peer is held up by the kernel’s window', async () => {
    const { connection } = pair;
    const { watcher } = rig;
    // Takes it over, and reads nothing.
    watcher.write(connection, Buffer.from('?'));
    await rig.one();
    const unread = await sendUntilFull();
    assert.equal(watcher.stats.heldBytes, 0);
    assert.equal(connection.bytesReceived, 0);
    // All of it is there when it is asked for.
    const all = Buffer.alloc(unread);
    watcher.readFull(connection, all);
    assert.equal((await rig.one()).result.size, unread);
    assert.ok(all.equals(Buffer.alloc(unread, 'x')));
  });

  it('is held, bounded, when it comes with what was asked for', async () => {
    const { connection, peer } = pair;
    const { watcher } = rig;
    watcher.read(connection, Buffer.alloc(1));
    await peer.send(BLOCK);
    await rig.one();
    const sent = BLOCK.length + (await sendUntilFull());
    const received = connection.bytesReceived;
    // One receive, and what io_uring had taken before it was stopped.
    assert.ok(received <= 4 * BLOCK.length, `received ${received}`);
    assert.ok(watcher.stats.heldBytes < BLOCK.length, `held ${watcher.stats.heldBytes}`);
    const all = Buffer.alloc(sent - 1);
    watcher.readFull(connection, all);
    await rig.one();
    assert.equal(watcher.stats.heldBytes, 0);
    watcher.read(connection, undefined, { deadlineMs: 20 });
    assert.equal((await rig.one()).result.error?.code, 'ERR_DEADLINE');
  });

  it('does not hide a reset', async () => {
    const { connection, peer } = pair;
    rig.watcher.write(connection, Buffer.from('?'));
    await rig.one();
    await rounds(10);
    peer.reset();
    await awaitCondition(() => connection.state === 'closed', 'the close');
    assert.equal(rig.watcher.stats.connections, 0);
  });
});
