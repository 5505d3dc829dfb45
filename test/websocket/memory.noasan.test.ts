/**
 * Peers that want memory, contexts that are not needed any more, and how much the process has then. Without
 * AddressSanitizer, which keeps what is freed.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';

import { Compressions } from '../../src/websocket/compression.js';
import { readDeflateOptions } from '../../src/websocket/deflate-options.js';
import { awaitCondition } from '../support/await-condition.js';
import { startServer } from './support/echo-server.js';
import { OP, oneByteFragments } from './support/frames.js';
import { RawWebSocket } from './support/raw-web-socket.js';

const MIB = 1 << 20;

function residentBytes(): number {
  return process.memoryUsage().rss;
}

test('130,000 fragments of one byte: refused by default, and cheap where they are allowed', async (t) => {
  const bytes = oneByteFragments(130_000);
  const strict = await startServer(t);
  const refused = await RawWebSocket.open(t, strict.url);
  refused.write(bytes);
  assert.equal(await refused.line(), 'close 1008 the message has too many fragments');
  refused.client.socket.end();
  const sizes: number[] = [];
  const lenient = await startServer(t, {
    fragmentsMax: 200_000,
    onMessage: (socket, data) => {
      sizes.push(data.length);
      socket.send('got it');
    },
  });
  const before = residentBytes();
  const peers = await Promise.all(
    Array.from({ length: 10 }, () => RawWebSocket.open(t, lenient.url)),
  );
  for (const peer of peers) {
    peer.write(bytes);
    peer.send(OP.CONTINUATION, 'a');
  }
  for (const peer of peers) assert.equal(await peer.line(), 'text got it');
  assert.deepEqual(sizes, Array(10).fill(130_001));
  // 10 messages of 130 kB, and what the sending side of this test holds; never an object for each fragment.
  assert.ok(residentBytes() - before < 150 * MIB);
});

test('a bomb of 1 GiB in 1 MiB: 1009, and neither memory nor the others suffer', async (t) => {
  const deflate = { thresholdBytes: 0 };
  const { url, closes } = await startServer(t, { deflate });
  const zeros = deflateRawSync(Buffer.alloc(64 * MIB), { finishFlush: constants.Z_SYNC_FLUSH });
  // Blocks that a sync flush ends can be joined: sixteen times 64 MiB.
  const bomb = Buffer.concat(Array.from({ length: 16 }, () => zeros)).subarray(0, -4);
  assert.ok(bomb.length < 1.2 * MIB);
  const fields = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
  const honest = await RawWebSocket.open(t, url, fields);
  const before = residentBytes();
  for (let i = 0; i < 10; i += 1) {
    const peer = await RawWebSocket.open(t, url, fields);
    // As much of it as passes the limit of compressed bytes.
    peer.send(OP.BINARY, bomb.subarray(0, MIB), { rsv: 4 });
    assert.match(await peer.line(), /^close 1009 /);
    peer.client.socket.end();
    honest.send(OP.TEXT, `still ${i}`);
    assert.equal((await honest.frame())?.opcode, OP.TEXT);
  }
  assert.ok(residentBytes() - before < 64 * MIB);
  await awaitCondition(() => closes.length === 10, 'ten closes');
  assert.ok(closes.every(({ violation }) => violation?.closeCode === 1009));
});

test('a thousand clients of their own, one after the other, hold nothing', () => {
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 1_000; i += 1) {
    const compressions = new Compressions(readDeflateOptions({}));
    const forgets = { deflateBits: 15, deflateKeeps: false, inflateBits: 15, inflateKeeps: false };
    const compression = compressions.for(forgets);
    compression.deflater.deflate(Buffer.from('again and again and again'));
    compression.end();
  }
  // Each context has some 250 kB: without being freed it would be a quarter of a gigabyte.
  assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024);
});
