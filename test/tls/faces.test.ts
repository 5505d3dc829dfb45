/** What the reactor gives to those who ask for a connection of TLS by its id: the one that the handler has. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import tls from 'node:tls';

import type { CloseReason, Connection, Handler, Server } from '../../src/index.js';
import { dial, serve } from '../../src/index.js';
import { dialTls, tlsHandler } from '../../src/tls/index.js';
import { connectWebSocket, type WebSocketClose } from '../../src/websocket/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, cleanUp, ECHO, NodeClient, startTls } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const REACTORS = 2;
checkLeaks();

async function start(isWebSocket: boolean): Promise<Server> {
  const { certFile, keyFile } = certificates.server;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: new URL('../support/engine-handlers/tls-faces.js', import.meta.url),
    reactors: REACTORS,
    data: { certFile, keyFile, isWebSocket },
    balance: 'round-robin',
  });
  cleanUp(() => server.close({ deadlineMs: 0 }));
  return server;
}

class Peer {
  received = '';
  hasEnded = false;
  reason: CloseReason | undefined;
  connection!: Connection;

  static async connect(url: string): Promise<Peer> {
    const peer = new Peer();
    const handler: Handler = {
      onData(_connection, bytes) {
        peer.received += bytes.toString();
      },
      onEnd() {
        peer.hasEnded = true;
      },
      onClose(_connection, reason) {
        peer.reason = reason;
      },
    };
    const ca = certificates.ca.cert;
    peer.connection = await dialTls(url, { serverName: 'localhost', ca, handler });
    cleanUp(() => peer.connection.abort());
    return peer;
  }
}

/** All ids, each with the index of its reactor. */
async function idsOf(server: Server, count: number): Promise<[number, number][]> {
  let ids: number[][] = [];
  await awaitCondition(async () => {
    ids = (await server.executeAll('ids')) as number[][];
    return ids.flat().length === count;
  }, `${count} connections`);
  return ids.flatMap((own, index) => own.map((id): [number, number] => [index, id]));
}

it('find and connections give what the hooks got; orders from another thread are those of TLS', async () => {
  const server = await start(false);
  const url = server.addresses[0]!;
  for (const what of ['end', 'close', 'abort'] as const) {
    const peers = [await Peer.connect(url), await Peer.connect(url)];
    const ids = await idsOf(server, peers.length);
    for (const [index, id] of ids) {
      const facts = await server.execute(index, 'facts', id);
      const state = 'open';
      assert.deepEqual(facts, { isOurs: true, isListed: true, protocol: 'TLSv1.3', state });
      const elsewhere = (await server.execute(1 - index, 'facts', id)) as { state?: string };
      assert.equal(elsewhere.state, undefined, 'it is no connection of the other reactor');
      for (const order of ['write', 'writev']) {
        const result = await server.execute(index, 'order', [id, order]);
        assert.ok(result === 'sent' || result === 'queued');
      }
      assert.equal(server.write(id, Buffer.from('from here')), 'queued');
      await server.execute(1 - index, 'writeById', id);
    }
    for (const peer of peers) {
      const parts = ['written', 'written', 'from here', 'by id'];
      const { length } = parts.join('');
      await awaitCondition(() => peer.received.length === length, 'what was written');
      for (const part of parts) assert.ok(peer.received.includes(part), peer.received);
      peer.received = '';
      peer.connection.write('ping');
      await awaitCondition(() => peer.received === 'ours ping', 'the echo, with the context');
    }
    for (const [index, id] of ids) await server.execute(index, 'order', [id, what]);
    for (const peer of peers) {
      await awaitCondition(() => peer.reason !== undefined, `the close after ${what}`);
      // Without close_notify it would be an error, ERR_TLS_TRUNCATED.
      assert.equal(peer.reason!.code, what === 'abort' ? 'reset' : 'ended', what);
      assert.equal(peer.hasEnded, what !== 'abort');
    }
    await idsOf(server, 0);
    for (const [index, id] of ids) {
      const { state } = (await server.execute(index, 'facts', id)) as { state?: string };
      assert.equal(state, undefined);
    }
  }
});

it('a connection in its handshake is not shown; layers on layers show the highest', async () => {
  const inner = tlsHandler(
    { cert: certificates.server.cert, key: certificates.server.key },
    {
      ...ECHO,
      onOpen(connection) {
        connection.context = 'highest';
      },
    },
  );
  const { port, seen } = await startTls(certificates, inner);
  const trusting = { ca: certificates.ca.cert, servername: 'localhost' };
  const outer = await NodeClient.connect(port, trusting);
  await awaitCondition(() => seen.length === 1, 'the handshake of the lower layer');
  const { connection } = seen[0]!;
  const { reactor, id } = connection;
  assert.equal(reactor.find(id), undefined, 'the upper layer has not begun');
  assert.deepEqual([...reactor.connections()], []);
  assert.equal(reactor.connectionCount, 1);
  assert.equal(reactor.write(id, Buffer.from('too early')), 'closed');
  const upper = new NodeClient(tls.connect({ ...trusting, socket: outer.socket }));
  await upper.assertEchoes();
  const found = reactor.find(id)!;
  assert.notEqual(found, connection);
  assert.equal(found.context, 'highest');
  assert.deepEqual([...reactor.connections()], [found]);
  found.write('by id');
  assert.equal((await upper.read(5)).toString(), 'by id');
  found.close();
  await awaitCondition(() => upper.hasEnded, 'the end of the upper layer');
  outer.socket.destroy();
  await awaitCondition(() => reactor.connectionCount === 0, 'the close');
  assert.equal(reactor.find(id), undefined);
});

it('WebSockets over TLS: broadcast, close and writes by id', async () => {
  const server = await start(true);
  const url = server.addresses[0]!.replace('tcp://', 'wss://').replace('127.0.0.1', 'localhost');
  const texts: string[][] = [];
  const closes: WebSocketClose[] = [];
  const open = async () => {
    const own: string[] = [];
    texts.push(own);
    return connectWebSocket(dial, url, {
      dialTls: (to, options) => dialTls(to, { ...options, ca: certificates.ca.cert }),
      deflate: true,
      onMessage: (_socket, data) => void own.push(data.toString()),
      onClose: (_socket, close) => void closes.push(close),
    });
  };
  const sockets = [await open(), await open(), await open(), await open()];
  const ids = await idsOf(server, sockets.length);
  assert.deepEqual(new Set(ids.map(([index]) => index)), new Set([0, 1]));
  sockets[0]!.send('to all');
  await awaitCondition(() => texts.every((own) => own.length === 1), 'the broadcast');
  assert.ok(texts.every(([text]) => text === 'to all'));
  for (const [index, id] of ids) {
    const { isOurs } = (await server.execute(index, 'facts', id)) as { isOurs: boolean };
    assert.equal(isOurs, true, 'the connection that the WebSocket has');
    // A frame of the text "hi", made by hand.
    assert.equal(server.write(id, Buffer.from([0x81, 2, 0x68, 0x69])), 'queued');
  }
  await awaitCondition(() => texts.every((own) => own.length === 2), 'the frames by id');
  assert.ok(texts.every((own) => own[1] === 'hi'));
  const [index, id] = ids[0]!;
  await server.execute(index, 'order', [id, 'close']);
  await awaitCondition(() => closes.length === 1, 'the close by id');
  assert.equal(closes[0]!.connection.code, 'ended', 'with close_notify');
  assert.equal(((await server.executeAll('closeWebSockets')) as number[]).length, REACTORS);
  await awaitCondition(() => closes.length === sockets.length, 'all closes');
  assert.deepEqual(
    closes.map(({ code }) => code),
    [1006, 1001, 1001, 1001],
  );
});
