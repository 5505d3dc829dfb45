/** Peers that do not read: what waits for them is bounded, results are values, and in the end nothing is missing. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { WriteResult } from '../../src/api.js';
import type { HttpResponse } from '../../src/http/response.js';
import { nextRound, until, within } from '../support/until.js';
import { get, HttpRig } from './rig.js';

const MiB = 1_048_576;
const SMALL = { receiveBufferBytes: 16_384 };

describe('a peer that does not read', () => {
  it('has its pipelined requests wait', async () => {
    const rig = await HttpRig.open(
      { onRequest: (_, response) => response.end('x'.repeat(10_000)) },
      { sendBufferBytes: 65_536 },
    );
    const client = await rig.connect(SMALL);
    const count = 3_000;
    let isSent = false;
    const sending = client.send(get('/').repeat(count)).then(() => {
      isSent = true;
    });
    let handled = 0;
    for (let still = 0; still < 30; ) {
      await nextRound();
      const { requests } = rig.handler.httpStats;
      still = requests === handled ? still + 1 : 0;
      handled = requests;
    }
    assert.ok(handled < 200, `${handled} requests were handled`);
    assert.ok(rig.server.stats.totals.queuedBytes < 400_000);
    for (let i = 0; i < count; i += 1) {
      assert.equal((await client.answer()).body.length, 10_000);
    }
    await sending;
    assert.ok(isSent);
  });

  it('makes a stream stop at full, and go on when it has drained', async () => {
    const size = 24 * MiB;
    const results = new Map<WriteResult, number>();
    const rig = await HttpRig.open(
      {
        onRequest: async (_, response) => {
          const piece = Buffer.alloc(50_000);
          for (let sent = 0; sent < size; ) {
            const n = Math.min(piece.byteLength, size - sent);
            for (let i = 0; i < n; i += 1_000) {
              piece.writeUInt32BE(sent + i, i);
            }
            const result = response.write(piece.subarray(0, n));
            results.set(result, (results.get(result) ?? 0) + 1);
            if (result === 'full') {
              assert.ok(await response.drained());
            } else {
              sent += n;
            }
          }
          response.end();
        },
      },
      { writeQueueMax: 300_000 },
    );
    const client = await rig.connect(SMALL);
    await client.send(get('/'));
    await until('a full queue', () => (results.get('full') ?? 0) > 0);
    assert.ok(rig.server.stats.totals.queuedBytes <= 300_000);
    const body = Buffer.from((await client.answer()).body, 'latin1');
    assert.equal(body.byteLength, size);
    for (let at = 0; at < size; at += 1_000) {
      const inPiece = at % 50_000;
      if (inPiece % 1_000 === 0 && body.readUInt32BE(at) !== at) {
        assert.fail(`the bytes at ${at} are those of ${body.readUInt32BE(at)}`);
      }
    }
  });

  it('gets responses that are larger than the queue, one after the other', async () => {
    const big = Buffer.alloc(3 * MiB, 'y');
    const rig = await HttpRig.open(
      { onRequest: (_, response) => response.end(big) },
      { writeQueueMax: 100_000, highWaterMark: 50_000 },
    );
    const client = await rig.connect(SMALL);
    await client.send(get('/').repeat(4));
    for (let i = 0; i < 4; i += 1) {
      const { body } = await client.answer();
      assert.ok(body.length === big.byteLength && body === 'y'.repeat(big.byteLength));
    }
  });

  it('gets everything that a full queue had refused, in order', async () => {
    const rig = await HttpRig.open(
      {
        outputBytesMax: 100 * MiB,
        onRequest: async (request, response) => {
          const [, kind, size] = request.path.split('/');
          const body = Buffer.alloc(Number(size), kind);
          if (kind === 's') {
            await response.writeAll(body.subarray(0, 10));
            assert.ok(await response.writeAll(body.subarray(10)));
            response.end();
          } else {
            response.end(body);
          }
        },
      },
      {
        writeQueueMax: 30_000,
        highWaterMark: 20_000,
        lowWaterMark: 10_000,
        sendBufferBytes: 8_192,
      },
    );
    const client = await rig.connect(SMALL);
    const paths = Array.from({ length: 300 }, (_, i) => {
      const kind = 'acos'[i % 4];
      return `/${kind}/${[9_000, 15_000, 40_000, 60_000][(i * 7) % 4]}`;
    });
    const sending = client.send(paths.map((path) => get(path)).join(''));
    for (let i = 0; i < 50; i += 1) {
      await nextRound();
    }
    assert.ok(rig.server.stats.totals.refusedWriteFull > 0);
    for (const path of paths) {
      const [, kind, size] = path.split('/');
      const { body } = await client.answer();
      assert.ok(body === kind!.repeat(Number(size)), path);
    }
    await sending;
  });

  it('gets the whole of a last response', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) => response.end(Buffer.alloc(5 * MiB, 'z')),
    });
    const client = await rig.connect(SMALL);
    await client.send(get('/', 'Connection: close'));
    for (let i = 0; i < 20; i += 1) {
      await nextRound();
    }
    assert.equal((await client.answer()).body.length, 5 * MiB);
    assert.equal(await client.rest(), '');
  });

  it('that goes frees what waited for it', async () => {
    const responses: HttpResponse[] = [];
    const rig = await HttpRig.open({ onRequest: (_, response) => void responses.push(response) });
    const client = await rig.connect(SMALL);
    await client.send(get('/'));
    await until('the request', () => responses.length === 1);
    const [response] = responses;
    while (response!.write(Buffer.alloc(100_000)) !== 'full') {
      await nextRound();
    }
    const drained = response!.drained();
    client.raw.reset();
    assert.equal(await within('the end of the wait', drained), false);
    assert.equal(response!.write('x'), 'closed');
    await until('nothing queued', () => rig.server.stats.totals.queuedBytes === 0);
  });

  it('does not get the responses of another one', async () => {
    const waiting: HttpResponse[] = [];
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        if (request.path === '/wait') {
          waiting.push(response);
          return;
        }
        // In the midst of this connection's batch.
        waiting.shift()?.end('for the other');
        response.end('for this one');
      },
    });
    const [one, other] = [await rig.connect(), await rig.connect()];
    await other.send(get('/wait'));
    await until('the request', () => waiting.length === 1);
    await one.send(get('/') + get('/') + get('/'));
    for (let i = 0; i < 3; i += 1) {
      assert.equal((await one.answer()).body, 'for this one');
    }
    assert.equal((await other.answer()).body, 'for the other');
  });
});
