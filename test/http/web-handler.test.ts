/** The web standard face over real sockets. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { webHandler } from '../../src/http/web-handler.js';
import { nextRound, until } from '../support/until.js';
import { get, HttpRig, post } from './rig.js';

describe('webHandler', () => {
  it('gives a Request that is one, and answers with the Response', async () => {
    const rig = await HttpRig.open({
      onRequest: webHandler(async (request, info) => {
        assert.ok(request instanceof Request);
        assert.match(info.remoteAddress, /^tcp:\/\/127\.0\.0\.1:\d+$/);
        const { method, url, headers } = request;
        const text = await request.text();
        return Response.json({ method, url, a: headers.get('a'), text }, { status: 201 });
      }),
    });
    const client = await rig.connect();
    await client.send(post('/x?y=z', 'h\xc3\xa4', 'A: b', 'A: c'));
    const { status, fields, body } = await client.answer();
    assert.equal(status, 201);
    assert.equal(fields.get('content-type'), 'application/json');
    assert.equal(fields.get('content-length'), String(body.length));
    assert.deepEqual(JSON.parse(Buffer.from(body, 'latin1').toString()), {
      method: 'POST',
      url: 'http://a/x?y=z',
      a: 'b, c',
      text: 'hä',
    });
  });

  it('has a URL also where the client names no host', async () => {
    const onRequest = webHandler((request) => new Response(request.url));
    const rig = await HttpRig.open({ onRequest });
    const { port } = new URL(rig.url);
    assert.match(
      await rig.exchange('GET /a HTTP/1.0\r\n\r\n'),
      new RegExp(`http://127\\.0\\.0\\.1:${port}/a$`),
    );
    assert.match(await rig.exchange('GET http://b/c HTTP/1.0\r\n\r\n'), /http:\/\/b\/c$/);
    assert.match(await rig.exchange('OPTIONS * HTTP/1.0\r\nHost: d\r\n\r\n'), /http:\/\/d\/$/);
    const unix = await HttpRig.open({ onRequest }, { listen: 'unix-abstract://millrace-http-url' });
    assert.match(await unix.exchange('GET /a HTTP/1.0\r\n\r\n'), /http:\/\/localhost\/a$/);
  });

  it('reads the body in all the ways of the standard, once', async () => {
    const rig = await HttpRig.open({
      onRequest: webHandler(async (request) => {
        const { pathname } = new URL(request.url);
        switch (pathname) {
          case '/json':
            return Response.json(await request.json());
          case '/buffer':
            return new Response(await request.arrayBuffer());
          case '/blob':
            return new Response(await (await request.blob()).text());
          case '/form':
            return new Response((await request.formData()).get('a') as string);
          case '/clone': {
            const copy = request.clone();
            return new Response((await copy.text()) + (await request.text()));
          }
          case '/again': {
            await request.text();
            assert.ok(request.bodyUsed);
            const again = await request.text().catch((error: Error) => error.name);
            return new Response(again);
          }
          case '/request':
            return new Response(await new Request(request.url, request).text());
          default:
            return new Response(request.body);
        }
      }),
    });
    const client = await rig.connect();
    const form = 'Content-Type: application/x-www-form-urlencoded';
    for (const [path, sent, received, ...fields] of [
      ['/json', '{"a":[1]}', '{"a":[1]}'],
      ['/buffer', 'bytes', 'bytes'],
      ['/blob', 'blob', 'blob'],
      ['/form', 'a=b', 'b', form],
      ['/clone', 'x', 'xx'],
      ['/again', 'x', 'TypeError'],
      ['/request', 'x', 'x'],
      ['/stream', 'y'.repeat(500_000), 'y'.repeat(500_000)],
      ['/buffer', '', ''],
    ] as const) {
      await client.send(post(path, sent, ...fields));
      assert.ok((await client.answer()).body === received, path);
    }
  });

  it('streams a response as it is made, and tells its source to stop when the client goes', async () => {
    let canceled = false;
    let isAborted = false;
    let pulls = 0;
    const rig = await HttpRig.open({
      onRequest: webHandler((request) => {
        request.signal.addEventListener('abort', () => {
          isAborted = true;
        });
        const body = new ReadableStream<Uint8Array>({
          async pull(controller) {
            pulls += 1;
            await nextRound();
            controller.enqueue(Buffer.alloc(100_000, 'x'));
          },
          cancel() {
            canceled = true;
          },
        });
        return new Response(body, {
          headers: [
            ['set-cookie', 'a=b'],
            ['set-cookie', 'c=d'],
          ],
        });
      }),
    });
    const client = await rig.connect({ receiveBufferBytes: 16_384 });
    await client.send(get('/'));
    await until('back-pressure', () => rig.server.stats.totals.queuedBytes > 50_000);
    const before = pulls;
    for (let i = 0; i < 20; i += 1) {
      await nextRound();
    }
    assert.ok(pulls <= before + 2, `${pulls - before} pieces were made meanwhile`);
    client.raw.reset();
    await until('the end of the source', () => canceled && isAborted);
  });

  it('a body above the limit of whole ones is 413, and no error of the handler', async () => {
    const errors: unknown[] = [];
    const rig = await HttpRig.open({
      onError: (error) => errors.push(error),
      onRequest: webHandler(async (request) => new Response(await request.text()), {
        wholeBytesMax: 100,
        scheme: 'https',
      }),
    });
    const client = await rig.connect();
    await client.send(post('/', 'x'.repeat(101)) + post('/', 'x'.repeat(100)));
    assert.equal((await client.answer()).status, 413);
    assert.equal((await client.answer()).body.length, 100);
    assert.deepEqual(errors, []);
  });

  it('keeps to the standard in HEAD, 204, errors, and what is no Response', async () => {
    const errors: unknown[] = [];
    const rig = await HttpRig.open({
      onError: (error) => errors.push(error),
      onRequest: webHandler((request) => {
        const { pathname } = new URL(request.url);
        if (pathname === '/wrong') {
          return 'text' as never;
        }
        if (pathname === '/throw') {
          throw new Error('thrown');
        }
        const cookies = {
          headers: [
            ['set-cookie', 'a=b'],
            ['set-cookie', 'c=d'],
          ] as [string, string][],
        };
        return pathname === '/204'
          ? new Response(null, { status: 204 })
          : pathname === '/error'
            ? Response.error()
            : new Response('hello', cookies);
      }),
    });
    const client = await rig.connect();
    await client.send(get('/').replace('GET', 'HEAD') + get('/'));
    assert.equal((await client.answer(true)).status, 200);
    assert.equal((await client.answer()).body, 'hello');
    await client.send(get('/204') + get('/error') + get('/wrong') + get('/throw'));
    for (const status of [204, 500, 500, 500]) {
      assert.equal((await client.answer()).status, status);
    }
    assert.equal(errors.length, 2);
    const text = await rig.exchange(get('/', 'Connection: close'));
    assert.match(text, /set-cookie: a=b\r\nset-cookie: c=d\r\n/);
  });
});
