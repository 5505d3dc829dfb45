/** websocket/server: the opening handshake, messages, closing and deadlines, as a peer of bare bytes sees them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { serve } from '../../src/index.js';
import { type WebSocket, webSocketHandler, webSocketServer } from '../../src/websocket/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startServer } from './support/echo-server.js';
import { closePayload, frame, masked, OP } from './support/frames.js';
import { RawWebSocket } from './support/raw-web-socket.js';

test("the RFC's handshake, and messages both ways", async (t) => {
  const { url, closes, sockets, handler } = await startServer(t);
  const peer = await RawWebSocket.open(t, url);
  assert.equal(
    peer.head,
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n',
  );
  peer.send(OP.TEXT, 'hello');
  peer.send(OP.BINARY, 'bytes');
  peer.send(OP.PING, 'p');
  assert.deepEqual(await peer.lines(3), ['text hello', 'binary bytes', 'pong p']);
  assert.equal(sockets[0]!.state, 'open');
  assert.equal(sockets[0]!.protocol, '');
  await peer.close(4_000);
  await awaitCondition(() => closes.length === 1, 'onClose');
  const { code, reason, isClean, violation, timeout } = closes[0]!;
  assert.deepEqual(
    { code, reason, isClean, violation, timeout },
    { code: 4_000, reason: '', isClean: true, violation: undefined, timeout: undefined },
  );
  assert.equal(sockets[0]!.state, 'closed');
  assert.equal(sockets[0]!.send('too late'), 'closed');
  const { opened, messagesReceived, messagesSent } = handler.stats;
  assert.deepEqual([opened, messagesReceived, messagesSent, handler.stats.sockets], [1, 2, 2, 0]);
});

test('a violation is answered with its close code and reason, and the connection closed', async (t) => {
  const { url, closes, handler } = await startServer(t);
  const peer = await RawWebSocket.open(t, url);
  peer.write(Buffer.concat([frame(OP.TEXT, 'unmasked'), masked(OP.TEXT, 'canary')]));
  const lines = await peer.lines(2);
  assert.deepEqual(lines, ['close 1002 a frame of a client must be masked', 'end']);
  peer.client.socket.end();
  await awaitCondition(() => closes.length === 1, 'onClose');
  assert.equal(closes[0]!.violation?.code, 'ERR_WS_UNMASKED');
  assert.equal(closes[0]!.code, 1006);
  assert.equal(closes[0]!.isClean, false);
  assert.equal(handler.stats.violations, 1);
  assert.equal(handler.stats.messagesReceived, 0);
});

test('our close handshake: what the peer sends before its own close frame arrives', async (t) => {
  const received: string[] = [];
  const { url, closes } = await startServer(t, {
    onMessage(socket, data) {
      received.push(data.toString());
      if (received.length === 1) {
        socket.close(4_001, 'enough');
        socket.close(4_002, 'a second one changes nothing');
        assert.equal(socket.send('x'), 'closed');
        assert.equal(socket.ping(), 'closed');
        assert.equal(socket.state, 'closing');
      }
    },
  });
  const peer = await RawWebSocket.open(t, url);
  peer.send(OP.TEXT, 'one');
  assert.equal(await peer.line(), 'close 4001 enough');
  peer.send(OP.TEXT, 'two');
  peer.send(OP.PING, 'no answer after a close frame');
  peer.send(OP.CLOSE, closePayload(4_001));
  peer.send(OP.TEXT, 'three');
  assert.equal(await peer.line(), 'end');
  peer.client.socket.end();
  await awaitCondition(() => closes.length === 1, 'onClose');
  assert.deepEqual(received, ['one', 'two']);
  assert.equal(closes[0]!.code, 4_001);
  assert.equal(closes[0]!.isClean, true);
});

test('a peer that does not answer the close frame is cut off', async (t) => {
  const { url, closes, handler } = await startServer(t, {
    closeTimeoutMs: 20,
    onMessage: (socket) => socket.close(),
  });
  const peer = await RawWebSocket.open(t, url);
  peer.send(OP.TEXT, 'close!');
  assert.equal(await peer.line(), 'close 1000');
  await peer.client.closes();
  await awaitCondition(() => closes.length === 1, 'onClose');
  assert.equal(closes[0]!.timeout, 'close');
  assert.equal(handler.stats.closeTimeouts, 1);
});

test('FIN and RST without a close frame are 1006', async (t) => {
  const { url, closes } = await startServer(t);
  const fin = await RawWebSocket.open(t, url);
  fin.write(masked(OP.TEXT, 'half of it').subarray(0, 9));
  fin.client.socket.end();
  await awaitCondition(() => closes.length === 1, 'onClose');
  const rst = await RawWebSocket.open(t, url);
  rst.client.socket.resetAndDestroy();
  await awaitCondition(() => closes.length === 2, 'onClose');
  assert.deepEqual(
    closes.map(({ code, isClean, connection }) => [code, isClean, connection.code]),
    [
      [1006, false, 'ended'],
      [1006, false, 'reset'],
    ],
  );
});

test('a silent peer is pinged, and given up if it stays silent', async (t) => {
  const { url, closes, handler } = await startServer(t, { pingIntervalMs: 25 });
  const dead = await RawWebSocket.open(t, url);
  assert.equal(await dead.line(), 'ping');
  await dead.client.closes();
  await awaitCondition(() => closes.length === 1, 'onClose');
  assert.equal(closes[0]!.timeout, 'ping');
  assert.equal(handler.stats.pingTimeouts, 1);
});

test('a silent peer that answers pings stays', async (t) => {
  const pongs: string[] = [];
  const { url, handler } = await startServer(t, {
    // Far more than an answer takes here, whatever else the machine does.
    pingIntervalMs: 700,
    onPong: (_socket, data) => pongs.push(data.toString()),
  });
  const alive = await RawWebSocket.open(t, url);
  for (let i = 0; i < 2; i += 1) {
    assert.equal(await alive.line(), 'ping', 'it is still there, and pinged again');
    alive.send(OP.PONG, `${i}`);
  }
  await awaitCondition(() => pongs.length === 2, 'pongs');
  assert.equal(handler.stats.sockets, 1);
});

test('pause holds messages, also of the batch under way, until resume', async (t) => {
  const received: string[] = [];
  const { url, sockets } = await startServer(t, {
    onMessage(socket, data) {
      received.push(data.toString());
      socket.pause();
    },
  });
  const peer = await RawWebSocket.open(t, url);
  const count = 6;
  const all = Array.from({ length: count }, (_, i) => masked(OP.TEXT, `${i}`));
  peer.write(Buffer.concat(all));
  for (let i = 1; i <= count; i += 1) {
    await awaitCondition(() => received.length === i, 'the next message');
    await rounds(3);
    assert.equal(received.length, i);
    assert.equal(sockets[0]!.isPaused, true);
    sockets[0]!.resume();
  }
  assert.deepEqual(received, ['0', '1', '2', '3', '4', '5']);
});

test('back-pressure: queued, full, drained, and nothing lost of what was taken', async (t) => {
  const results = new Map<string, number>();
  let drains = 0;
  let sent = 0;
  const size = 50_000;
  function fill(socket: WebSocket): void {
    for (let result = ''; sent < 400 && result !== 'full'; ) {
      result = socket.send(Buffer.alloc(size, sent));
      results.set(result, (results.get(result) ?? 0) + 1);
      sent += result === 'full' ? 0 : 1;
    }
    if (sent === 400) socket.close(1000);
  }
  const { url, handler } = await startServer(
    t,
    {
      onMessage: (socket) => fill(socket),
      onDrain(socket) {
        drains += 1;
        fill(socket);
      },
    },
    { writeQueueMax: 300_000 },
  );
  const peer = await RawWebSocket.open(t, url);
  peer.client.socket.pause();
  peer.send(OP.TEXT, 'go');
  await awaitCondition(() => (results.get('full') ?? 0) > 0, 'a full queue');
  assert.ok(handler.stats.messagesRefused > 0);
  peer.client.socket.resume();
  for (let i = 0; i < 400; i += 1) {
    const { payload, opcode } = (await peer.frame())!;
    assert.equal(opcode, OP.BINARY);
    assert.ok(payload.length === size && payload.every((byte) => byte === (i & 255)), `${i}`);
  }
  assert.equal(await peer.line(), 'close 1000');
  assert.ok(drains > 0);
});

test('pings of a peer that does not read: all are answered at first, then only the last', async (t) => {
  const { url, handler } = await startServer(
    t,
    {
      onMessage: (socket) => void socket.send(Buffer.alloc(3_000_000)),
    },
    { writeQueueMax: 4_000_000, highWaterMark: 3_500_000 },
  );
  const peer = await RawWebSocket.open(t, url);
  for (let i = 0; i < 10; i += 1) peer.send(OP.PING, `${i}`);
  assert.equal(
    (await peer.lines(10)).join(),
    Array.from({ length: 10 }, (_, i) => `pong ${i}`).join(),
  );
  peer.client.socket.pause();
  peer.send(OP.BINARY, 'a lot, please');
  peer.send(OP.BINARY, 'more');
  for (let i = 0; i < 2_000; i += 1) peer.send(OP.PING, `ping ${i}`);
  await awaitCondition(() => handler.stats.pongsCoalesced > 0, 'pongs that wait');
  peer.client.socket.resume();
  const lines: string[] = [];
  while (lines.at(-1) !== 'pong ping 1999') lines.push(await peer.line());
  const pongs = lines.filter((line) => line.startsWith('pong'));
  assert.equal(pongs.length + handler.stats.pongsCoalesced, 2_000);
});

test('a hook that throws costs its own connection', async (t) => {
  const { url, warnings, closes } = await startServer(t, {
    onMessage(socket, data) {
      if (data.toString() === 'throw') throw new Error('a hook');
      socket.send(data, { isBinary: false });
    },
  });
  const other = await RawWebSocket.open(t, url);
  const peer = await RawWebSocket.open(t, url);
  peer.send(OP.TEXT, 'throw');
  await peer.client.closes();
  other.send(OP.TEXT, 'still here');
  assert.equal(await other.line(), 'text still here');
  assert.equal(warnings[0]?.message, 'a hook');
  assert.equal(closes[0]?.connection.code, 'handler');
});

test('fragments, pings and pongs of ours, and wrong arguments', async (t) => {
  const { url, sockets } = await startServer(t);
  const peer = await RawWebSocket.open(t, url);
  await awaitCondition(() => sockets.length === 1, 'onOpen');
  const [socket] = sockets as [WebSocket];
  socket.sendFragment('Hel', false);
  socket.ping('between');
  assert.throws(() => socket.send('another'), /sendFragment/);
  socket.sendFragment(Buffer.from('lo'), true);
  socket.pong();
  socket.send(Buffer.from('text'), { isBinary: false });
  socket.send('é'.repeat(40_000));
  const expected = ['text+ Hel', 'ping between', 'continuation lo', 'pong', 'text text'];
  assert.deepEqual(await peer.lines(6), [...expected, 'text 80000 B']);
  assert.throws(
    () => socket.send(5 as never),
    /Cannot send: expected a string or a Uint8Array, got number/,
  );
  assert.throws(() => socket.ping('x'.repeat(126)), RangeError);
  assert.throws(() => socket.close(1005), RangeError);
  assert.throws(() => socket.close(1000, 'é'.repeat(62)), /at most 123 bytes, got 124/);
  assert.equal(socket.state, 'open');
});

test('wrong options are told at once', () => {
  const wrong: [object, RegExp][] = [
    [{ messageBytesMax: 0 }, /messageBytesMax/],
    [{ pingIntervalMs: -1 }, /pingIntervalMs/],
    [{ path: 'chat' }, /slash/],
    [{ protocols: ['a b'] }, /tokens/],
    [{ onMessage: 5 }, /onMessage to be a function/],
    [{ onUpgrade: 5 }, /onUpgrade/],
    [{ deflate: { level: 99 } }, /deflate\.level/],
  ];
  for (const [options, message] of wrong) assert.throws(() => webSocketServer(options), message);
  assert.throws(() => webSocketHandler({ role: 'both' as 'server' }), /role/);
});

test('closeWebSockets says goodbye to all before a shutdown', async (t) => {
  const { server, url } = await startServer(t);
  const peers = [await RawWebSocket.open(t, url), await RawWebSocket.open(t, url)];
  await awaitCondition(() => server.stats.totals.connections === 2, 'both');
  assert.deepEqual(await server.executeAll('closeWebSockets', { reason: 'restart' }), [2]);
  for (const peer of peers) {
    assert.equal(await peer.line(), 'close 1001 restart');
    peer.send(OP.CLOSE, closePayload(1001));
    assert.equal(await peer.line(), 'end');
    peer.client.socket.end();
  }
});

test('webSocketHandler speaks from the first byte on, over a Unix socket too', async (t) => {
  const handler = webSocketHandler({
    onMessage: (socket, data, isBinary) => void socket.send(data, { isBinary }),
  });
  const server = await serve({ listen: `unix:///tmp/millrace-ws-${process.pid}.sock`, handler });
  t.after(() => server.close({ deadlineMs: 0 }));
  const client = await NetClient.connect(t, server.addresses[0]!);
  client.write(masked(OP.TEXT, 'hello'));
  await awaitCondition(() => client.received.length >= 7, 'the echo');
  assert.deepEqual(client.received, frame(OP.TEXT, 'hello'));
});

test('a server that closes says 1001 to each WebSocket, and waits for their answers', async (t) => {
  const opened: WebSocket[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: webSocketServer({ onOpen: (socket) => void opened.push(socket) }),
  });
  t.after(() => server.close({ deadlineMs: 0 }));
  const peer = await RawWebSocket.open(t, server.addresses[0]!);
  const halfway = await NetClient.connect(t, server.addresses[0]!);
  halfway.socket.write('GET / HTTP/1.1\r\n');
  await awaitCondition(() => opened.length === 1, 'the WebSocket');
  let isClosed = false;
  const closing = server.close().then(() => {
    isClosed = true;
  });
  assert.deepEqual(await peer.lines(1), ['close 1001']);
  await rounds(20);
  assert.ok(!isClosed);
  peer.send(OP.CLOSE, closePayload(1_001));
  assert.deepEqual(await peer.lines(1), ['end']);
  peer.client.socket.end();
  halfway.socket.end();
  await closing;
});
