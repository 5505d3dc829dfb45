/** websocket/http-upgrade: WebSockets of an HTTP server, seen by raw peers and a real client. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';

import { WebSocket as WsClient } from 'ws';

import { httpHandler } from '../../src/http/index.js';
import { serve } from '../../src/index.js';
import {
  upgradeHook,
  type WebSocketServerOptions,
  webSocketServer,
} from '../../src/websocket/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';

async function startServer(t: TestContext, options: Partial<WebSocketServerOptions> = {}) {
  const closes: number[] = [];
  const sockets = webSocketServer({
    onMessage: (socket, data, isBinary) => void socket.send(isBinary ? data : `${data}!`),
    onClose: (_, { code }) => void closes.push(code),
    ...options,
  });
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: httpHandler({
      onRequest: (request, response) => response.end(`http ${request.path}`),
      onUpgrade: upgradeHook(sockets, '/chat'),
    }),
  });
  t.after(() => server.close({ deadlineMs: 0 }));
  return { url: server.addresses[0]!, closes, sockets };
}

function head(path: string, ...fields: string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: test', ...fields, '', ''].join('\r\n');
}

const UPGRADE = ['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket'];
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
/** The masked text message "hello", with a mask of zeros. */
const HELLO = Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from('hello')]);

test('a client converses over the connection of its request, also with what it sent at once', async (t) => {
  const { url } = await startServer(t);
  const client = await NetClient.connect(t, url);
  client.write(head('/page'));
  client.write(head('/chat?room=1', ...UPGRADE, KEY, 'Sec-WebSocket-Version: 13'));
  client.write(HELLO);
  await awaitCondition(() => client.text.endsWith('hello!'), 'the answer');
  assert.match(client.text, /http \/pageHTTP\/1\.1 101 /);
  assert.match(client.text, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
});

test('other paths and other protocols are the HTTP server’s', async (t) => {
  const { url } = await startServer(t);
  for (const [path, fields] of [
    ['/chatter', [...UPGRADE, KEY, 'Sec-WebSocket-Version: 13']],
    ['/chat', ['Connection: Upgrade', 'Upgrade: h2c']],
    ['/chat', []],
  ] as const) {
    const client = await NetClient.connect(t, url);
    client.write(head(path, ...fields));
    await awaitCondition(() => client.text.endsWith(`http ${path}`), 'the answer');
    assert.match(client.text, /^HTTP\/1\.1 200 /);
  }
});

test('a refusal is answered, and the connection closed', async (t) => {
  const { url, closes, sockets } = await startServer(t, { origins: ['https://here.test'] });
  for (const [status, fields] of [
    [400, [KEY]],
    [400, ['Sec-WebSocket-Version: 13']],
    [426, [KEY, 'Sec-WebSocket-Version: 8']],
    [403, [KEY, 'Sec-WebSocket-Version: 13', 'Origin: https://elsewhere.test']],
  ] as const) {
    const client = await NetClient.connect(t, url);
    client.write(head('/chat', ...UPGRADE, ...fields) + head('/canary'));
    await once(client.socket, 'end');
    assert.match(client.text, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.doesNotMatch(client.text, /canary/);
  }
  assert.deepEqual(closes, []);
  assert.equal(sockets.stats.handshakesRefused, 4);
});

test('ws is served, with compression, and closes cleanly', async (t) => {
  const { url, closes } = await startServer(t, { deflate: true });
  const client = new WsClient(`${url.replace('tcp:', 'ws:')}/chat`);
  t.after(() => client.terminate());
  await once(client, 'open');
  assert.match(client.extensions, /permessage-deflate/);
  const text = 'all work and no play '.repeat(500);
  client.send(text);
  const [answer] = (await once(client, 'message')) as [Buffer];
  assert.equal(answer.toString(), `${text}!`);
  client.close(4_001);
  await once(client, 'close');
  assert.deepEqual(closes, [4_001]);
});
