/** The server as real clients see it: npm `ws`, and Node's own WebSocket where the running Node has one. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';

import { WebSocket as WsClient } from 'ws';

import { awaitCondition } from '../support/await-condition.js';
import { startServer } from './support/echo-server.js';

async function openWs(
  url: string,
  options: object = {},
  protocols: string[] = [],
): Promise<WsClient> {
  const client = new WsClient(url, protocols, options);
  await once(client, 'open');
  return client;
}

for (const contexts of ['none', 'shared', 'own'] as const) {
  test(`ws, compression: ${contexts}`, async (t) => {
    const deflate = contexts === 'none' ? false : { contexts, thresholdBytes: 0, ratioMax: 2_000 };
    const { wsUrl, closes } = await startServer(t, { deflate, messageBytesMax: 4_000_000 });
    const perMessageDeflate = { threshold: 0 };
    const client = await openWs(wsUrl, { perMessageDeflate });
    assert.equal(client.extensions.startsWith('permessage-deflate'), contexts !== 'none');
    const received: Buffer[] = [];
    client.on('message', (data: Buffer) => received.push(data));
    const sent = ['', 'hello', 'é'.repeat(500), 'abc'.repeat(30_000), 'abc'.repeat(900_000)];
    for (const text of [...sent, ...sent]) {
      client.send(text, { binary: text.length % 2 === 1 });
    }
    // In fragments, with a ping between.
    client.send('Hel', { fin: false });
    client.ping('p');
    client.send('lo', { fin: true });
    await awaitCondition(() => received.length === 11, 'the echoes');
    assert.deepEqual(received.map(String), [...sent, ...sent, 'Hello']);
    client.close(4_999, 'bye');
    const [code] = await once(client, 'close');
    assert.equal(code, 4_999);
    await awaitCondition(() => closes.length === 1, 'onClose');
    assert.deepEqual(
      [closes[0]!.code, closes[0]!.reason, closes[0]!.isClean],
      [4_999, 'bye', true],
    );
  });
}

test('ws with windows of every size', async (t) => {
  for (const bits of [8, 9, 12, 15]) {
    const { wsUrl } = await startServer(t, {
      deflate: {
        contexts: 'own',
        thresholdBytes: 0,
        windowBits: bits,
        peerWindowBits: Math.max(9, bits),
      },
    });
    for (const request of [9, 15]) {
      const perMessageDeflate = {
        threshold: 0,
        serverMaxWindowBits: request,
        clientMaxWindowBits: request,
        serverNoContextTakeover: request === 9,
      };
      const client = await openWs(wsUrl, { perMessageDeflate });
      const received: string[] = [];
      client.on('message', (data: Buffer) => received.push(data.toString()));
      const texts = Array.from({ length: 30 }, (_, i) => `${i} `.repeat(i * 40));
      for (const text of texts) client.send(text);
      await awaitCondition(() => received.length === 30, 'the echoes');
      assert.deepEqual(received, texts);
      client.terminate();
    }
  }
});

test('ws, a message that was refused for want of room: later ones do not refer to it', async (t) => {
  const messages: Buffer[] = [];
  let taken = 0;
  let refusals = 0;
  const { wsUrl, sockets } = await startServer(
    t,
    {
      deflate: { contexts: 'own', thresholdBytes: 0 },
      onDrain: () => fill(),
    },
    { writeQueueMax: 100_000 },
  );
  // What is refused is sent again until it is taken: compressed anew it would be a reference to itself.
  function fill(): void {
    while (taken < messages.length) {
      if (sockets[0]!.send(messages[taken]!) === 'full') {
        refusals += 1;
        return;
      }
      taken += 1;
    }
  }
  for (let i = 0; i < 600; i += 1) messages.push(randomBytes(15_000));
  const client = await openWs(wsUrl, { perMessageDeflate: { threshold: 0 } });
  const received: Buffer[] = [];
  client.on('message', (data: Buffer) => received.push(data));
  client.pause();
  fill();
  await awaitCondition(() => refusals > 0, 'a refusal');
  client.resume();
  await awaitCondition(() => received.length === 600, 'all messages');
  assert.ok(received.every((data, i) => data.equals(messages[i]!)));
});

test('ws: subprotocol, refusal, and a close of ours', async (t) => {
  const { wsUrl } = await startServer(t, {
    protocols: ['v1'],
    origins: (origin) => origin !== 'http://evil',
    onMessage: (socket) => socket.close(1013, 'later'),
  });
  const client = await openWs(wsUrl, { origin: 'http://good' }, ['v0', 'v1']);
  assert.equal(client.protocol, 'v1');
  client.send('x');
  const [code, reason] = await once(client, 'close');
  assert.deepEqual([code, String(reason)], [1013, 'later']);
  const evil = new WsClient(wsUrl, { origin: 'http://evil' });
  const [error] = await once(evil, 'error');
  assert.match((error as Error).message, /403/);
});

interface StandardSocket extends EventTarget {
  binaryType: string;
  send(data: string | Uint8Array): void;
  close(code?: number): void;
}

const Standard = (globalThis as { WebSocket?: new (url: string) => StandardSocket }).WebSocket;

// Node 20 has none.
if (Standard !== undefined) {
  test("Node's own WebSocket", {
    skip: Standard === undefined && 'this Node has none',
  }, async (t) => {
    const { wsUrl, closes } = await startServer(t, { deflate: { thresholdBytes: 0 } });
    const client = new Standard!(wsUrl);
    client.binaryType = 'arraybuffer';
    const messages: unknown[] = [];
    client.addEventListener('message', (event) => messages.push((event as MessageEvent).data));
    await new Promise((resolve) => client.addEventListener('open', resolve, { once: true }));
    client.send('hello');
    client.send(Uint8Array.of(1, 2, 3));
    await awaitCondition(() => messages.length === 2, 'the echoes');
    assert.equal(messages[0], 'hello');
    assert.deepEqual(new Uint8Array(messages[1] as ArrayBuffer), Uint8Array.of(1, 2, 3));
    client.close(4_000);
    await awaitCondition(() => closes.length === 1, 'onClose');
    assert.equal(closes[0]!.code, 4_000);
  });
}
