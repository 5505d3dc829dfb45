/** Actions that hooks return, and the shutdown of a server: in phases, within its deadline, once. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { type ServeOptions, type Server, serve } from '../../src/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { type ActingHook, type ActorData, WORDS } from '../support/engine-handlers/actor.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/actor.js', import.meta.url);
const HOUR = 3_600_000;

const servers: Server[] = [];
const peers: RawPeer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) {
    peer.close();
  }
  await Promise.all(servers.splice(0).map((server) => server.close({ deadlineMs: 0 })));
});

type Account = { readonly [Word in keyof typeof WORDS]: number };

interface World {
  readonly server: Server;
  readonly url: string;
  account(): Account;
  /** From now on hooks of new connections act at once. */
  arm(): void;
}

async function createWorld(
  data: Omit<ActorData, 'account'>,
  options: Partial<ServeOptions>,
): Promise<World> {
  const memory = new SharedArrayBuffer(64);
  const words = new Int32Array(memory);
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: MODULE,
    data: { ...data, account: memory },
    highWaterMark: 1_000,
    lowWaterMark: 1_000,
    // Nothing ends by it.
    lingerTimeoutMs: HOUR,
    ...options,
  });
  servers.push(server);
  return {
    server,
    url: server.addresses[0]!,
    account() {
      const entries = Object.entries(WORDS).map(([name, word]) => [
        name,
        Atomics.load(words, word),
      ]);
      return Object.fromEntries(entries) as Account;
    },
    arm: () => void Atomics.store(words, WORDS.isArmed, 1),
  };
}

async function connect(url: string, count: number): Promise<RawPeer[]> {
  const connected = await RawPeer.connectMany(url, count);
  peers.push(...connected);
  return connected;
}

async function echo(peer: RawPeer): Promise<void> {
  peer.send('ping');
  assert.equal((await peer.read(4)).toString(), 'ping');
}

const HOOKS: readonly ActingHook[] = [
  'onOpen',
  'onData',
  'onReadable',
  'onDrain',
  'onEnd',
  'onClose',
];

/** Makes a connection whose hook acts. */
async function act({ url, arm }: World, hook: ActingHook): Promise<RawPeer | undefined> {
  if (hook === 'onTick' || hook === 'onOpen') {
    arm();
  }
  if (hook === 'onTick') {
    return undefined;
  }
  const [actor] = await connect(url, 1);
  actor!.send('act');
  if (hook === 'onEnd') {
    actor!.end();
  }
  return actor;
}

for (const reactors of [1, 3]) {
  describe(`actions, ${reactors} reactor(s)`, () => {
    for (const hook of HOOKS) {
      it(`close from ${hook} closes that connection, orderly and once`, async () => {
        const world = await createWorld({ hook, action: 'close' }, { reactors });
        const bystanders = await connect(world.url, 4);
        await Promise.all(bystanders.map(echo));
        const actor = await act(world, hook);
        assert.equal((await actor!.readToEnd()).end, 'end');
        actor!.close();
        await awaitCondition(() => world.account().closed === 1, 'the close');
        await Promise.all(bystanders.map(echo));
        const { opened, closed, violations } = world.account();
        assert.deepEqual([opened, closed, violations], [5, 1, 0]);
      });
    }

    for (const hook of [...HOOKS, 'onTick'] as const) {
      it(`shutdown from ${hook} closes the server gracefully`, async () => {
        const world = await createWorld({ hook, action: 'shutdown' }, { reactors });
        const bystanders = await connect(world.url, 4);
        await Promise.all(bystanders.map(echo));
        const actor = await act(world, hook);
        if (hook === 'onClose') {
          assert.equal((await actor!.readToEnd()).end, 'end');
          actor!.end();
        }
        for (const bystander of bystanders) {
          assert.equal((await bystander.readToEnd()).end, 'end');
          bystander.close();
        }
        if (hook !== 'onEnd') {
          actor?.end();
        }
        await actor?.readToEnd();
        await settled(world.server.closed, 'the end of the server');
        const account = world.account();
        assert.equal(account.closed, account.opened);
        assert.ok(account.closedByShutdown >= 4, `${account.closedByShutdown} closed by it`);
        assert.deepEqual(
          [account.boots, account.shutdowns, account.violations],
          [reactors, reactors, 0],
        );
        assert.throws(() => RawPeer.begin(world.url).isConnected, { code: 'ECONNREFUSED' });
      });
    }

    it('whatever else a hook returns is no action', async () => {
      for (const action of [7, 'nonsense', null, {}]) {
        const world = await createWorld({ hook: 'onData', action: action as never }, { reactors });
        const [peer] = await connect(world.url, 1);
        peer!.send('act');
        await awaitCondition(() => world.server.stats.totals.bytesReceived === 3, 'the word');
        await echo(peer!);
        assert.equal(world.account().closed, 0);
      }
    });
  });

  describe(`close of a server, ${reactors} reactor(s)`, () => {
    it('waits for what busy connections still have to send', async () => {
      const { server, url, account } = await createWorld({}, { reactors });
      const busy = await connect(url, 6);
      for (const peer of busy) {
        peer.send('fill');
      }
      await awaitCondition(() => server.stats.totals.queuedBytes > 0, 'queues');
      await awaitCondition(() => server.stats.totals.bytesReceived === 24, 'all orders');
      const closing = server.close({ deadlineMs: HOUR });
      for (const peer of busy) {
        const { bytes, end } = await peer.readToEnd();
        assert.deepEqual([bytes.byteLength, end], [8 * 1024 * 1024, 'end']);
        peer.close();
      }
      await settled(closing, 'the end of the server');
      const { closedByShutdown, unsentConnections, violations, shutdowns } = account();
      assert.deepEqual(
        [closedByShutdown, unsentConnections, violations, shutdowns],
        [6, 0, 0, reactors],
      );
    });

    it('aborts at the deadline what did not end by itself', async () => {
      const { server, url, account } = await createWorld({}, { reactors });
      const busy = await connect(url, 3);
      const silent = await connect(url, 3);
      for (const peer of busy) {
        peer.send('fill');
      }
      await awaitCondition(() => server.stats.totals.bytesReceived === 12, 'all orders');
      await Promise.all(silent.map(echo));
      await settled(server.close({ deadlineMs: 20 }), 'the end of the server');
      const { closedByShutdown, unsentConnections, shutdowns } = account();
      assert.deepEqual([closedByShutdown, unsentConnections, shutdowns], [6, 3, reactors]);
      for (const peer of busy) {
        assert.equal((await peer.readToEnd()).end, 'ECONNRESET');
      }
    });

    it('is hurried by a second call, and the same for all callers', async () => {
      const { server, url } = await createWorld({}, { reactors });
      const silent = await connect(url, 3);
      await Promise.all(silent.map(echo));
      let isClosed = false;
      void server.closed.then(() => {
        isClosed = true;
      });
      const first = server.close({ deadlineMs: HOUR });
      for (const peer of silent) {
        assert.equal((await peer.readToEnd()).end, 'end');
      }
      assert.equal(isClosed, false);
      const longer = server.close({ deadlineMs: 2 * HOUR });
      await rounds(20);
      assert.equal(isClosed, false);
      const second = server.close({ deadlineMs: 1 });
      await settled(Promise.all([first, longer, second, server.closed]), 'the end of the server');
      await server.close();
    });

    it('does not wait for a pause of reading to end', async () => {
      const { server, url, account } = await createWorld({}, { reactors });
      const paused = await connect(url, 3);
      for (const peer of paused) {
        peer.send('pause');
      }
      await awaitCondition(() => server.stats.totals.bytesReceived === 15, 'all orders');
      const closing = server.close({ deadlineMs: HOUR });
      for (const peer of paused) {
        peer.send('never to be read');
        assert.equal((await peer.readToEnd()).end, 'end');
        peer.end();
      }
      await settled(closing, 'the end of the server');
      assert.equal(account().closedByShutdown, 3);
    });

    it('is not held up by those who connect meanwhile', async () => {
      const { server, url, account } = await createWorld({}, { reactors });
      const connecting: Promise<void>[] = [];
      let isClosed = false;
      const visit = async () => {
        const peer = RawPeer.begin(url);
        peers.push(peer);
        await peer.readToEnd();
        peer.close();
      };
      for (let i = 0; i < 100; i += 1) {
        connecting.push(visit().catch(() => {}));
      }
      await awaitCondition(() => account().opened > 5, 'some connections');
      const closing = server.close({ deadlineMs: HOUR }).then(() => {
        isClosed = true;
      });
      for (let i = 0; i < 500 && !isClosed; i += 1) {
        connecting.push(visit().catch(() => {}));
        await rounds(1);
      }
      await settled(closing, 'the end of the server');
      await settled(Promise.all(connecting), 'the end of all visits');
      const { opened, closed, violations } = account();
      assert.deepEqual([closed, violations], [opened, 0]);
    });

    it('takes a deadline in whole milliseconds and nothing else', async () => {
      const { server, url } = await createWorld({}, { reactors });
      const [peer] = await connect(url, 1);
      for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5']) {
        assert.throws(() => server.close({ deadlineMs: wrong as number }), RangeError);
      }
      await echo(peer!);
      await server.close({ deadlineMs: 0 });
    });

    it('leaves a server whose calls have defined results', async () => {
      const { server, url } = await createWorld({}, { reactors });
      const [peer] = await connect(url, 1);
      await echo(peer!);
      const handle = server.remoteHandle();
      await server.close({ deadlineMs: 0 });
      const bytes = Buffer.from('late');
      assert.equal(server.write(0, bytes), 'closed');
      assert.equal(server.post(0, bytes), false);
      assert.equal(server.broadcast(bytes), false);
      await assert.rejects(server.execute(0, 'index'));
      await assert.rejects(server.executeAll('index'));
      assert.equal(server.stats.totals.opened, 1);
      assert.equal(server.stats.totals.connections, 0);
      assert.deepEqual(server.addresses, [url]);
      assert.equal(handle.mailboxes.length, reactors);
      server.ref();
      server.unref();
      await server[Symbol.asyncDispose]();
    });
  });
}

describe('close of a connection', () => {
  it('does not wait for a pause of reading to end', async () => {
    const reasons: string[] = [];
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      lingerTimeoutMs: HOUR,
      handler: {
        onData(connection) {
          connection.pause();
          connection.write('bye');
          connection.close();
        },
        onClose: (_connection, { code }) => void reasons.push(code),
      },
    });
    servers.push(server);
    const [peer] = await connect(server.addresses[0]!, 1);
    peer!.send('x');
    assert.equal((await peer!.readToEnd()).bytes.toString(), 'bye');
    peer!.send('never to be read');
    peer!.end();
    await awaitCondition(() => reasons.length > 0, 'the close');
    assert.deepEqual(reasons, ['closed']);
  });
});
