/** WebSockets over TLS that we open: to npm `ws`, to our own server, and to those who are not who they should be. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';

import { type WebSocket as WsSocket, WebSocketServer } from 'ws';

import { type DialOptions, dial, serve } from '../../src/index.js';
import { dialTls, tlsHandler } from '../../src/tls/index.js';
import {
  connectWebSocket,
  type ConnectWebSocketOptions,
  type WebSocketClose,
  webSocketServer,
} from '../../src/websocket/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';

const certificates = new TestCertificates();
const { cert, key } = certificates.server;

const secure = (url: string, options: DialOptions & { serverName: string }) =>
  dialTls(url, { ...options, ca: certificates.ca.cert });

async function startWs(): Promise<{ port: number; server: WebSocketServer }> {
  const https = createServer({ cert, key });
  const server = new WebSocketServer({ server: https, perMessageDeflate: true });
  server.on('connection', (socket: WsSocket) => {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  after(() => {
    for (const socket of server.clients) {
      socket.terminate();
    }
    https.close();
  });
  return { port: (https.address() as AddressInfo).port, server };
}

async function startOwn(): Promise<number> {
  const inner = webSocketServer({
    deflate: true,
    onMessage: (socket, data, isBinary) => void socket.send(data, { isBinary }),
  });
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: tlsHandler({ cert, key, alpn: ['http/1.1'] }, inner),
  });
  after(() => server.close({ deadlineMs: 0 }));
  return Number(server.addresses[0]!.split(':').at(-1));
}

/** Not such that it would be taken for a bomb when it is inflated. */
const noise = Buffer.alloc(900_000);
for (let i = 0; i < noise.byteLength; i += 1) {
  noise[i] = (i * i) >> 7;
}

/** Opens, sends messages of all sizes, and closes in order. */
async function converse(port: number, options: ConnectWebSocketOptions): Promise<void> {
  const messages: Buffer[] = [];
  const closes: WebSocketClose[] = [];
  const socket = await connectWebSocket(dial, `wss://localhost:${port}/path?q`, {
    dialTls: secure,
    ...options,
    onMessage: (_socket, data) => void messages.push(Buffer.from(data)),
    onClose: (_socket, close) => void closes.push(close),
  });
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 900_000];
  for (const size of sizes) {
    assert.notEqual(socket.send(noise.subarray(0, size), { isBinary: true }), 'full', String(size));
  }
  socket.send('grüß');
  await awaitCondition(() => messages.length === sizes.length + 1, 'the echoes');
  assert.deepEqual(
    messages.slice(0, -1).map(({ byteLength }) => byteLength),
    sizes,
  );
  assert.equal(messages.at(-1)!.toString(), 'grüß');
  socket.close(1000, 'done');
  await awaitCondition(() => closes.length === 1, 'onClose');
  assert.deepEqual([closes[0]!.code, closes[0]!.isClean], [1000, true]);
}

describe('wss://', () => {
  it('to npm ws, with and without compression', async () => {
    const { port } = await startWs();
    await converse(port, {});
    await converse(port, { deflate: true });
  });

  it('to our own server, with and without compression', async () => {
    const port = await startOwn();
    await converse(port, {});
    await converse(port, { deflate: true });
  });

  it('checks who answers: the name of the URL is that of the certificate', async () => {
    const { port } = await startWs();
    const open = (url: string, options: ConnectWebSocketOptions) =>
      settled(connectWebSocket(dial, url, options), 'an outcome');
    await assert.rejects(open(`wss://localhost:${port}/`, { dialTls }), {
      code: 'ERR_TLS_CERTIFICATE',
    });
    const address = `tcp://127.0.0.1:${port}`;
    await assert.rejects(open('wss://wrong.example/', { dialTls: secure, address }), {
      code: 'ERR_TLS_CERTIFICATE',
    });
    const socket = await open('wss://localhost/', { dialTls: secure, address });
    socket.close();
  });

  it('says what is missing, and whom it could not open', async () => {
    const open = (url: string, options: object) =>
      connectWebSocket(dial, url, options as ConnectWebSocketOptions);
    await assert.rejects(open('wss://localhost/', {}), /dialTls/);
    await assert.rejects(open('wss://localhost/', { dialTls: 5 }), TypeError);
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: tlsHandler(
        { cert, key },
        { onData: (c) => void c.write('HTTP/1.1 200 OK\r\n\r\n') },
      ),
    });
    after(() => server.close({ deadlineMs: 0 }));
    const port = server.addresses[0]!.split(':').at(-1);
    await assert.rejects(open(`wss://localhost:${port}/x`, { dialTls: secure }), {
      code: 'ERR_WEBSOCKET_HANDSHAKE',
      message: `Cannot open wss://localhost:${port}/x: the server answered 200`,
    });
  });

  it('a server that vanishes without close frame and close_notify is 1006', async () => {
    const { port, server } = await startWs();
    const closes: WebSocketClose[] = [];
    await connectWebSocket(dial, `wss://localhost:${port}/`, {
      dialTls: secure,
      onClose: (_socket, close) => void closes.push(close),
    });
    for (const socket of server.clients) {
      socket.terminate();
    }
    await awaitCondition(() => closes.length === 1, 'onClose');
    assert.deepEqual([closes[0]!.code, closes[0]!.isClean], [1006, false]);
  });

  it('the signal ends the handshake of either layer', async () => {
    const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: { onData: () => {} } });
    after(() => server.close({ deadlineMs: 0 }));
    const port = server.addresses[0]!.split(':').at(-1);
    const controller = new AbortController();
    const opening = connectWebSocket(dial, `wss://localhost:${port}/`, {
      dialTls: secure,
      signal: controller.signal,
    });
    await awaitCondition(() => server.stats.totals.bytesReceived > 0, 'the ClientHello');
    controller.abort(new Error('enough'));
    await assert.rejects(opening, /enough/);
  });
});
