/** examples/proxy.mjs under back-pressure. Not with AddressSanitizer, which keeps freed memory for a while. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';

import { connectThrough, startProxy, Target } from '../support/proxied-pair.js';

const TOTAL = 64 * 1024 * 1024;
const BLOCK = 64 * 1024;
/** What the proxy may gain while it waits: far below what the sink has not taken yet. */
const GROWTH_MAX = 16 * 1024 * 1024;
/** Rests of the slow sink after each piece: a source without bounds would be some hundred times as fast. */
const REST_MS = 4;

/** Writes as fast as the socket takes it. Resolves with the hash of what was written. */
async function feed(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.alloc(BLOCK);
  for (let sent = 0; sent < TOTAL; sent += BLOCK) {
    block.writeUInt32BE(sent);
    hash.update(block);
    if (!socket.write(Buffer.from(block))) await once(socket, 'drain');
  }
  socket.end();
  return hash.digest('hex');
}

/** Takes all of it, and calls back after each piece. Resolves with the hash of what was read. */
async function take(socket: Socket, onPiece: () => Promise<void>): Promise<string> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const piece of socket as AsyncIterable<Buffer>) {
    hash.update(piece);
    length += piece.length;
    await onPiece();
  }
  assert.equal(length, TOTAL);
  return hash.digest('hex');
}

for (const direction of ['to the target', 'to the client'] as const) {
  test(`a slow sink bounds the source, ${direction}: memory is flat and nothing is lost`, async (t) => {
    const target = await Target.listen(t);
    const { proxy, url } = await startProxy(t, target.url);
    const ends = async (index: number) => {
      const { client, socket } = await connectThrough(t, target, url, index);
      client.socket.removeAllListeners('data');
      client.socket.pause();
      return direction === 'to the target' ? [client.socket, socket] : [socket, client.socket];
    };
    // Once at full speed on each reactor, so that all that is made on demand is there.
    for (const index of [0, 1]) {
      const [source, sink] = await ends(index);
      const received = take(sink!, async () => {});
      assert.equal(await feed(source!), await received);
    }
    const before = residentBytes(proxy.process.pid!);
    let most = before;
    const [source, sink] = await ends(2);
    const received = take(sink!, async () => {
      most = Math.max(most, residentBytes(proxy.process.pid!));
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    });
    assert.equal(await feed(source!), await received);
    assert.ok(most - before < GROWTH_MAX, `the proxy grew by ${most - before} bytes`);
  });
}

function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match![1]) * 1024;
}
