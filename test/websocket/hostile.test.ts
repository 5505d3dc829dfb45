/** Peers that want memory, time or a crash: what they get, and that others do not notice. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WebSocketHub } from '../../src/websocket/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { RawClient } from '../support/raw-client.js';
import { startServer } from './support/echo-server.js';
import { closePayload, frame, masked, OP, oneByteFragments } from './support/frames.js';
import { RawWebSocket, requestText } from './support/raw-web-socket.js';

test('fragments without end hold no more than the largest message', async (t) => {
  const { url } = await startServer(t, { messageBytesMax: 100_000, fragmentsMax: 1_000_000 });
  const peer = await RawWebSocket.open(t, url);
  peer.write(oneByteFragments(100_001));
  assert.equal(await peer.line(), 'close 1009 the message is too big');
  peer.client.socket.end();
});

test('a broadcast with stalled peers: their queues are bounded, the others get everything', async (t) => {
  const hub = new WebSocketHub({ whenSlow: 'drop-new' });
  const writeQueueMax = 200_000;
  const { url, server, sockets } = await startServer(
    t,
    { hub, onOpen: (socket) => void hub.subscribe(socket, 'all') },
    { writeQueueMax, writeTimeoutMs: 0 },
  );
  const stalled: RawClient[] = [];
  t.after(() => {
    for (const client of stalled) client.close();
  });
  for (let i = 0; i < 50; i += 1) {
    const client = await RawClient.connect(url, { receiveBufferBytes: 4_096 });
    await client.send(Buffer.from(requestText()));
    stalled.push(client);
  }
  const readers = await Promise.all(Array.from({ length: 5 }, () => RawWebSocket.open(t, url)));
  await awaitCondition(() => sockets.length === 55, 'everybody');
  const message = Buffer.alloc(10_000, 'x');
  for (let i = 0; i < 500; i += 1) {
    message.writeUInt32BE(i);
    hub.publish('all', message);
    if (i % 10 === 9) {
      for (const reader of readers) {
        for (let n = i - 9; n <= i; n += 1) {
          assert.equal((await reader.frame())!.payload.readUInt32BE(), n);
        }
      }
      const queued = sockets.map(({ queuedBytes }) => queuedBytes);
      assert.ok(Math.max(...queued) <= writeQueueMax);
    }
  }
  assert.ok(hub.stats.droppedNew > 0);
  assert.equal(server.stats.totals.connections, 55, 'nobody was thrown out');
});

test('RST, FIN and garbage in every state', async (t) => {
  const { url, handler, warnings, closes } = await startServer(t, { deflate: true });
  const head = Buffer.from(requestText());
  const hello = masked(OP.TEXT, 'hello');
  const whole = Buffer.concat([
    head,
    hello,
    masked(OP.TEXT, 'Hel', { fin: false }),
    masked(OP.PING, 'ping'),
    masked(OP.CONTINUATION, 'lo'),
    masked(OP.CLOSE, closePayload(1000)),
  ]);
  for (let cut = 1; cut <= whole.length; cut += 3) {
    for (const way of ['reset', 'end', 'garbage'] as const) {
      const peer = await RawWebSocket.connect(t, url);
      peer.client.socket.on('error', () => {});
      peer.write(whole.subarray(0, cut));
      await rounds(1);
      if (way === 'reset') {
        peer.client.socket.resetAndDestroy();
      } else if (way === 'end') {
        peer.client.socket.end();
      } else {
        peer.client.socket.end(Buffer.alloc(200, 0xff));
      }
    }
  }
  const last = await RawWebSocket.open(t, url);
  last.send(OP.TEXT, 'still here');
  assert.equal(await last.line(), 'text still here');
  await last.close();
  await awaitCondition(() => handler.stats.sockets === 0, 'all to be gone');
  assert.equal(handler.stats.opened, closes.length);
  assert.deepEqual(warnings, [], 'nothing threw');
});

test('a socket may be closed, aborted and used from any hook', async (t) => {
  for (const way of ['close', 'abort', 'connection.close', 'connection.abort'] as const) {
    const { url, closes, warnings } = await startServer(t, {
      onMessage(socket) {
        if (way === 'close') socket.close(4_000);
        else if (way === 'abort') socket.abort();
        else if (way === 'connection.close') socket.connection.close();
        else socket.connection.abort();
        socket.pause();
        socket.resume();
        assert.equal(socket.send('x'), 'closed', way);
        assert.equal(socket.ping(), 'closed');
        assert.equal(socket.sendFragment('x', true), 'closed');
        socket.close(4_001);
      },
      onClose(socket) {
        assert.equal(socket.state, 'closed');
        assert.equal(socket.send('x'), 'closed');
        socket.close();
        socket.abort();
        socket.pause();
        socket.resume();
      },
    });
    const peer = await RawWebSocket.open(t, url);
    peer.client.socket.on('error', () => {});
    peer.write(Buffer.concat([masked(OP.TEXT, 'one'), masked(OP.PONG, ''), frame(OP.PONG, '')]));
    await awaitCondition(() => closes.length === 1 || peer.client.isEnded, `onClose, ${way}`);
    peer.client.socket.end();
    await awaitCondition(() => closes.length === 1, `onClose, ${way}`);
    assert.deepEqual(warnings, [], way);
  }
});
