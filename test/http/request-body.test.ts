/** Bodies of requests over real sockets: back-pressure, Expect, early responses, and clients that do not finish. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { HttpRequest } from '../../src/http/request.js';
import type { HttpResponse } from '../../src/http/response.js';
import { nextRound, until, within } from '../support/until.js';
import { get, HttpRig, post } from './rig.js';

const MiB = 1_048_576;

function chunked(path: string, ...pieces: string[]): string {
  const body = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
  return `${get(path, 'Transfer-Encoding: chunked').replace('GET', 'POST')}${body}0\r\n\r\n`;
}

describe('the body of a request', () => {
  it('is the whole of it, or its pieces, or JSON', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        if (request.path === '/json') {
          response.end(JSON.stringify(await request.json()));
        } else if (request.path === '/pieces') {
          for await (const piece of request) {
            response.write(piece);
          }
          response.end();
        } else {
          response.end(await request.bytes());
        }
      },
    });
    const client = await rig.connect();
    await client.send(
      post('/', 'hello') + chunked('/pieces', 'a', 'bc', 'def') + post('/json', '[1]'),
    );
    assert.equal((await client.answer()).body, 'hello');
    assert.equal((await client.answer()).body, 'abcdef');
    assert.equal((await client.answer()).body, '[1]');
  });

  it('gives its trailers at the end, without those that would change the past', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        assert.equal(request.trailers.size, 0);
        await request.bytes();
        response.end(JSON.stringify([...request.trailers]));
      },
    });
    const client = await rig.connect();
    await client.send(
      chunked('/', 'x').replace(
        /\r\n\r\n$/,
        '\r\nX-Sum: 1\r\nHost: b\r\nContent-Length: 9\r\nAuthorization: c\r\n__proto__: d\r\n\r\n',
      ),
    );
    assert.equal((await client.answer()).body, '[["x-sum","1"],["__proto__","d"]]');
  });

  it('is not read before somebody wants it', async () => {
    let request: HttpRequest | undefined;
    let response: HttpResponse | undefined;
    const rig = await HttpRig.open({
      onRequest: (theirs, ours) => {
        request = theirs;
        response = ours;
      },
    });
    const client = await rig.connect();
    const size = 64 * MiB;
    await client.send(get('/', `Content-Length: ${size}`).replace('GET', 'POST'));
    await until('the request', () => request !== undefined);
    const piece = Buffer.alloc(65_536, 'x');
    let sent = 0;
    // Until the kernel's buffers on both sides are full.
    for (let refusals = 0; refusals < 50; ) {
      const n = client.raw.trySend(piece);
      sent += n;
      refusals = n === 0 ? refusals + 1 : 0;
      await nextRound();
    }
    assert.ok(sent < size / 2, `${sent} bytes were taken`);
    assert.ok(request!.connection.bytesReceived < 4 * MiB);
    let received = 0;
    request!.receive({
      onData: (bytes) => {
        received += bytes.byteLength;
      },
      onEnd: () => response!.end('thanks'),
    });
    while (sent < size) {
      const rest = piece.subarray(0, Math.min(piece.byteLength, size - sent));
      await client.send(rest);
      sent += rest.byteLength;
    }
    assert.equal((await client.answer()).body, 'thanks');
    assert.equal(received, size);
  });

  it('a consumer that is slow slows the client down, and gets everything', async () => {
    const size = 8 * MiB;
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        let received = 0;
        for await (const piece of request) {
          received += piece.byteLength;
          if (received % 7 === 0) {
            await nextRound();
          }
        }
        response.end(String(received));
      },
    });
    const client = await rig.connect();
    await client.send(post('/', 'x'.repeat(size)));
    assert.equal((await client.answer()).body, String(size));
    await client.send(post('/', 'again'));
    assert.equal((await client.answer()).body, '5');
  });

  it('a client that expects 100 gets one, once the handler wants the body', async () => {
    let wants: (() => void) | undefined;
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        await new Promise<void>((resolve) => {
          wants = resolve;
        });
        response.end(await request.text());
      },
    });
    const client = await rig.connect();
    await client.send(get('/', 'Expect: 100-continue', 'Content-Length: 5').replace('GET', 'POST'));
    await until('the request', () => wants !== undefined);
    assert.equal(client.raw.tryReceive(), -11);
    wants!();
    assert.equal((await client.answer()).status, 100);
    await client.send('hello');
    assert.equal((await client.answer()).body, 'hello');
    // Who sends at once is not told to.
    wants = undefined;
    await client.send(post('/', 'hello', 'Expect: 100-continue'));
    await until('the request', () => wants !== undefined);
    wants!();
    assert.deepEqual([(await client.answer()).body], ['hello']);
  });

  it('a final response instead of 100 ends the connection', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        response.status = 401;
        response.end();
      },
    });
    const client = await rig.connect();
    await client.send(get('/', 'Expect: 100-continue', 'Content-Length: 5').replace('GET', 'POST'));
    const { status, fields } = await client.answer();
    assert.deepEqual([status, fields.get('connection')], [401, 'close']);
    await client.send(`hello${get('/canary')}`);
    assert.equal(await client.rest(), '');
    assert.equal(rig.handler.httpStats.requests, 1);
  });

  it('what nobody wants is dropped, and the connection goes on', async () => {
    const rig = await HttpRig.open({
      onRequest: (request, response) => response.end(request.path),
    });
    const client = await rig.connect();
    await client.send(post('/1', 'x'.repeat(200_000)) + chunked('/2', 'hello') + get('/3'));
    for (const path of ['/1', '/2', '/3']) {
      const { body, fields } = await client.answer();
      assert.equal(body, path);
      assert.ok(!fields.has('connection'));
    }
  });

  it('much of what nobody wants ends it, after the response has been read', async () => {
    const rig = await HttpRig.open({ onRequest: (_, response) => response.end('no, thanks') });
    const client = await rig.connect();
    await client.send(get('/', `Content-Length: ${64 * MiB}`).replace('GET', 'POST'));
    const { body, fields } = await client.answer();
    assert.deepEqual([body, fields.get('connection')], ['no, thanks', 'close']);
    const piece = Buffer.alloc(65_536);
    await within(
      'the end',
      (async () => {
        for (let sent = 0; sent < 64 * MiB; sent += piece.byteLength) {
          await client.send(piece);
        }
        assert.fail('64 MiB were taken');
      })().catch((error: { code?: string }) =>
        assert.match(String(error.code), /EPIPE|ECONNRESET/),
      ),
    );
    assert.equal(rig.handler.httpStats.undrained, 1);
  });

  it('chunks that nobody wants end it at the limit', async () => {
    const rig = await HttpRig.open({
      drainBytesMax: 100_000,
      onRequest: (_, response) => response.end(),
    });
    const client = await rig.connect();
    await client.send(get('/', 'Transfer-Encoding: chunked').replace('GET', 'POST'));
    assert.equal((await client.answer()).status, 200);
    const piece = Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`);
    await client.send(piece);
    await client.send(piece);
    assert.equal(await client.rest(), '');
    assert.equal(rig.handler.httpStats.undrained, 1);
  });

  it('one above its limit is refused: by its length, by its chunks, and by the handler', async () => {
    const errors: string[] = [];
    const rig = await HttpRig.open({
      bodyBytesMax: 1_000,
      onRequest: async (request, response) => {
        try {
          response.end(await request.bytes(10));
        } catch (error) {
          errors.push((error as { code: string }).code);
          response.status = 413;
          response.end('too much');
        }
      },
    });
    assert.match(
      await rig.exchange(post('/', 'x'.repeat(1_001)) + get('/canary')),
      /^HTTP\/1.1 413/,
    );
    const chunks = chunked('/', 'x'.repeat(5), 'x'.repeat(996));
    assert.match(await rig.exchange(chunks + get('/canary')), /^HTTP\/1.1 413/);
    const client = await rig.connect();
    await client.send(post('/', 'x'.repeat(11)) + chunked('/', 'x'.repeat(20)) + post('/', 'x'));
    assert.deepEqual((await client.answer()).body, 'too much');
    assert.deepEqual((await client.answer()).body, 'too much');
    assert.deepEqual((await client.answer()).body, 'x');
    assert.deepEqual(errors, ['ERR_HTTP_GONE', 'ERR_HTTP_BODY_LENGTH', 'ERR_HTTP_BODY_LENGTH']);
  });

  it('a client that ends in the midst of a body gets 400, the handler an error', async () => {
    const errors: string[] = [];
    const rig = await HttpRig.open({
      onRequest: (request) => {
        request.text().catch((error: { code: string }) => errors.push(error.code));
      },
    });
    for (const text of [post('/', 'hello').slice(0, -2), chunked('/', 'hello').slice(0, -4)]) {
      const client = await rig.connect();
      await client.send(text);
      client.raw.halfClose();
      assert.match(await client.rest(), /^HTTP\/1.1 400 [^\r]*\r\n/);
    }
    assert.deepEqual(errors, ['ERR_HTTP_GONE', 'ERR_HTTP_GONE']);
    assert.equal(rig.handler.httpStats.rejects.truncated, 2);
  });

  it('a client that ends in the midst of a head gets 400, one that sent nothing the end', async () => {
    const rig = await HttpRig.open({ onRequest: () => {} });
    for (const [text, answer] of [
      ['GET / HT', /^HTTP\/1.1 400 /],
      ['', /^$/],
    ] as const) {
      const client = await rig.connect();
      await client.send(text);
      client.raw.halfClose();
      assert.match(await client.rest(), answer);
    }
  });

  it('a reset in the midst of a body tells the handler', async () => {
    const errors: string[] = [];
    const rig = await HttpRig.open({
      onRequest: async (request) => {
        try {
          for await (const piece of request) {
            assert.ok(piece.byteLength > 0);
          }
        } catch (error) {
          errors.push((error as { code: string }).code);
        }
      },
    });
    const client = await rig.connect();
    await client.send(post('/', 'hello').slice(0, -2));
    await until('the request', () => rig.handler.httpStats.requests === 1);
    await nextRound();
    client.raw.reset();
    await until('the error', () => errors.length === 1);
    assert.deepEqual(errors, ['ERR_HTTP_GONE']);
  });

  it('whoever was reading what is discarded is told so, and nothing after it', async () => {
    const events: string[] = [];
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        request.receive({
          onData: (bytes) => {
            events.push(`${bytes}`);
            request.discard();
          },
          onEnd: () => void events.push('end'),
          onError: (error) => void events.push((error as { code?: string }).code ?? ''),
        });
        request.connection.setTimer(1, () => response.end('done'));
      },
    });
    const client = await rig.connect();
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
    await client.send(`${head}1\r\na\r\n1\r\nb\r\n0\r\n\r\n`);
    assert.equal((await client.answer()).body, 'done');
    assert.deepEqual(events, ['a', 'ERR_HTTP_GONE']);
  });

  it('can be read once', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        const bytes = request.bytes();
        await assert.rejects(request.bytes(), /only once/);
        response.end(await bytes);
      },
    });
    const client = await rig.connect();
    await client.send(post('/', 'x'));
    assert.equal((await client.answer()).body, 'x');
  });
});
