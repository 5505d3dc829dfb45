/** websocket/client: against npm `ws` as server, our own server, and servers of bare bytes that misbehave. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { type WebSocket as WsSocket, WebSocketServer } from 'ws';

import { dial } from '../../src/index.js';
import {
  connectWebSocket,
  type ConnectWebSocketOptions,
  type WebSocket,
  type WebSocketClose,
} from '../../src/websocket/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { startServer } from './support/echo-server.js';
import { closePayload, frame, type ReadFrame, readFrame } from './support/frames.js';
import { acceptFor, lineOf } from './support/raw-web-socket.js';

interface Scope {
  after(callback: () => void): void;
}

/** A client that notes what its hooks are told. */
class Client {
  readonly messages: string[] = [];
  readonly closes: WebSocketClose[] = [];
  socket!: WebSocket;

  static async open(url: string, options: ConnectWebSocketOptions = {}): Promise<Client> {
    const client = new Client();
    client.socket = await connectWebSocket(dial, url, {
      ...options,
      onMessage(_socket, data, isBinary) {
        const text = data.length > 200 ? `${data.length} B` : data.toString();
        client.messages.push(`${isBinary ? 'binary' : 'text'} ${text}`);
      },
      onClose: (_socket, close) => client.closes.push(close),
    });
    return client;
  }

  async received(count: number): Promise<string[]> {
    await awaitCondition(() => this.messages.length >= count, `${count} messages`);
    return this.messages;
  }

  async closed(): Promise<WebSocketClose> {
    await awaitCondition(() => this.closes.length === 1, 'onClose');
    return this.closes[0]!;
  }
}

async function startWs(scope: Scope, options: object = {}): Promise<[string, WebSocketServer]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  server.on('connection', (socket: WsSocket) => {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await once(server, 'listening');
  scope.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return [`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, server];
}

/** A server of bytes: answers each request by `answer`, which gets the key. */
async function startRaw(
  scope: Scope,
  answer: (key: string, socket: Socket) => string | Buffer | undefined,
): Promise<{ url: string; received: () => Buffer; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  let received = Buffer.alloc(0);
  const server: NetServer = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    let head = '';
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (head.includes('\r\n\r\n')) {
        received = Buffer.concat([received, bytes]);
        return;
      }
      head += bytes.toString('latin1');
      if (head.includes('\r\n\r\n')) {
        const text = answer(/Sec-WebSocket-Key: (.*)\r/.exec(head)![1]!, socket);
        if (text !== undefined) socket.write(text);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { url, received: () => received, sockets };
}

function switching(key: string, more = ''): string {
  const start = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';
  return `${start}Sec-WebSocket-Accept: ${acceptFor(key)}\r\n${more}\r\n`;
}

/** Frames of the client so far; they must be masked. */
function framesIn(bytes: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = [];
  for (
    let at = 0, next = readFrame(bytes);
    next !== undefined;
    next = readFrame(bytes.subarray(at))
  ) {
    assert.equal(next.frame.isMasked, true);
    frames.push(next.frame);
    at += next.size;
  }
  return frames;
}

for (const contexts of ['none', 'shared', 'own'] as const) {
  test(`messages to and from ws, compression: ${contexts}`, async (t) => {
    const deflate = { contexts: contexts as 'own', thresholdBytes: 0, ratioMax: 2_000 };
    const perMessageDeflate = contexts === 'none' ? false : { threshold: 0 };
    const [url] = await startWs(t, { perMessageDeflate });
    const client = await Client.open(url, contexts === 'none' ? {} : { deflate });
    const { socket } = client;
    assert.equal(socket.isDeflating, contexts !== 'none');
    const texts = ['', 'hello', 'é'.repeat(60), 'ab'.repeat(50), 'ab'.repeat(50)];
    for (const text of texts) socket.send(text);
    socket.send(Buffer.alloc(300_000, 'abc'));
    socket.send(Buffer.alloc(70_000, 'text'), { isBinary: false });
    const expected = [...texts.map((text) => `text ${text}`), 'binary 300000 B', 'text 70000 B'];
    assert.deepEqual(await client.received(expected.length), expected);
    socket.close(4_000, 'done');
    const { code, isClean } = await client.closed();
    assert.deepEqual({ code, isClean }, { code: 4_000, isClean: true });
  });
}

test('subprotocols, headers, context, path and query reach ws', async (t) => {
  const [url, server] = await startWs(t, { handleProtocols: () => 'b' });
  let seen = '';
  server.on('connection', (_socket, { url: path, headers }) => {
    seen = `${path} ${headers.authorization} ${headers['sec-websocket-protocol']} ${headers.origin}`;
  });
  const client = await Client.open(`${url}a/b?c=d`, {
    protocols: ['a', 'b'],
    headers: { Authorization: 'me', Origin: 'http://here' },
    context: 7,
  });
  assert.equal(client.socket.protocol, 'b');
  assert.equal(client.socket.context, 7);
  assert.equal(seen, '/a/b?c=d me a, b http://here');
});

test('ws closes, with a code and without, and pings', async (t) => {
  const [url, server] = await startWs(t);
  const pongs: string[] = [];
  server.on('connection', (socket) => {
    socket.on('pong', (data) => pongs.push(data.toString()));
    socket.ping('are you there');
  });
  const one = await Client.open(url);
  await awaitCondition(() => pongs.length === 1, 'the pong');
  assert.equal(pongs[0], 'are you there');
  for (const socket of server.clients) socket.close(3_001, 'go');
  const first = await one.closed();
  assert.deepEqual([first.code, first.reason, first.isClean], [3_001, 'go', true]);
  const two = await Client.open(url);
  for (const socket of server.clients) socket.close();
  const second = await two.closed();
  assert.deepEqual([second.code, second.isClean], [1005, true]);
});

test('our client and our server, with every kind of compression on either side', async (t) => {
  const kinds = [
    false,
    { thresholdBytes: 0, ratioMax: 2_000 },
    { thresholdBytes: 0, ratioMax: 2_000, contexts: 'own' as const },
    {
      thresholdBytes: 0,
      ratioMax: 2_000,
      contexts: 'own' as const,
      windowBits: 9,
      peerWindowBits: 8,
    },
  ];
  for (const server of kinds) {
    const { wsUrl, handler } = await startServer(t, { deflate: server });
    for (const client of kinds) {
      const peer = await Client.open(wsUrl, { deflate: client });
      const texts = Array.from(
        { length: 20 },
        (_, i) => `{"number":${i},"text":"again and again"}`,
      );
      for (const text of texts) peer.socket.send(text);
      peer.socket.send(Buffer.alloc(200_000, 'x'));
      const expected = [...texts.map((text) => `text ${text}`), 'binary 200000 B'];
      assert.deepEqual(await peer.received(21), expected);
      assert.equal(peer.socket.isDeflating, server !== false && client !== false);
      peer.socket.close();
      assert.equal((await peer.closed()).isClean, true);
    }
    assert.equal(handler.stats.violations, 0);
  }
});

const BAD_ANSWERS: readonly [what: string, answer: (key: string) => string, message: RegExp][] = [
  ['403', () => 'HTTP/1.1 403 Forbidden\r\n\r\n', /answered 403/],
  ['200', () => 'HTTP/1.1 200 OK\r\n\r\n', /answered 200/],
  ['a wrong accept key', () => switching('another'), /Sec-WebSocket-Accept is wrong/],
  [
    'no upgrade',
    (key) => switching(key).replace('Upgrade: websocket', 'Upgrade: h2c'),
    /does not upgrade/,
  ],
  [
    'no connection',
    (key) => switching(key).replace('Connection: Upgrade', 'X: y'),
    /does not upgrade/,
  ],
  ['HTTP/1.0', (key) => switching(key).replace('1.1', '1.0'), /malformed/],
  ['garbage', () => '\0\0\0\r\n\r\n', /malformed/],
  ['LF only', (key) => switching(key).replaceAll('\r\n', '\n'), /malformed/],
  ['a head without end', () => 'HTTP/1.1 101 S\r\n'.padEnd(40_000, 'X: abc\r\n'), /too-large/],
  [
    'a protocol not offered',
    (key) => switching(key, 'Sec-WebSocket-Protocol: c\r\n'),
    /protocol that was not offered/,
  ],
  [
    'an extension not offered',
    (key) => switching(key, 'Sec-WebSocket-Extensions: x\r\n'),
    /extensions/,
  ],
  [
    'deflate not offered',
    (key) => switching(key, 'Sec-WebSocket-Extensions: permessage-deflate\r\n'),
    /extensions/,
  ],
];

test('answers that are none are errors, and the connection is gone', async (t) => {
  for (const [what, answer, message] of BAD_ANSWERS) {
    const { url, sockets } = await startRaw(t, answer);
    await assert.rejects(connectWebSocket(dial, url, { protocols: ['a'] }), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'ERR_WEBSOCKET_HANDSHAKE', what);
      assert.match(error.message, message);
      return true;
    });
    await awaitCondition(
      () => sockets.every(({ destroyed }) => destroyed),
      'the end of the socket',
    );
  }
});

test('a server that closes, resets or says nothing is an error', async (t) => {
  const closing = await startRaw(t, (_key, socket) => void socket.end());
  await assert.rejects(connectWebSocket(dial, closing.url), /closed the connection/);
  const resetting = await startRaw(t, (_key, socket) => void socket.resetAndDestroy());
  await assert.rejects(connectWebSocket(dial, resetting.url), /the connection ended: reset/);
  const silent = await startRaw(t, () => undefined);
  const options = { handshakeTimeoutMs: 20 };
  await assert.rejects(connectWebSocket(dial, silent.url, options), /takes too long/);
  const aborted = connectWebSocket(dial, silent.url, { signal: AbortSignal.timeout(10) });
  await assert.rejects(aborted, { name: 'TimeoutError' });
  await assert.rejects(connectWebSocket(dial, 'ws://127.0.0.1:1/'), { code: 'ECONNREFUSED' });
});

test('messages that come with the answer, byte by byte or at once, are not lost', async (t) => {
  for (const isSlow of [false, true]) {
    const { url, received } = await startRaw(t, (key, socket) => {
      const head = Buffer.from(switching(key));
      const all = Buffer.concat([head, frame(1, 'early'), frame(8, closePayload(1000))]);
      if (!isSlow) return all;
      socket.setNoDelay(true);
      for (const byte of all) socket.write(Uint8Array.of(byte));
      return undefined;
    });
    const client = await Client.open(url);
    assert.deepEqual(await client.received(1), ['text early']);
    await awaitCondition(() => framesIn(received()).length === 1, 'the close frame');
    assert.equal(lineOf(framesIn(received())[0]), 'close 1000');
  }
});

test('a server that masks, or breaks another rule, is told so', async (t) => {
  const mask = Uint8Array.of(1, 2, 3, 4);
  const rows: [Buffer, string][] = [
    [frame(1, 'masked', { mask }), 'close 1002 a frame of a server must not be masked'],
    [frame(1, Uint8Array.of(0xff)), 'close 1007 the text is not UTF-8'],
    [frame(2, '', { length: 1n << 40n }), 'close 1009 the message is too big'],
  ];
  for (const [bytes, line] of rows) {
    const { url, received } = await startRaw(t, (key, socket) => {
      socket.on('end', () => socket.end());
      return Buffer.concat([Buffer.from(switching(key)), bytes]);
    });
    const client = await Client.open(url);
    const close = await client.closed();
    assert.equal(close.isClean, false);
    assert.notEqual(close.violation, undefined);
    assert.equal(framesIn(received()).map(lineOf).join(), line);
  }
});

test('the server closes the connection, not the client', async (t) => {
  let hasEnded = false;
  const { url, received, sockets } = await startRaw(t, (key, socket) => {
    socket.on('end', () => {
      hasEnded = true;
    });
    return Buffer.concat([Buffer.from(switching(key)), frame(8, closePayload(1000))]);
  });
  const client = await Client.open(url);
  await awaitCondition(() => framesIn(received()).length === 1, 'the close frame');
  await rounds(50);
  assert.equal(hasEnded, false);
  assert.deepEqual(client.closes, []);
  sockets[0]!.end();
  assert.equal((await client.closed()).isClean, true);
  await awaitCondition(() => hasEnded, 'FIN for FIN');
});

test('the client waits for the server to close the connection, but not for ever', async (t) => {
  const { url, sockets } = await startRaw(t, (key) => {
    return Buffer.concat([Buffer.from(switching(key)), frame(8, closePayload(1000))]);
  });
  const client = await Client.open(url, {
    closeTimeoutMs: 20,
    connection: { lingerTimeoutMs: 20 },
  });
  const close = await client.closed();
  assert.equal(close.isClean, true);
  assert.equal(close.timeout, undefined);
  assert.equal(sockets.length, 1);
});

test('every frame is masked, each with its own key', async (t) => {
  const { url, received } = await startRaw(t, (key) => switching(key));
  const client = await Client.open(url);
  for (const size of [0, 5, 5, 200, 70_000]) client.socket.send(Buffer.alloc(size, 'a'));
  client.socket.ping('p');
  await awaitCondition(() => framesIn(received()).length === 6, 'the frames');
  const sizes = framesIn(received()).map(({ payload }) => payload.length);
  assert.deepEqual(sizes, [0, 5, 5, 200, 70_000, 1]);
  const keys = new Set([2, 8, 19].map((at) => received().toString('hex', at, at + 4)));
  assert.equal(keys.size, 3);
});

test('wrong arguments are told before anything is sent', async () => {
  const rows: [string, ConnectWebSocketOptions, RegExp][] = [
    ['http://a/', {}, /ws:\/\//],
    ['wss://a/', {}, /dialer that speaks TLS/],
    ['ws://a/#b', {}, /fragment/],
    ['ws://u:p@a/', {}, /credentials/],
    ['ws://a/', { protocols: ['a', 'a'] }, /protocols/],
    ['ws://a/', { headers: { 'X\r\n': 'a' } }, /name of a header field/],
    ['ws://a/', { headers: { X: 'a\r\nb' } }, /header field X/],
    ['ws://a/', { headers: { Host: 'b' } }, /Cannot set Host/],
    ['ws://a/', { messageBytesMax: -1 }, /messageBytesMax/],
  ];
  for (const [url, options, message] of rows) {
    await assert.rejects(connectWebSocket(dial, url, options), message);
  }
  await assert.rejects(connectWebSocket(dial, 'no url'), TypeError);
});

test('another address: a Unix socket', async (t) => {
  const path = `/tmp/millrace-ws-client-${process.pid}.sock`;
  const { url } = await startServer(t, {}, { listen: `unix://${path}` });
  const client = await Client.open('ws://whatever/', { address: url });
  client.socket.send('hello');
  assert.deepEqual(await client.received(1), ['text hello']);
});
