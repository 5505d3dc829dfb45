/** Sessions and datagram sockets written to by id: from the main thread, from other reactors, from any other thread. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { datagram, type Server } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import {
  counted,
  DATAGRAM_SHAPES,
  type DatagramStage,
  report,
  staged,
  type UdpPeer,
} from '../support/datagram-stage.js';
import type { DatagramIds } from '../support/engine-handlers/datagrams.js';
import { SendingThread } from '../support/sending-thread.js';

let folder = '';
let names = 0;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-by-id-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function path(scheme: string): string {
  names += 1;
  return `${scheme}://${join(folder, `${names}`)}`;
}

async function idsOf(server: Server): Promise<DatagramIds> {
  const all = (await server.executeAll('ids')) as DatagramIds[];
  return {
    sessions: all.flatMap(({ sessions }) => sessions),
    sockets: all.flatMap(({ sockets }) => sockets),
  };
}

/** Peers with a session each, and the sessions' ids. */
async function peersOf(
  stage: DatagramStage,
  server: Server,
  count: number,
): Promise<{ peer: UdpPeer; id: number }[]> {
  const peers = await Promise.all(Array.from({ length: count }, () => stage.peer()));
  for (const peer of peers) await peer.send('hello', server.addresses[0]!);
  await counted(server, 'sessionsOpened', count);
  const { sessions } = await idsOf(server);
  const byAddress = new Map(sessions.map(({ id, address }) => [address, id]));
  return peers.map((peer) => ({ peer, id: byAddress.get(`udp://127.0.0.1:${peer.port}`)! }));
}

async function withThread(server: Server, run: (thread: SendingThread) => Promise<void>) {
  const thread = new SendingThread(server);
  try {
    await run(thread);
  } finally {
    await thread.close();
  }
}

for (const shape of DATAGRAM_SHAPES) {
  const isLocal = shape.reactors === 1;
  describe(`by id, ${shape.name}`, { skip: shape.skip }, () => {
    it('each session is reached from every thread', () =>
      staged(async (stage) => {
        const options = { datagram: { sessions: true } };
        const server = await stage.serve(shape, options, { isMute: true });
        const all = await peersOf(stage, server, 9);
        assert.equal(new Set(all.map(({ id }) => id)).size, 9);
        await withThread(server, async (thread) => {
          for (const { peer, id } of all) {
            assert.equal(server.send(id, 'main'), 'queued');
            const results = await server.executeAll('sendById', { id, text: 'reactor' });
            assert.deepEqual(results, new Array(shape.reactors).fill('queued'));
            assert.deepEqual(await thread.send({ id, text: 'thread' }), ['queued']);
            const got = (await peer.read(shape.reactors + 2)).map(String);
            const expected = ['main', ...new Array(shape.reactors).fill('reactor'), 'thread'];
            assert.deepEqual(got.sort(), expected.sort());
            const found = await server.executeAll('finds', id);
            assert.equal(found.filter((isThere) => isThere === true).length, 1);
          }
        });
        assert.equal(server.stats.totals.staleSends, 0);
      }));

    it('what is for a session that is gone is dropped and counted, a new one has a new id', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { datagram: { sessions: true } }, { isMute: true });
        const { peer, id } = (await peersOf(stage, server, 1))[0]!;
        await server.executeAll('closeSession', id);
        await counted(server, 'sessionsClosed', 1);
        await peer.send('again', server.addresses[0]!);
        await counted(server, 'sessionsOpened', 2);
        assert.equal(server.send(id, Buffer.from('late')), isLocal ? 'closed' : 'queued');
        await withThread(server, async (thread) => {
          assert.deepEqual(await thread.send({ id, text: 'late' }), ['queued']);
        });
        await counted(server, 'staleSends', isLocal ? 1 : 2);
        const { sessions } = await idsOf(server);
        const second = sessions.find((session) => session.id !== id)!;
        assert.equal(second.address, `udp://127.0.0.1:${peer.port}`);
        assert.equal(server.send(second.id, Buffer.from('new')), 'queued');
        assert.deepEqual((await peer.read(1)).map(String), ['new']);
        assert.equal(server.stats.totals.staleSends, isLocal ? 1 : 2);
      }));

    it('a socket sends to whom it is told', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, {}, { isMute: true });
        const { sockets } = await idsOf(server);
        assert.equal(sockets.length, shape.reactors);
        const peer = await stage.peer();
        const to = `udp://127.0.0.1:${peer.port}`;
        for (const { id } of sockets) {
          assert.equal(server.send(id, Buffer.from('main'), to), 'queued');
          assert.deepEqual(
            await server.executeAll('sendById', { id, text: 'reactor', to }),
            new Array(shape.reactors).fill('queued'),
          );
          // No id of a connection: it reaches nobody.
          assert.ok(['queued', 'closed'].includes(server.write(id, Buffer.from('no stream'))));
        }
        const expected = shape.reactors * (shape.reactors + 1);
        const got = (await peer.read(expected)).map(String);
        assert.equal(got.filter((text) => text === 'main').length, shape.reactors);
        assert.equal(got.filter((text) => text === 'reactor').length, shape.reactors ** 2);
      }));

    it('what cannot be sent is an error at once, or dropped and told', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { datagram: { sessions: true } }, { isMute: true });
        const { id } = (await peersOf(stage, server, 1))[0]!;
        const socket = (await idsOf(server)).sockets[0]!.id;
        const bytes = Buffer.from('x');
        assert.throws(() => server.send(-1, bytes), TypeError);
        assert.throws(() => server.send(id, bytes, 'udp://127.0.0.1:9'), TypeError);
        assert.throws(() => server.send(socket, bytes, 'nowhere'), TypeError);
        assert.throws(() => server.send(id, 7 as never), /[Ee]xpected a Uint8Array/);
        assert.equal(server.send(id, Buffer.alloc(300_000)), 'too-long');
        assert.equal(server.send(2 ** 52 + 2 ** 51, bytes), 'closed');
        await withThread(server, async (thread) => {
          const results = await thread.send(
            // One that is not connected, without an address; an address of another family; more than UDP takes.
            { id: socket, text: 'to whom?' },
            { id: socket, text: 'across', to: 'udp6://[::1]:9' },
            { id, text: 'x'.repeat(70_000) },
          );
          assert.deepEqual(results, ['queued', 'queued', 'queued']);
          await counted(server, 'datagramsDropped', 3);
          await awaitCondition(async () => (await report(server)).errors.length === 3, 'errors');
          const { errors } = await report(server);
          assert.ok(errors.some((error) => error.startsWith('EMSGSIZE')));
          await server.close();
          assert.deepEqual(await thread.send({ id, text: 'late' }), ['closed']);
        });
        assert.equal(server.send(id, bytes), 'closed');
      }));

    it('a seqpacket connection is reached, and ends when there is no room for what comes', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { listen: path('seqpacket') });
        const got: string[] = [];
        const socket = await datagram({
          connect: server.addresses[0]!,
          handler: { onDatagram: (_socket, bytes) => void got.push(bytes.toString()) },
        });
        await counted(server, 'sessionsOpened', 1);
        const { id } = (await idsOf(server)).sessions[0]!;
        await withThread(server, async (thread) => {
          assert.deepEqual(await thread.send({ id, text: 'from afar' }), ['queued']);
          await awaitCondition(() => got.length === 1, 'the message');
          assert.deepEqual(got, ['from afar']);
          socket.pause();
          const text = 'x'.repeat(60_000);
          await awaitCondition(async () => {
            await thread.send(...Array.from({ length: 8 }, () => ({ id, text })));
            return (await report(server)).closed.length === 1;
          }, 'the overflow');
        });
        assert.equal((await report(server)).closed[0]!.code, 'overflow');
        assert.equal(server.stats.totals.refusedWriteOverflow, 1);
        socket.close();
      }));

    it('a full queue of a datagram socket drops and counts', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { listen: path('unixgram') });
        const deaf = await datagram({ bind: path('unixgram') });
        deaf.pause();
        const { id } = (await idsOf(server)).sockets[0]!;
        await withThread(server, async (thread) => {
          const order = { id, text: 'hello?', to: deaf.localAddress };
          await awaitCondition(async () => {
            await thread.send(...new Array(200).fill(order));
            return server.stats.totals.datagramsDropped > 0;
          }, 'a drop');
        });
        // It still sends to others.
        const got: string[] = [];
        const other = await datagram({
          bind: path('unixgram'),
          handler: { onDatagram: (_socket, bytes) => void got.push(bytes.toString()) },
        });
        assert.equal(server.send(id, Buffer.from('hello'), other.localAddress), 'queued');
        await awaitCondition(() => got.length === 1, 'the datagram');
        for (const socket of [deaf, other]) socket.close();
      }));
  });
}
