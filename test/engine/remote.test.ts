/** A server as another thread sees it. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import type { Connection, RemoteHandle, Server } from '../../src/api.js';
import { remote } from '../../src/engine/remote.js';
import { serve } from '../../src/engine/serve.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { RawPeer } from '../support/raw-peer.js';

let server: Server;
let messages: [string, number][];
let connections: Connection[];
let peer: RawPeer;

beforeEach(async () => {
  messages = [];
  connections = [];
  server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: {
      onOpen: (connection) => void connections.push(connection),
      onMessage: (_reactor, bytes, from) => void messages.push([bytes.toString(), from]),
    },
  });
  peer = await RawPeer.connect(server.addresses[0]);
  await awaitCondition(() => connections.length === 1, 'a connection');
});

afterEach(async () => {
  peer.close();
  await server.close({ deadlineMs: 0 });
});

describe('remote()', () => {
  it('writes to connections and posts messages, from -1', async () => {
    const handle = structuredClone(server.remoteHandle()) as RemoteHandle;
    const there = remote(handle);
    assert.equal(there.reactorCount, 1);
    assert.equal(there.write(connections[0].id, Buffer.from('hello')), 'queued');
    assert.equal((await peer.read(5)).toString(), 'hello');
    assert.equal(there.post(0, Buffer.from('post')), true);
    assert.equal(there.broadcast(Buffer.from('broadcast')), true);
    await awaitCondition(() => messages.length === 2, 'the messages');
    assert.deepEqual(messages, [
      ['post', -1],
      ['broadcast', -1],
    ]);
  });

  it('has what is written together sent together, in order and without an overflow', async () => {
    const there = remote(server.remoteHandle());
    const { id } = connections[0];
    const before = server.stats.totals.sends;
    const pieces = Array.from({ length: 900 }, (_, i) => `${i};`);
    for (const piece of pieces) assert.equal(there.write(id, Buffer.from(piece)), 'queued');
    const text = pieces.join('');
    assert.equal((await peer.read(text.length)).toString(), text);
    const sends = server.stats.totals.sends - before;
    assert.ok(sends <= 10, `${sends} sends`);
    // More at once than its queue may hold, for a peer that reads.
    const piece = Buffer.alloc(16_384, 'x');
    const reading = peer.read(200 * piece.byteLength);
    for (let i = 0; i < 200; i += 1) {
      while (there.write(id, piece) === 'full') await new Promise(setImmediate);
      // The peer is in this thread, too.
      if (i % 8 === 7) await new Promise(setImmediate);
    }
    assert.equal((await reading).byteLength, 200 * piece.byteLength);
    assert.equal(connections[0].state, 'open');
  });

  it('refuses what cannot be', () => {
    const there = remote(server.remoteHandle());
    assert.throws(() => there.write(-1, Buffer.from('x')), TypeError);
    assert.throws(() => there.post(1, Buffer.from('x')), RangeError);
    assert.equal(there.write(2 ** 43, Buffer.from('x')), 'closed');
    assert.throws(
      () => remote({ ...server.remoteHandle(), mailboxes: [new SharedArrayBuffer(8)] }),
      TypeError,
    );
  });

  it('says closed and false once the server has closed', async () => {
    const there = remote(server.remoteHandle());
    const { id } = connections[0];
    await server.close({ deadlineMs: 0 });
    assert.equal(there.write(id, Buffer.from('late')), 'closed');
    assert.equal(there.post(0, Buffer.from('late')), false);
    assert.equal(there.broadcast(Buffer.from('late')), false);
  });

  it('works in a thread of its own, where nothing else of the library runs', async () => {
    const url = JSON.stringify(new URL('../../src/engine/remote.js', import.meta.url).href);
    const code = `const { workerData, parentPort } = require('node:worker_threads');
      import(${url}).then(({ remote }) => {
        const { handle, id } = workerData;
        parentPort.postMessage(remote(handle).write(id, Buffer.from('from afar')));
      });`;
    const workerData = { handle: server.remoteHandle(), id: connections[0].id };
    const worker = new Worker(code, { eval: true, workerData });
    const answer = new Promise((resolve) => worker.once('message', resolve));
    assert.equal(await settled(answer, 'the answer'), 'queued');
    assert.equal((await peer.read(9)).toString(), 'from afar');
    await worker.terminate();
  });
});
