/** websocket/server-handshake, request and upgrade: opening handshakes in order and not, as a peer of bare bytes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Connection, type Handler, serve } from '../../src/index.js';
import { refusalResponse, webSocketServer } from '../../src/websocket/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { startServer } from './support/echo-server.js';
import { masked, OP } from './support/frames.js';
import { KEY, RawWebSocket, requestText } from './support/raw-web-socket.js';

test('the request may come byte by byte, and the first messages with it', async (t) => {
  const { url } = await startServer(t);
  const bytes = Buffer.concat([
    Buffer.from(requestText()),
    masked(OP.TEXT, 'first'),
    masked(OP.TEXT, 'second'),
  ]);
  const slow = await RawWebSocket.connect(t, url);
  for (const byte of bytes) {
    slow.write(Uint8Array.of(byte));
    await rounds(1);
  }
  const fast = await RawWebSocket.connect(t, url);
  fast.write(bytes);
  for (const peer of [slow, fast]) {
    assert.match(await peer.readHead(), /^HTTP\/1\.1 101 /);
    assert.deepEqual(await peer.lines(2), ['text first', 'text second']);
  }
});

const many = Array.from({ length: 101 }, (_, i) => `v${i}`);

const REFUSED: readonly [what: string, request: string, status: number][] = [
  ['no request', 'hello\r\n\r\n', 400],
  ['two spaces', requestText({}, 'GET  / HTTP/1.1'), 400],
  ['no version', requestText({}, 'GET /'), 400],
  ['lower case version', requestText({}, 'GET / http/1.1'), 400],
  ['HTTP/1.0', requestText({}, 'GET / HTTP/1.0'), 505],
  ['HTTP/2.0', requestText({}, 'GET / HTTP/2.0'), 505],
  ['POST', requestText({}, 'POST / HTTP/1.1'), 405],
  ['absolute form', requestText({}, 'GET http://localhost/ HTTP/1.1'), 400],
  ['control character in the target', requestText({}, 'GET /\x01 HTTP/1.1'), 400],
  ['fragment', requestText({}, 'GET /#a HTTP/1.1'), 400],
  ['no Host', requestText({ Host: undefined }), 400],
  ['two Hosts', requestText({ Host: ['a', 'b'] }), 400],
  ['a body', requestText({ 'Content-Length': '5' }), 400],
  ['a chunked body', requestText({ 'Transfer-Encoding': 'chunked' }), 400],
  ['no Upgrade', requestText({ Upgrade: undefined }), 426],
  ['another Upgrade', requestText({ Upgrade: 'h2c' }), 426],
  ['two Upgrades', requestText({ Upgrade: ['websocket', 'h2c'] }), 400],
  ['no Connection', requestText({ Connection: 'keep-alive' }), 400],
  ['no key', requestText({ 'Sec-WebSocket-Key': undefined }), 400],
  ['a short key', requestText({ 'Sec-WebSocket-Key': 'AAAA' }), 400],
  ['a key that is no base64', requestText({ 'Sec-WebSocket-Key': `${'!'.repeat(22)}==` }), 400],
  ['two keys', requestText({ 'Sec-WebSocket-Key': [KEY, KEY] }), 400],
  ['no WebSocket version', requestText({ 'Sec-WebSocket-Version': undefined }), 400],
  ['version 8', requestText({ 'Sec-WebSocket-Version': '8' }), 426],
  ['versions', requestText({ 'Sec-WebSocket-Version': '13, 8' }), 426],
  ['two versions', requestText({ 'Sec-WebSocket-Version': ['13', '13'] }), 400],
  ['a protocol twice', requestText({ 'Sec-WebSocket-Protocol': 'a, b, a' }), 400],
  ['a protocol that is no token', requestText({ 'Sec-WebSocket-Protocol': 'a b' }), 400],
  ['protocols without end', requestText({ 'Sec-WebSocket-Protocol': many.join() }), 400],
  ['extensions that are none', requestText({ 'Sec-WebSocket-Extensions': 'a b' }), 400],
  ['two Origins', requestText({ Origin: ['http://a', 'http://b'] }), 400],
  ['a space before the colon', requestText({ 'X ': 'a' }), 400],
  ['a folded line', requestText({ X: 'a\r\n b' }), 400],
  ['a bare CR', requestText({ X: 'a\rb' }), 400],
  ['a NUL', requestText({ X: 'a\0b' }), 400],
  ['an empty name', requestText({ '': 'a' }), 400],
  ['lines that end with LF', 'GET / HTTP/1.1\nHost: a\n\n', 400],
  ['a long line', requestText({ X: 'a'.repeat(8_200) }), 431],
  ['a long head', requestText({ X: many.map(() => 'a'.repeat(200)) }), 431],
  ['a head without end', 'GET / HTTP/1.1\r\n'.padEnd(40_000, 'X: abcdefgh\r\n'), 431],
  ['101 fields', requestText({ X: many.slice(0, 96) }), 431],
];

test('every request that is no opening handshake is refused with a status, and closed', async (t) => {
  const { url, handler, sockets } = await startServer(t);
  for (const [what, request, status] of REFUSED) {
    const peer = await RawWebSocket.connect(t, url);
    peer.write(request);
    assert.match(await peer.readHead(), new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`), what);
    assert.match(peer.head, /\r\nConnection: close\r\n/);
    const length = Number(/Content-Length: (\d+)/.exec(peer.head)![1]);
    assert.equal(Buffer.byteLength(await peer.rest()), length, what);
    peer.client.socket.end();
    if (status === 426 && what.includes('ersion')) {
      assert.match(peer.head, /\r\nSec-WebSocket-Version: 13\r\n/, what);
    }
  }
  assert.equal(sockets.length, 0);
  assert.equal(handler.stats.handshakesRefused, REFUSED.length);
});

test('unusual requests that are in order', async (t) => {
  const { url } = await startServer(t);
  const fields: Parameters<typeof requestText>[0][] = [
    { Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' },
    { Upgrade: 'h2c, websocket', Connection: ['close', 'Upgrade'] },
    { X: many.slice(0, 93), ['__proto__']: 'x', prototype: 'y' },
    { 'Content-Length': '0', 'X-Latin': 'caf\xe9\ttab' },
  ];
  for (const one of fields) await RawWebSocket.open(t, url, one);
  await RawWebSocket.open(t, url, {}, 'GET /any/path?query=%20 HTTP/1.1');
});

test('path, origins and subprotocols', async (t) => {
  const { url, sockets } = await startServer(t, {
    path: '/chat',
    origins: ['https://good.example'],
    protocols: ['v2', 'v1'],
  });
  const line = 'GET /chat?room=1 HTTP/1.1';
  const good = { Origin: 'https://good.example' };
  const offers = { ...good, 'Sec-WebSocket-Protocol': ['v0, v1', 'v2'] };
  const peer = await RawWebSocket.open(t, url, offers, line);
  assert.match(peer.head, /\r\nSec-WebSocket-Protocol: v1\r\n/, "the client's order counts");
  assert.equal(sockets[0]!.protocol, 'v1');
  const other = { ...good, 'Sec-WebSocket-Protocol': 'v3' };
  assert.doesNotMatch(
    (await RawWebSocket.open(t, url, other, line)).head,
    /Sec-WebSocket-Protocol/,
  );
  const refused: [string, Parameters<typeof requestText>[0], number][] = [
    ['GET /other HTTP/1.1', good, 404],
    [line, { Origin: 'https://evil.example' }, 403],
    [line, {}, 403],
  ];
  for (const [requestLine, fields, status] of refused) {
    const refusedPeer = await RawWebSocket.connect(t, url);
    refusedPeer.write(requestText(fields, requestLine));
    assert.match(await refusedPeer.readHead(), new RegExp(`^HTTP/1\\.1 ${status} `));
  }
});

test('onUpgrade decides, at once or later, and what comes meanwhile is kept', async (t) => {
  const asked: string[] = [];
  const { url, sockets, warnings } = await startServer(t, {
    async onUpgrade(request) {
      const token = request.header('Authorization');
      asked.push(`${request.path} ${request.host} ${request.protocols.join('|')} ${token}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (token === 'throw') throw new Error('the hook failed');
      return token === 'secret'
        ? { protocol: 'b', headers: { 'Set-Cookie': 'a=b' }, context: 'somebody' }
        : { status: 401, message: 'Who are you?', headers: { 'WWW-Authenticate': 'Basic' } };
    },
  });
  const peer = await RawWebSocket.connect(t, url);
  const fields = { Authorization: 'secret', 'Sec-WebSocket-Protocol': 'a, b' };
  peer.write(requestText(fields, 'GET /a?b HTTP/1.1'));
  peer.send(OP.TEXT, 'early');
  await rounds(20);
  peer.send(OP.TEXT, 'later');
  await peer.readHead();
  assert.match(
    peer.head,
    /^HTTP\/1\.1 101 .*\r\nSec-WebSocket-Protocol: b\r\nSet-Cookie: a=b\r\n$/s,
  );
  assert.deepEqual(await peer.lines(2), ['text early', 'text later']);
  assert.equal(sockets[0]!.context, 'somebody');
  const stranger = await RawWebSocket.connect(t, url);
  stranger.write(requestText());
  assert.match(await stranger.readHead(), /^HTTP\/1\.1 401 .*\r\nWWW-Authenticate: Basic\r\n/s);
  assert.equal(await stranger.rest(), 'Who are you?\n');
  const unlucky = await RawWebSocket.connect(t, url);
  unlucky.write(requestText({ Authorization: 'throw' }));
  await unlucky.client.closes();
  assert.equal(warnings[0]?.message, 'the hook failed');
  assert.deepEqual(asked, [
    '/a localhost a|b secret',
    '/ localhost  undefined',
    '/ localhost  throw',
  ]);
});

test('who does not finish the handshake in time is cut off', async (t) => {
  const { url, handler } = await startServer(t, { handshakeTimeoutMs: 30 });
  const silent = await RawWebSocket.connect(t, url);
  const slow = await RawWebSocket.connect(t, url);
  slow.write('GET / HTTP/1.1\r\nHost: ');
  await silent.client.closes();
  await slow.client.closes();
  assert.equal(handler.stats.handshakesTimedOut, 2);
});

/** The smallest HTTP server there is, with a hook as a real one has: it splits at the empty line. */
function httpHandler(
  onUpgrade: (
    request: { header(name: string): string | undefined },
    connection: Connection,
  ) => Handler | undefined,
): Handler {
  const delegates = new Map<Connection, Handler>();
  return {
    onData(connection, bytes) {
      const delegate = delegates.get(connection);
      if (delegate !== undefined) return delegate.onData?.(connection, bytes);
      const end = bytes.indexOf('\r\n\r\n') + 4;
      const head = bytes.toString('latin1', 0, end);
      const header = (name: string) => new RegExp(`^${name}: (.*)\r`, 'im').exec(head)?.[1];
      const handler = onUpgrade({ header }, connection);
      if (handler === undefined) return 'close';
      delegates.set(connection, handler);
      connection.context = undefined;
      handler.onOpen?.(connection);
      return handler.onData?.(connection, bytes.subarray(end));
    },
    onEnd: (connection) => delegates.get(connection)?.onEnd?.(connection),
    onDrain: (connection) => delegates.get(connection)?.onDrain?.(connection),
    onClose(connection, reason) {
      delegates.get(connection)?.onClose?.(connection, reason);
      delegates.delete(connection);
    },
  };
}

test('an HTTP server hands a connection over: 101, what came with the request, and all events', async (t) => {
  const closed: unknown[] = [];
  const given = new Set<Handler>();
  const webSockets = webSocketServer({
    protocols: ['a'],
    deflate: true,
    onMessage: (socket, data) => void socket.send(`${data} back, ${socket.context}`),
    onClose: (socket, { code }) => void closed.push([socket.context, code]),
  });
  const handler = httpHandler((request, connection) => {
    const who = request.header('cookie');
    const acceptance = who === undefined ? {} : { context: who, headers: { 'X-Who': who } };
    const outcome = webSockets.upgrade(request, connection, acceptance);
    if ('status' in outcome) {
      connection.write(refusalResponse(outcome));
      return undefined;
    }
    if (who === undefined) given.add(outcome);
    return outcome;
  });
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
  t.after(() => server.close({ deadlineMs: 0 }));
  const url = server.addresses[0]!;
  const fields = { Cookie: 'ann', 'Sec-WebSocket-Protocol': 'b, a' };
  const peer = await RawWebSocket.connect(t, url);
  peer.write(Buffer.concat([Buffer.from(requestText(fields)), masked(OP.TEXT, 'early')]));
  assert.match(await peer.readHead(), /101 .*Sec-WebSocket-Protocol: a\r\nX-Who: ann\r\n/s);
  assert.equal(await peer.line(), 'text early back, ann');
  await peer.close();
  await awaitCondition(() => closed.length === 1, 'onClose');
  assert.deepEqual(closed, [['ann', 1000]]);
  for (let i = 0; i < 3; i += 1) await RawWebSocket.open(t, url);
  assert.equal(given.size, 1, 'connections with the same terms share a handler');
  const wrong = await RawWebSocket.connect(t, url);
  wrong.write(requestText({ 'Sec-WebSocket-Key': 'x' }));
  assert.match(await wrong.readHead(), /^HTTP\/1\.1 400 /);
  assert.equal(webSockets.stats.handshakesRefused, 1);
});
