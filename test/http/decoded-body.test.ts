/** Bodies with content codings over real sockets: what is undone, what is left alone, and what is refused. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import * as zlib from 'node:zlib';

import { dial } from '../../src/engine/dial.js';
import {
  HttpClient,
  type HttpClientOptions,
  type HttpClientResponse,
  sendCompressed,
} from '../../src/http/index.js';
import { seededBytes } from '../support/bytes.js';
import { until, within } from '../support/until.js';
import { EMPTY, errorOf, hostile, OK } from './client-rig.js';
import { HttpRig } from './rig.js';

const TEXT = 'all the text that there is. '.repeat(400);
const { zstdCompressSync } = zlib as { zstdCompressSync?(bytes: Uint8Array | string): Buffer };

function clientOf(options: HttpClientOptions = {}): HttpClient {
  const client = new HttpClient(dial, options);
  after(() => client.close({ deadlineMs: 0 }));
  return client;
}

/** Answers each request by its head. */
async function serverOf(answer: (head: string) => Buffer) {
  return hostile((peer) => {
    if (peer.text.endsWith('\r\n\r\n')) {
      const head = peer.text;
      peer.text = '';
      peer.socket.write(answer(head));
    }
  });
}

function coded(coding: string, body: Uint8Array, ...fields: string[]): Buffer {
  const all = [`Content-Encoding: ${coding}`, `Content-Length: ${body.byteLength}`, ...fields];
  return Buffer.concat([Buffer.from(`${OK}${all.join('\r\n')}\r\n\r\n`), body]);
}

async function answered(bytes: Buffer, options = {}): Promise<HttpClientResponse> {
  const { url } = await serverOf(() => bytes);
  return within('the response', clientOf(options).request(url));
}

const WAYS: [string, Buffer][] = [
  ['gzip', zlib.gzipSync(TEXT)],
  ['x-gzip', Buffer.concat([zlib.gzipSync(TEXT.slice(0, 50)), zlib.gzipSync(TEXT.slice(50))])],
  ['deflate', zlib.deflateSync(TEXT)],
  ['deflate', zlib.deflateRawSync(TEXT)],
  ['BR', zlib.brotliCompressSync(TEXT)],
  ['deflate, br, gzip', zlib.gzipSync(zlib.brotliCompressSync(zlib.deflateSync(TEXT)))],
];
if (zstdCompressSync !== undefined) {
  WAYS.push(['zstd', zstdCompressSync(TEXT)]);
}

describe('content codings', () => {
  it('are undone as fetch does, and the fields are still there', async () => {
    for (const [coding, body] of WAYS) {
      const { url } = await serverOf(() => coded(coding, body));
      const response = await clientOf().request(url);
      assert.equal(response.header('content-encoding'), coding);
      assert.equal(response.contentLength, undefined);
      assert.equal(response.decodedFrom.length, coding.split(',').length);
      assert.equal(await response.text(), TEXT, coding);
      assert.ok(response.isComplete);
      if (!coding.includes('zstd')) {
        assert.equal(await (await fetch(url)).text(), TEXT, coding);
      }
    }
  });

  it('whatever the pieces, chunked with trailers, and on one connection', async () => {
    const chunks = (body: Buffer) =>
      [...body].map((byte) => `1\r\n${String.fromCharCode(byte)}\r\n`).join('');
    const { url, peers } = await serverOf(() => {
      const body = chunks(zlib.gzipSync(TEXT));
      const head = `${OK}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n`;
      return Buffer.from(`${head}${body}0\r\nX-Sum: 1\r\n\r\n`, 'latin1');
    });
    const client = clientOf();
    for (let i = 0; i < 3; i += 1) {
      const response = await client.request(url);
      let text = '';
      for await (const piece of response) {
        text += piece.toString();
      }
      assert.equal(text, TEXT);
      assert.equal(response.trailers.get('x-sum'), '1');
    }
    assert.equal(peers.length, 1);
  });

  it('are asked for, unless a part is, or the program asks itself, or wants none', async () => {
    const heads: string[] = [];
    const { url } = await serverOf((head) => {
      heads.push(head);
      return coded('gzip', zlib.gzipSync(TEXT));
    });
    const client = clientOf();
    const asked = (head: string) => /^Accept-Encoding: (.*)$/im.exec(head)?.[1];
    const texts: string[] = [];
    for (const options of [
      {},
      { fields: { Range: 'bytes=0-' } },
      { fields: { 'accept-encoding': 'gzip;q=0.5' } },
    ]) {
      texts.push(await (await client.request(url, options)).text());
    }
    assert.deepEqual(texts, [TEXT, TEXT, TEXT]);
    const raw = await client.request(url, { decompress: false });
    assert.deepEqual(zlib.gunzipSync(await raw.bytes()).toString(), TEXT);
    const never = await clientOf({ decompress: false }).request(url);
    assert.equal(never.contentLength, (await never.bytes()).byteLength);
    const [all, ...others] = heads.map(asked);
    assert.match(all!, /^gzip, deflate, br/);
    assert.deepEqual(others, ['identity', 'gzip;q=0.5', undefined, undefined]);
  });

  it('that are not known, and parts, stay as they are; nothing is no coded body', async () => {
    const body = zlib.gzipSync(TEXT);
    for (const answer of [
      coded('foo', body),
      coded('gzip, foo', body),
      coded('identity', body),
      Buffer.concat([
        Buffer.from(
          `HTTP/1.1 206 Part\r\nContent-Encoding: gzip\r\nContent-Length: ${body.byteLength}\r\n\r\n`,
        ),
        body,
      ]),
    ]) {
      const response = await answered(answer);
      assert.deepEqual(response.decodedFrom, []);
      assert.deepEqual(await response.bytes(), body);
    }
    for (const head of [
      `${OK}Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n`,
      `${OK}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      'HTTP/1.1 204 No\r\nContent-Encoding: gzip\r\n\r\n',
      'HTTP/1.1 304 No\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n',
    ]) {
      assert.equal(await (await answered(Buffer.from(head))).text(), '', head);
    }
    const { url } = await serverOf(() => coded('gzip', Buffer.alloc(0), 'X-A: b'));
    const head = await clientOf().request(url, { method: 'HEAD' });
    assert.equal(await head.text(), '');
  });

  it('bodies that are not what they should be are refused, and counted', async () => {
    const good = zlib.gzipSync(TEXT);
    const bad = Buffer.from(good);
    bad[good.byteLength - 6]! ^= 1;
    const cases: [string, Buffer][] = [
      ['gzip', Buffer.from('no gzip at all')],
      ['gzip', good.subarray(0, 30)],
      ['gzip', bad],
      ['gzip', Buffer.concat([good, Buffer.from('and more')])],
      ['deflate', zlib.deflateSync(TEXT).subarray(0, 20)],
      ['br', zlib.brotliCompressSync(TEXT).subarray(0, 20)],
      ['br', Buffer.from([0xff, 0xff, 0xff, 0xff])],
      ['gzip, br', zlib.brotliCompressSync(Buffer.from('no gzip'))],
    ];
    if (zstdCompressSync !== undefined) {
      cases.push(['zstd', zstdCompressSync(TEXT).subarray(0, 20)]);
      // A window of 2 GiB, which no coding of HTTP may need.
      cases.push(['zstd', Buffer.from('28b52ffd00a8'.concat('00'.repeat(20)), 'hex')]);
    }
    for (const [coding, body] of cases) {
      const { url } = await serverOf(() => coded(coding, body));
      const client = clientOf();
      const response = await client.request(url);
      const error = await errorOf(response.text());
      assert.deepEqual([error.code, error.reject], ['ERR_HTTP_RESPONSE', 'content-coding'], coding);
      assert.equal(client.stats.rejects['content-coding'], 1);
    }
    const { url } = await serverOf(() => coded('br,br,br,br,br,br', good));
    assert.equal((await errorOf(clientOf().request(url))).reject, 'content-coding');
  });

  it('the end of the connection in the midst of a body fails it', async () => {
    const { url, peers } = await serverOf(() => coded('gzip', zlib.gzipSync(TEXT)).subarray(0, -5));
    const client = clientOf();
    const response = await client.request(url);
    const failed = errorOf(response.text());
    peers[0]!.socket.end();
    assert.deepEqual((await failed).reject, 'truncated');
  });
});

describe('bombs', () => {
  const bomb = zlib.gzipSync(Buffer.alloc(50_000_000));

  it('are cut off by their ratio, and by their length', async () => {
    for (const [body, options, reject] of [
      [bomb, {}, 'decoded-ratio'],
      [bomb, { decodedRatioMax: 0, decodedBytesMax: 40_000_000 }, 'decoded-length'],
      [zlib.gzipSync(bomb), { decodedRatioMax: 0, decodedBytesMax: 40_000_000 }, 'decoded-length'],
    ] as const) {
      const coding = body === bomb ? 'gzip' : 'gzip, gzip';
      const { url } = await serverOf(() => coded(coding, body));
      const client = clientOf(options);
      const response = await client.request(url);
      let most = 0;
      const failed = errorOf(
        (async () => {
          for await (const piece of response) {
            most += piece.byteLength;
          }
        })(),
      );
      assert.equal((await failed).reject, reject);
      assert.ok(most <= (reject === 'decoded-ratio' ? 5_000_000 : 40_000_000), String(most));
      assert.equal(client.stats.rejects[reject], 1);
    }
    const response = await answered(coded('gzip', bomb), { decodedRatioMax: 0 });
    assert.equal((await response.bytes(50_000_000)).byteLength, 50_000_000);
    const short = await answered(coded('gzip', bomb), { decodedRatioMax: 0 });
    await assert.rejects(short.bytes(1_000_000), { code: 'ERR_HTTP_BODY_LENGTH' });
  });

  it('a program that reads slowly holds back the decoder and the server', async () => {
    const noise = seededBytes(20_000_000, 3);
    const body = zlib.gzipSync(noise, { level: 1 });
    const { url, peers } = await serverOf(() => coded('gzip', body));
    const response = await clientOf().request(url);
    let received = 0;
    let isEnded = false;
    response.receive({
      onData(bytes) {
        received += bytes.byteLength;
        if (received < 100_000) {
          return;
        }
        response.pause();
      },
      onEnd() {
        isEnded = true;
      },
    });
    await until('the pause', () => received >= 100_000);
    const { socket } = peers[0]!;
    for (let i = 0, before = -1; before !== socket.writableLength || i < 20; i += 1) {
      before = socket.writableLength;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(received < 300_000, String(received));
    assert.ok(socket.writableLength > 5_000_000, String(socket.writableLength));
    while (!isEnded) {
      response.resume();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(received, noise.byteLength);
  });

  it('ends with the signal, with discard, and with a sink that throws', async () => {
    const body = zlib.gzipSync(seededBytes(3_000_000, 5));
    const { url, peers } = await serverOf((head) =>
      head.includes('/small') ? Buffer.from(EMPTY) : coded('gzip', body),
    );
    const client = clientOf();
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = await client.request(url, { signal });
    const pieces = aborted[Symbol.asyncIterator]();
    await pieces.next();
    controller.abort(new Error('enough'));
    await assert.rejects(async () => {
      for (;;) {
        if ((await pieces.next()).done === true) {
          return;
        }
      }
    }, /enough/);
    const unwanted = await client.request(url);
    unwanted.discard();
    await assert.rejects(unwanted.text(), { code: 'ERR_HTTP_GONE' });
    const warned = new Promise((resolve) => process.once('warning', resolve));
    const failed: Error[] = [];
    (await client.request(url)).receive({
      onData() {
        throw new Error('the sink');
      },
      onError: (error) => void failed.push(error),
    });
    assert.match(String(await warned), /the sink/);
    assert.equal(failed[0]?.message, 'the sink');
    assert.equal(await (await client.request(`${url}small`)).text(), '');
    await client.close({ deadlineMs: 0 });
    await until('the closes', () => peers.every((peer) => peer.isEnded || peer.isClosed));
  });

  it('what our server compresses comes back', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) =>
        sendCompressed(
          response,
          (async function* () {
            for (let i = 0; i < 20; i += 1) {
              yield TEXT;
            }
          })(),
        ),
    });
    const response = await clientOf().request(rig.url);
    assert.equal(response.decodedFrom.length, 1);
    assert.equal(await response.text(), TEXT.repeat(20));
  });
});
