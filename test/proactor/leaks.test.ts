/** What nobody holds any more is closed and counted; what somebody holds is not. */

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';

import type { Connection } from '../../src/index.js';
import { Watcher } from '../../src/proactor/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { memoryFigures } from '../support/process-figures.js';
import type { RawClient } from '../support/raw-client.js';
import { WatcherRig } from '../support/watcher-rig.js';

let rig: WatcherRig;
beforeEach(async () => {
  rig = await WatcherRig.open();
});
afterEach(() => rig.close());

/** Collects garbage until it is so. */
async function collectUntil(condition: () => boolean, what: string): Promise<void> {
  await awaitCondition(() => {
    if (condition()) {
      return true;
    }
    memoryFigures();
    return condition();
  }, what);
}

/** Connections that wrote and read something, and of which only the peers are left. */
async function leak(count: number): Promise<RawClient[]> {
  const peers: RawClient[] = [];
  for (let i = 0; i < count; i += 1) {
    const { connection, peer } = await rig.pair();
    peers.push(peer);
    rig.watcher.write(connection, Buffer.from('hello'));
    rig.watcher.read(connection, Buffer.alloc(5));
    await peer.send(Buffer.from('there'));
    await rig.take(2);
  }
  return peers;
}

describe('a connection whose object is garbage', () => {
  it('is closed, each of a hundred and more, and counted', async () => {
    const peers = await leak(128);
    await collectUntil(() => rig.watcher.stats.leaksFound === 128, 'all leaks');
    for (const peer of peers) {
      assert.equal((await peer.readToEnd()).toString(), 'hello');
      peer.close();
    }
    await awaitCondition(() => rig.watcher.stats.leaksClosed === 128, 'their close');
    assert.equal(rig.watcher.stats.connections, 0);
    assert.equal(rig.watcher.stats.operations, 0);
  });

  it('is not closed while an operation is pending', async () => {
    const { watcher } = rig;
    const peers: RawClient[] = [];
    for (let i = 0; i < 20; i += 1) {
      const { connection, peer } = await rig.pair();
      watcher.read(connection, Buffer.alloc(2));
      peers.push(peer);
    }
    await leak(1);
    await collectUntil(() => watcher.stats.leaksFound > 0, 'the one leak');
    assert.equal(watcher.stats.leaksFound, 1);
    for (const peer of peers) {
      await peer.send(Buffer.from('ok'));
    }
    for (const { result, bytes } of await rig.take(20)) {
      assert.equal(bytes.toString(), 'ok');
      assert.equal(result.connection.state, 'open');
    }
  });

  it('is not closed while somebody holds it', async () => {
    const held: Connection[] = [];
    for (let i = 0; i < 10; i += 1) {
      const { connection } = await rig.pair();
      held.push(connection);
      rig.watcher.write(connection, Buffer.from('x'));
      await rig.take(1);
    }
    await leak(3);
    await collectUntil(() => rig.watcher.stats.leaksFound >= 3, 'the leaks');
    await rounds(5);
    assert.equal(rig.watcher.stats.leaksFound, 3);
    assert.ok(held.every(({ state }) => state === 'open'));
    assert.equal(rig.watcher.stats.connections - rig.watcher.stats.leaksFound <= 10, true);
  });

  it('is none when it was freed, though it is not closed yet', async () => {
    const peers: RawClient[] = [];
    for (let i = 0; i < 10; i += 1) {
      // The peer does not end: the close takes until the linger deadline.
      const { connection, peer } = await rig.pair();
      peers.push(peer);
      rig.watcher.read(connection, Buffer.alloc(5));
      await peer.send(Buffer.from('there'));
      await rig.take(1);
      rig.watcher.free(connection);
    }
    await leak(3);
    await collectUntil(() => rig.watcher.stats.leaksFound >= 3, 'the leaks');
    for (let i = 0; i < 3; i += 1) {
      memoryFigures();
      await rounds(5);
    }
    assert.equal(rig.watcher.stats.leaksFound, 3);
  });

  it('is closed as a socket of Node’s, too', async () => {
    const watcher = new Watcher<Socket>();
    const port = Number(new URL(rig.url).port);
    await (async () => {
      for (let i = 0; i < 5; i += 1) {
        watcher.write(connect(port, '127.0.0.1'), Buffer.from('x'));
      }
      let written = 0;
      while (written < 5) {
        written += (await watcher.waitIo())!.length;
      }
    })();
    // The last batch and the frames that saw it are gone by then.
    await rounds(3);
    await collectUntil(() => watcher.stats.leaksFound === 5, 'the leaks');
    // The other ends do not read: they would see no FIN, and each close would wait for them.
    await rig.server.close({ deadlineMs: 0 });
    await watcher.close();
    assert.equal(watcher.stats.leaksClosed, 5);
  });
});

describe('a watcher that is garbage', () => {
  it('closes its connections', async () => {
    const { connection, peer } = await rig.pair();
    (() => {
      new Watcher().read(connection);
    })();
    let hasEnded = false;
    const ending = peer.readToEnd().then(() => {
      hasEnded = true;
    });
    await collectUntil(() => hasEnded, 'the end of the connection');
    await ending;
  });
});
