/**
 * Messages from other threads: each sender's in their order, none lost, no wake-up lost, never more than the mailbox
 * holds, and the connections are served meanwhile.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { type Handler, type Server, serve } from '../../src/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import type { FloodReport } from '../support/engine-handlers/flooded.js';
import { FloodAccount, flood } from '../support/flood.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/flooded.js', import.meta.url);
/** Letters that a reactor takes out of its mailbox in one turn. */
const TURN_MESSAGES = 1_024;

async function withServer(
  handler: Handler | URL,
  reactors: number,
  body: (server: Server, url: string) => Promise<void>,
): Promise<void> {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler, reactors });
  try {
    await body(server, server.addresses[0]!);
  } finally {
    await server.close({ deadlineMs: 0 });
  }
}

it('200,000 posts of four threads arrive in order, and a connection is served in between', async () => {
  const account = new FloodAccount();
  let largestGap = 0;
  let last = 0;
  const handler: Handler = {
    onMessage: (_reactor, bytes) => void account.note(bytes),
    onData(connection, bytes) {
      largestGap = Math.max(largestGap, account.received - last);
      last = account.received;
      connection.write(bytes);
    },
  };
  await withServer(handler, 1, async (server, url) => {
    const peer = await RawPeer.connect(url);
    const handle = server.remoteHandle();
    let isOver = false;
    const flooding = flood({ handle, senders: 4, count: 50_000, reactor: 0 }).finally(() => {
      isOver = true;
    });
    let answers = 0;
    while (!isOver) {
      peer.send('x');
      await peer.read(1);
      answers += 1;
    }
    await settled(flooding, 'the producers');
    await awaitCondition(() => account.received === 200_000, 'the last messages');
    assert.deepEqual(account.next, [50_000, 50_000, 50_000, 50_000]);
    assert.equal(account.disorders, 0);
    // The peer of this thread and the reactor take turns.
    assert.ok(largestGap <= 3 * TURN_MESSAGES, `${largestGap} messages between two answers`);
    assert.ok(answers >= 200_000 / TURN_MESSAGES / 3, `${answers} answers`);
    assert.ok(server.stats.totals.mailboxMessages >= 200_000);
    peer.close();
  });
});

it('one reactor of three, flooded by threads and by the other two', async () => {
  await withServer(MODULE, 3, async (server, url) => {
    const peers = await RawPeer.connectMany(url, 6);
    const handle = server.remoteHandle();
    const flooding = [
      flood({ handle, senders: 2, count: 25_000, reactor: 1 }),
      server.execute(0, 'flood', { target: 1, sender: 2, count: 25_000 }),
      server.execute(2, 'flood', { target: 1, sender: 3, count: 25_000 }),
      server.execute(1, 'flood', { target: 1, sender: 4, count: 25_000 }),
    ];
    for (const peer of peers) {
      peer.send('ping');
      assert.equal((await peer.read(4)).toString(), 'ping');
    }
    await settled(Promise.all(flooding), 'the producers');
    let report: FloodReport | undefined;
    await awaitCondition(async () => {
      report = (await server.execute(1, 'report')) as FloodReport;
      return report.received === 125_000;
    }, 'the last messages');
    assert.equal(report!.disorders, 0);
    assert.deepEqual(report!.next, new Array(5).fill(25_000));
    assert.deepEqual(report!.from, [-1, 0, 1, 2]);
    for (const peer of peers) {
      peer.close();
    }
  });
});

it('connections reach a reactor whose mailbox others have filled up', async () => {
  await withServer(MODULE, 3, async (server, url) => {
    const gate = new Int32Array(new SharedArrayBuffer(8));
    const standing = server.execute(1, 'stand', gate);
    try {
      await awaitCondition(() => Atomics.load(gate, 1) === 1, 'the reactor to stand still');
      let posted = 0;
      while (server.post(1, Buffer.alloc(8))) {
        posted += 1;
        assert.ok(posted <= 1_000_000, 'the mailbox is bounded');
      }
      const peers = await RawPeer.connectMany(url, 12);
      for (const peer of peers) {
        peer.send('ping');
      }
      await awaitCondition(() => server.stats.totals.accepted === 12, 'the connections');
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
      for (const peer of peers) {
        assert.equal((await peer.read(4)).toString(), 'ping');
        peer.close();
      }
      assert.equal(server.stats.reactors[1]!.adopted, 4);
      assert.equal(server.stats.totals.refusedMailboxFull, 0);
    } finally {
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
      await standing;
    }
  });
});

it('no wake-up is lost: an idle reactor hears each single post', async () => {
  const senders = 3;
  const count = 3_000;
  const acknowledged = new SharedArrayBuffer(senders * 4);
  const words = new Int32Array(acknowledged);
  const account = new FloodAccount();
  const handler: Handler = {
    onMessage(_reactor, bytes) {
      const sender = account.note(bytes);
      Atomics.add(words, sender, 1);
      Atomics.notify(words, sender);
    },
  };
  await withServer(handler, 1, async (server) => {
    const handle = server.remoteHandle();
    await settled(flood({ handle, senders, count, reactor: 0, acknowledged }), 'the producers');
    assert.deepEqual(account.next, [count, count, count]);
    assert.equal(account.disorders, 0);
  });
});

it('a full mailbox says so, and takes more once it was emptied', async () => {
  const account = new FloodAccount();
  await withServer({ onMessage: (_r, bytes) => void account.note(bytes) }, 1, async (server) => {
    let number = 0;
    const post = () => {
      const message = Buffer.alloc(8);
      message.writeUInt32LE(number, 4);
      const isPosted = server.post(0, message);
      number += isPosted ? 1 : 0;
      return isPosted;
    };
    for (let round = 0; round < 3; round += 1) {
      // The reactor is in this thread: nothing is taken out while we do not wait.
      const before = number;
      while (post()) {
        assert.ok(number - before <= 1_000_000, 'the mailbox is bounded');
      }
      assert.ok(number - before >= 1_000, `${number - before} messages fit`);
      assert.equal(post(), false);
      await awaitCondition(() => account.received === number, 'all that was taken');
    }
    assert.equal(account.disorders, 0);
  });
});

it('the bytes under way are bounded too', async () => {
  let received = 0;
  await withServer(
    {
      onMessage(_reactor, bytes) {
        assert.equal(bytes[0], bytes.at(-1));
        received += 1;
      },
    },
    1,
    async (server) => {
      const message = Buffer.alloc(1024 * 1024, 7);
      let posted = 0;
      while (server.post(0, message)) {
        posted += 1;
        assert.ok(posted <= 1_024, 'the bytes are bounded');
      }
      assert.ok(posted >= 16, `${posted} MiB fit`);
      assert.throws(() => server.post(0, Buffer.alloc(64 * 1024 * 1024)), RangeError);
      await awaitCondition(() => received === posted, 'all that was taken');
      assert.equal(server.post(0, message), true);
      await awaitCondition(() => received === posted + 1, 'one more');
    },
  );
});

it('writes of several threads to one connection keep the order of each', async () => {
  let id = -1;
  await withServer(
    {
      onOpen(connection) {
        id = connection.id;
      },
    },
    1,
    async (server, url) => {
      const peer = await RawPeer.connect(url);
      await awaitCondition(() => id >= 0, 'the connection');
      const handle = server.remoteHandle();
      const senders = 3;
      const count = 3_000;
      const flooding = flood({ handle, senders, count, reactor: 0, connection: id });
      const account = new FloodAccount();
      const bytes = await peer.read(senders * count * 8);
      for (let at = 0; at < bytes.byteLength; at += 8) {
        account.note(bytes.subarray(at, at + 8));
      }
      assert.deepEqual(account.next, [count, count, count]);
      assert.equal(account.disorders, 0);
      await flooding;
      peer.close();
      await awaitCondition(() => server.stats.totals.closed === 1, 'the close');
      assert.equal(server.write(id, Buffer.from('late')), 'closed');
    },
  );
});

it('tasks of a reactor run in order, those from within tasks, hooks and drains too', async () => {
  const order: string[] = [];
  const handler: Handler = {
    onBoot(reactor) {
      for (let i = 0; i < 3_000; i += 1) {
        reactor.execute(() => void order.push(`task ${i}`));
      }
    },
    onDrain(connection) {
      connection.reactor.execute(() => void order.push('after drain'));
    },
  };
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: {
      ...handler,
      onOpen(connection) {
        // Blocked and drained in a turn in which nothing comes in.
        connection.setTimer(5, () => {
          connection.cork();
          connection.write(Buffer.alloc(2_000));
          connection.uncork();
        });
      },
    },
    highWaterMark: 1_000,
    lowWaterMark: 1_000,
  });
  const peer = await RawPeer.connect(server.addresses[0]!);
  try {
    await awaitCondition(() => order.length === 3_001, 'all tasks');
    assert.deepEqual(
      order.slice(0, 3_000),
      Array.from({ length: 3_000 }, (_, i) => `task ${i}`),
    );
    assert.equal(order.at(-1), 'after drain');
  } finally {
    peer.close();
    await server.close({ deadlineMs: 0 });
  }
});
