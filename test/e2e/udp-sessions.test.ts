/** Sessions of UDP peers: opened by the first datagram, ended by silence or by either side's will, bounded, many. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type DatagramSession, datagram } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { counted, DATAGRAM_SHAPES, report, staged } from '../support/datagram-stage.js';

const PEERS = 10_000;

for (const shape of DATAGRAM_SHAPES) {
  describe(`sessions, ${shape.name}`, { skip: shape.skip }, () => {
    it('open with the first datagram, have their own data, and end with the server', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { datagram: { sessions: true } });
        const peers = await Promise.all([1, 2, 3].map(() => stage.peer()));
        for (const peer of peers) await peer.send('first', server.addresses[0]!);
        for (const peer of peers) await peer.read(1);
        for (const peer of peers) await peer.send('second', server.addresses[0]!);
        for (const peer of peers) {
          assert.deepEqual((await peer.read(2)).map(String), ['first', 'second']);
        }
        const { opened, closed, errors } = await report(server);
        const expected = peers.map(({ port }) => `udp://127.0.0.1:${port}`).sort();
        assert.deepEqual([...opened].sort(), expected);
        assert.deepEqual([closed, errors], [[], []]);
        assert.equal(server.stats.totals.sessions, 3);
        await server.close();
        const { sessions, sessionsOpened, sessionsClosed } = server.stats.totals;
        assert.deepEqual([sessions, sessionsOpened, sessionsClosed], [0, 3, 3]);
      }));

    it('end when the peer is silent, and begin anew when it speaks again', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, {
          datagram: { sessions: { idleTimeoutMs: 30 } },
        });
        const peer = await stage.peer();
        const address = `udp://127.0.0.1:${peer.port}`;
        for (let i = 1; i <= 2; i += 1) {
          await peer.send('hello', server.addresses[0]!);
          await peer.read(i);
          await awaitCondition(async () => (await report(server)).closed.length === i, 'expiry');
        }
        const { opened, closed, errors } = await report(server);
        assert.deepEqual(opened, [address, address]);
        const expected = { address, code: 'timeout', timeout: 'idle', received: 1 };
        assert.deepEqual(closed, [expected, expected]);
        assert.deepEqual(errors, []);
        assert.equal(server.stats.totals.timeoutIdle, 2);
      }));

    it('are closed by an action and by a hook that throws, the others stay', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { datagram: { sessions: true } }, { asks: true });
        const [a, b, c] = await Promise.all([1, 2, 3].map(() => stage.peer()));
        for (const peer of [a!, b!, c!]) {
          await peer.send('hello', server.addresses[0]!);
          await peer.read(1);
        }
        await a!.send('close', server.addresses[0]!);
        await b!.send('throw', server.addresses[0]!);
        await awaitCondition(async () => (await report(server)).closed.length === 2, 'the ends');
        const { closed, errors } = await report(server);
        const codes = closed.map(({ address, code }) => `${address} ${code}`).sort();
        const expected = [
          `udp://127.0.0.1:${a!.port} closed`,
          `udp://127.0.0.1:${b!.port} handler`,
        ];
        assert.deepEqual(codes, expected.sort());
        assert.deepEqual(errors, []);
        assert.equal(server.stats.totals.sessions, 1);
        await c!.send('still here', server.addresses[0]!);
        assert.equal(String((await c!.read(2))[1]), 'still here');
        assert.equal(server.stats.totals.sessionsOpened, 3);
      }));

    it('are bounded in number: what others send is dropped and counted', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { datagram: { sessions: { max: 2 } } });
        const peers = await Promise.all(Array.from({ length: 12 }, () => stage.peer()));
        for (const peer of peers) await peer.send('me', server.addresses[0]!);
        await counted(server, 'datagramsReceived', 12);
        const { sessions, refusedSessionsMax } = server.stats.totals;
        assert.equal(sessions + refusedSessionsMax, 12);
        assert.ok(sessions <= 2 * shape.reactors);
      }));
  });
}

describe('ten thousand peers', () => {
  it('have a session each, and all end', () =>
    staged(async (stage) => {
      const server = await stage.serve(
        { driver: 'epoll', reactors: 1 },
        {
          listen: 'udp://0.0.0.0:0',
          datagram: { sessions: { idleTimeoutMs: 400 }, receiveBufferBytes: 4_000_000 },
        },
        { isMute: true },
      );
      const { port } = new URL(server.addresses[0]!.replace('udp', 'http'));
      const to = `udp://127.0.0.1:${port}`;
      // A few sockets, each at a time bound to one of many loopback addresses, are as good as ten thousand.
      for (let first = 0; first < PEERS; first += 100) {
        const batch = await Promise.all(
          Array.from({ length: 100 }, (_, i) => {
            const n = first + i;
            return datagram({ bind: `udp://127.${1 + (n >> 8)}.${n & 255}.7:0` });
          }),
        );
        for (const socket of batch) {
          assert.equal(socket.send('hello', to), 'queued');
          socket.flush();
        }
        await counted(server, 'sessionsOpened', first + 100);
        for (const socket of batch) socket.close();
      }
      assert.equal(server.stats.totals.sessionsOpened, PEERS);
      await awaitCondition(() => server.stats.totals.sessions === 0, 'all to end');
      const { opened, closed, errors } = await report(server);
      assert.equal(new Set(opened).size, PEERS);
      assert.equal(closed.length, PEERS);
      assert.ok(closed.every(({ code, received }) => code === 'timeout' && received === 1));
      assert.deepEqual(errors, []);
    }));
});

describe('a session', () => {
  it('closed within a batch begins anew, its end told first', async () => {
    const told: string[] = [];
    const ids = new Set<number>();
    const server = await datagram({
      bind: 'udp://127.0.0.1:0',
      sessions: true,
      handler: {
        onSessionOpen(session) {
          told.push(`open ${session.socket.sessionCount}`);
          ids.add(session.id);
        },
        onSessionData(session, bytes) {
          told.push(bytes.toString());
          session.close();
        },
        onSessionClose(_session, { code }) {
          told.push(code);
        },
      },
    });
    const client = await datagram({ connect: server.localAddress });
    for (const text of ['a', 'b', 'c']) client.send(text);
    await awaitCondition(() => told.filter((line) => line === 'closed').length === 3, 'three');
    const expected = ['a', 'b', 'c'].flatMap((text) => ['open 1', text, 'closed']);
    assert.deepEqual(told, expected);
    assert.equal(ids.size, 3);
    client.close();
    server.close();
  });

  it('can be found among the sockets’ own, and written to later', async () => {
    const sessions: DatagramSession[] = [];
    const got: string[] = [];
    const server = await datagram({
      bind: 'udp://127.0.0.1:0',
      sessions: true,
      handler: {
        onSessionOpen(session) {
          sessions.push(session);
        },
      },
    });
    const handler = {
      onDatagram(_socket: unknown, bytes: Buffer) {
        got.push(bytes.toString());
      },
    };
    const client = await datagram({ connect: server.localAddress, handler });
    client.send('hello');
    await awaitCondition(() => sessions.length === 1, 'the session');
    assert.deepEqual([...server.sessions()], sessions);
    assert.equal(sessions[0]!.remoteAddress, client.localAddress);
    assert.equal(sessions[0]!.send('late answer'), 'queued');
    await awaitCondition(() => got.length === 1, 'the answer');
    assert.deepEqual(got, ['late answer']);
    client.close();
    server.close();
    assert.equal(sessions[0]!.isOpen, false);
    assert.equal(sessions[0]!.send('too late'), 'closed');
  });
});
