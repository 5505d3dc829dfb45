/** Compressed bodies over real sockets, read with Node's zlib and by curl. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';

import type { Coding } from '../../src/http/accept-encoding.js';
import { CODINGS, sendCompressed } from '../../src/http/compression.js';
import { seededBytes } from '../support/bytes.js';
import { nextRound } from '../support/until.js';
import { get, HttpRig } from './rig.js';

const TEXT = 'All work and no play makes Jack a dull boy. '.repeat(2_000);
const NOISE = seededBytes(5_000, 1, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));

const DECODERS: Record<Coding, (bytes: Buffer) => Buffer> = {
  br: zlib.brotliDecompressSync,
  gzip: zlib.gunzipSync,
  zstd: (bytes) =>
    (zlib as unknown as { zstdDecompressSync(bytes: Buffer): Buffer }).zstdDecompressSync(bytes),
};

async function* pieces(count: number) {
  for (let i = 0; i < count; i += 1) {
    await nextRound();
    yield TEXT;
  }
}

describe('sendCompressed', () => {
  for (const coding of CODINGS) {
    it(`sends a whole body and a stream in ${coding}`, async () => {
      const rig = await HttpRig.open({
        onRequest: (request, response) =>
          sendCompressed(response, request.path === '/stream' ? pieces(5) : TEXT),
      });
      const client = await rig.connect();
      const accept = `Accept-Encoding: ${coding}`;
      await client.send(get('/whole', accept) + get('/stream', accept));
      for (const expected of [TEXT, TEXT.repeat(5)]) {
        const { fields, body } = await client.answer();
        assert.equal(fields.get('content-encoding'), coding);
        assert.equal(fields.get('vary'), 'Accept-Encoding');
        assert.ok(body.length < TEXT.length / 10);
        assert.ok(DECODERS[coding](Buffer.from(body, 'latin1')).toString() === expected);
      }
    });
  }

  it('sends as it is what is short, what is noise, and what the client does not want', async () => {
    const bodies: Record<string, string | Buffer> = {
      '/short': 'x'.repeat(1_000),
      '/noise': NOISE,
    };
    const rig = await HttpRig.open({
      onRequest: (request, response) =>
        sendCompressed(
          response,
          request.path === '/stream' ? pieces(2) : (bodies[request.path] ?? TEXT),
        ),
    });
    const client = await rig.connect();
    const gzip = 'Accept-Encoding: gzip';
    await client.send(get('/short', gzip) + get('/noise', gzip) + get('/text') + get('/stream'));
    for (const expected of [bodies['/short'], NOISE.toString('latin1'), TEXT, TEXT + TEXT]) {
      const { fields, body } = await client.answer();
      assert.ok(!fields.has('content-encoding'));
      assert.equal(fields.get('vary'), 'Accept-Encoding');
      assert.ok(body === expected);
    }
  });

  it('sends each piece at once if told to, and fails with its source', async () => {
    const errors: unknown[] = [];
    let go: (() => void) | undefined;
    const rig = await HttpRig.open({
      onError: (error) => errors.push(error),
      onRequest: (request, response) =>
        sendCompressed(
          response,
          (async function* () {
            yield 'first';
            await new Promise<void>((resolve) => {
              go = resolve;
            });
            if (request.path === '/fails') {
              throw new Error('source');
            }
            yield 'second';
          })(),
          { flushesEach: true },
        ),
    });
    const client = await rig.connect();
    await client.send(get('/', 'Accept-Encoding: gzip'));
    // The first piece is there while the second is not.
    await client.raw.readable();
    while (go === undefined) {
      await nextRound();
    }
    go();
    const { body } = await client.answer();
    assert.equal(zlib.gunzipSync(Buffer.from(body, 'latin1')).toString(), 'firstsecond');
    go = undefined;
    await client.send(get('/fails', 'Accept-Encoding: gzip'));
    while (go === undefined) {
      await nextRound();
    }
    (go as () => void)();
    await client.raw.readToReset();
    assert.equal((errors[0] as Error).message, 'source');
  });

  it('curl reads it', async () => {
    const rig = await HttpRig.open({ onRequest: (_, response) => sendCompressed(response, TEXT) });
    const args = ['-s', '-S', '--max-time', '30', '--compressed', rig.url];
    assert.ok((await promisify(execFile)('curl', args)).stdout === TEXT);
  });
});
