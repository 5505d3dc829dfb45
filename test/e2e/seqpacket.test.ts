/** Seqpacket connections as sessions, on both sides: ends in one direction and in both, deadlines, who the peer is. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import {
  type DatagramOptions,
  type DatagramSession,
  datagram,
  type Server,
} from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { DATAGRAM_SHAPES, type DatagramShape, staged } from '../support/datagram-stage.js';
import { handler, type PacketEvents } from '../support/engine-handlers/seqpackets.js';

const MODULE = new URL('../support/engine-handlers/seqpackets.js', import.meta.url);
const OPEN = { allowHalfOpen: true };

let folder = '';
let names = 0;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-seqpacket-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Client {
  readonly session: DatagramSession;
  readonly got: string[];
  readonly events: string[];
}

/** Runs a test with a server of that shape and a way to get sessions with it. */
function withServer(
  shape: DatagramShape,
  options: DatagramOptions,
  run: (server: Server, client: (own?: DatagramOptions) => Promise<Client>) => Promise<void>,
): Promise<void> {
  return staged(async (stage) => {
    names += 1;
    const server = await stage.serve(shape, {
      listen: `seqpacket://${join(folder, String(names))}`,
      datagram: options,
      handler: shape.reactors > 1 ? MODULE : handler(),
    });
    const clients: Client[] = [];
    try {
      await run(server, async (own = OPEN) => {
        const client = await connect(server.addresses[0]!, own);
        clients.push(client);
        return client;
      });
    } finally {
      for (const { session } of clients) session.abort();
    }
  });
}

async function connect(url: string, options: DatagramOptions): Promise<Client> {
  const got: string[] = [];
  const events: string[] = [];
  const socket = await datagram({
    ...options,
    connect: url,
    sessions: true,
    context: 'mine',
    handler: {
      onSessionOpen: (session) => void events.push(`open ${session.context}`),
      onSessionData: (_session, bytes) => void got.push(bytes.toString().trimEnd()),
      onSessionEnd: () => void events.push('end'),
      onSessionClose: (_session, { code }) => void events.push(code),
      onSocketClose: () => void events.push('a second end'),
    },
  });
  assert.deepEqual([...socket.sessions()], [socket.session]);
  return { session: socket.session!, got, events };
}

async function eventsOf(server: Server): Promise<PacketEvents> {
  const all = (await server.executeAll('events')) as PacketEvents[];
  return {
    events: all.flatMap(({ events }) => events),
    flooded: all.reduce((sum, { flooded }) => sum + flooded, 0),
  };
}

/** Waits until the server's sessions have seen just that. */
async function saw(server: Server, ...expected: string[]): Promise<void> {
  let last: string[] = [];
  await awaitCondition(async () => {
    last = (await eventsOf(server)).events;
    return last.length >= expected.length;
  }, `${expected}`);
  // Sessions may be on several reactors, each with its own list.
  const isOpening = (event: string) => event === 'open';
  const ordered = [...last.filter(isOpening), ...last.filter((event) => !isOpening(event))];
  assert.deepEqual(ordered, expected);
}

/** Waits until the flood has filled the server's queue for a client that does not read. */
async function flood({ session }: Client, server: Server): Promise<void> {
  session.socket.pause();
  session.send('flood');
  await awaitCondition(async () => (await eventsOf(server)).flooded > 0, 'the flood');
}

for (const shape of DATAGRAM_SHAPES) {
  describe(`a seqpacket session, ${shape.name}`, { skip: shape.skip }, () => {
    it('is one on both sides, and knows who its peer is', () =>
      withServer(shape, {}, async (server, client) => {
        const { session, got, events } = await client();
        const own = `${process.pid} ${process.getuid!()} ${process.getgid!()}`;
        session.send('who');
        await awaitCondition(() => got.length === 1, 'the answer');
        assert.deepEqual(got, [own]);
        const { processId, userId, groupId } = session.peerCredentials!;
        assert.equal(`${processId} ${userId} ${groupId}`, own);
        session.close();
        assert.equal(session.send('late'), 'closed');
        await saw(server, 'open', 'end', 'ended   closed');
        await awaitCondition(() => events.length === 2, 'the end');
        assert.deepEqual(events, ['open mine', 'closed']);
        assert.equal(session.peerCredentials, undefined);
      }));

    it('ends by half: what it is sent afterwards still comes', () =>
      withServer(shape, OPEN, async (server, client) => {
        const { session, got, events } = await client();
        session.send('one');
        session.end();
        session.end();
        assert.equal(session.send('late'), 'closed');
        await awaitCondition(() => got.length === 2, 'the answers');
        assert.deepEqual(got, ['one', 'seen']);
        assert.deepEqual([events, session.isOpen], [['open mine'], true]);
        await saw(server, 'open', 'end');
        session.close();
        await saw(server, 'open', 'end', 'ended   closed');
      }));

    it('whose peer has ended is closed once everything is sent, unless it is to stay', () =>
      withServer(shape, {}, async (server, client) => {
        const one = await client();
        one.session.send('one');
        one.session.end();
        await awaitCondition(() => one.events.length === 3, 'the end');
        assert.deepEqual(one.got, ['one', 'seen']);
        assert.deepEqual(one.events, ['open mine', 'end', 'ended']);
        await saw(server, 'open', 'end', 'ended   closed');
      }));

    it('that has ended its side goes on receiving', () =>
      withServer(shape, OPEN, async (server, client) => {
        const { session, got, events } = await client();
        session.send('one,end,late');
        await awaitCondition(() => events.includes('end'), 'the end');
        assert.deepEqual([got, session.isOpen], [['one'], true]);
        session.send('end');
        session.end();
        await awaitCondition(() => events.length === 3, 'both ends');
        assert.deepEqual(events, ['open mine', 'end', 'ended']);
        await saw(server, 'open', 'end', 'ended   closed');
      }));

    it('tells when there is room again, and nothing is lost', () =>
      withServer(shape, OPEN, async (server, client) => {
        const one = await client();
        await flood(one, server);
        one.session.socket.resume();
        await saw(server, 'open', 'drain');
        const { flooded } = await eventsOf(server);
        await awaitCondition(() => one.got.length === flooded, 'all of it');
        assert.deepEqual(
          one.got,
          Array.from({ length: flooded }, (_, i) => String(i)),
        );
      }));

    for (const how of ['close', 'action', 'end'] as const) {
      it(`by ${how} with a full queue sends all of it first`, () =>
        withServer(shape, {}, async (server, client) => {
          const one = await client();
          one.session.socket.pause();
          one.session.send(`flood,${how}`);
          await awaitCondition(async () => (await eventsOf(server)).flooded > 0, 'the flood');
          const { flooded } = await eventsOf(server);
          // Not read any more by one that closes; nor does it make the end a reset.
          if (how !== 'end') one.session.send('late');
          one.session.socket.resume();
          const ends = how === 'end' ? ['end'] : ['end', 'ended'];
          await awaitCondition(() => one.events.length > ends.length, 'the end');
          assert.deepEqual(one.events, ['open mine', ...ends]);
          assert.equal(one.got.length, flooded);
          assert.equal(one.got.at(-1), String(flooded - 1));
          if (how === 'end') one.session.end();
          const end = how === 'end' ? ['end', 'ended   closed'] : ['closed   closed'];
          const { events } = await eventsOf(server);
          await saw(server, 'open', ...(events.includes('drain') ? ['drain'] : []), ...end);
        }));
    }

    it('is bounded in time by a peer that does not read', () =>
      withServer(shape, { lingerTimeoutMs: 30 }, async (server, client) => {
        const one = await client();
        one.session.socket.pause();
        one.session.send('flood,close');
        await saw(server, 'open', 'timeout linger unsent closed');
        assert.equal(server.stats.totals.timeoutLinger, 1);
      }));

    it('is closed when its peer takes nothing for too long', () =>
      withServer(shape, { writeTimeoutMs: 30 }, async (server, client) => {
        const [deaf, other] = [await client(), await client()];
        deaf.session.socket.pause();
        deaf.session.send('flood');
        await saw(server, 'open', 'open', 'timeout write unsent closed');
        assert.equal(server.stats.totals.timeoutWrite, 1);
        other.session.send('still here');
        await awaitCondition(() => other.got.length === 1, 'the other');
      }));

    it('is aborted at once, with what waits', () =>
      withServer(shape, {}, async (server, client) => {
        const one = await client();
        one.session.socket.pause();
        one.session.send('flood,abort');
        await saw(server, 'open', 'aborted  unsent closed');
        one.session.socket.resume();
        await awaitCondition(() => one.events.length >= 3, 'the end');
        assert.ok(one.got.length < (await eventsOf(server)).flooded);
      }));

    it('whose hook throws is closed alone', () =>
      withServer(shape, {}, async (server, client) => {
        const [one, other] = [await client(), await client()];
        one.session.send('throw');
        await saw(server, 'open', 'open', 'handler   closed');
        other.session.send('still here');
        await awaitCondition(() => other.got.length === 1, 'the other');
      }));

    it('is cut off at the deadline of the server’s close', () =>
      withServer(shape, {}, async (server, client) => {
        const [deaf, other] = [await client(), await client()];
        await flood(deaf, server);
        other.session.send('last');
        await awaitCondition(() => other.got.length === 1, 'the other');
        await server.close({ deadlineMs: 50 });
        assert.equal(server.stats.totals.sessions, 0);
        await awaitCondition(() => other.events.length === 3, 'the end');
        assert.deepEqual(other.events, ['open mine', 'end', 'ended']);
      }));
  });
}

it('a UDP session has no half to end, can be aborted, and knows no credentials', async () => {
  const sessions: DatagramSession[] = [];
  const reasons: string[] = [];
  const server = await datagram({
    bind: 'udp://127.0.0.1:0',
    sessions: true,
    handler: {
      onSessionOpen: (session) => void sessions.push(session),
      onSessionClose: (_session, { code }) => void reasons.push(code),
    },
  });
  const client = await datagram({ connect: server.localAddress });
  client.send('hello');
  await awaitCondition(() => sessions.length === 1, 'the session');
  const [session] = sessions;
  assert.equal(session!.peerCredentials, undefined);
  assert.equal(server.session, undefined);
  session!.end();
  assert.equal(session!.send('goes on'), 'queued');
  session!.abort();
  assert.equal(session!.send('late'), 'closed');
  await awaitCondition(() => reasons.length === 1, 'the end');
  assert.deepEqual(reasons, ['aborted']);
  client.close();
  server.close();
});
