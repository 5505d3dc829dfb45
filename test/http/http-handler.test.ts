/** The server over real sockets: keep-alive, pipelining, framing of responses, errors of handlers, shutdown. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { httpHandler } from '../../src/http/http-handler.js';
import type { HttpRequest } from '../../src/http/request.js';
import type { HttpResponse } from '../../src/http/response.js';
import { until } from '../support/until.js';
import { get, HttpRig, post } from './rig.js';

const later = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('httpHandler', () => {
  it('answers on one connection again and again, with the fields a response needs', async () => {
    const rig = await HttpRig.open({
      onRequest: (request, response) => response.end(`you asked for ${request.target}`),
      wallClock: () => Date.UTC(1994, 10, 6, 8, 49, 37),
    });
    const client = await rig.connect();
    for (let i = 0; i < 5; i += 1) {
      await client.send(get(`/${i}`));
      const { status, fields, body } = await client.answer();
      assert.deepEqual([status, body], [200, `you asked for /${i}`]);
      assert.deepEqual(
        [...fields],
        [
          ['date', 'Sun, 06 Nov 1994 08:49:37 GMT'],
          ['content-length', String(body.length)],
        ],
      );
    }
    assert.equal(rig.handler.httpStats.requests, 5);
    assert.equal(rig.handler.httpStats.connections, 1);
  });

  it('answers pipelined requests in order, also when the handler takes its time', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        const n = Number(request.path.slice(1));
        for (let i = 0; i < (n * 7) % 5; i += 1) {
          await later();
        }
        response.end(`${request.path} `);
      },
    });
    const client = await rig.connect();
    const count = 1_000;
    const bytes = Buffer.from(Array.from({ length: count }, (_, i) => get(`/${i}`)).join(''));
    const sending = (async () => {
      for (let at = 0, step = 1; at < bytes.byteLength; at += step, step = (step * 31) % 997) {
        await client.send(bytes.subarray(at, at + step));
      }
    })();
    for (let i = 0; i < count; i += 1) {
      assert.equal((await client.answer()).body, `/${i} `);
    }
    await sending;
  });

  it('answers more pipelined requests than one turn may have', async () => {
    const rig = await HttpRig.open({
      pipelineMax: 3,
      onRequest: (request, response) => response.end(request.path),
    });
    const client = await rig.connect();
    await client.send(Array.from({ length: 50 }, (_, i) => get(`/${i}`)).join(''));
    for (let i = 0; i < 50; i += 1) {
      assert.equal((await client.answer()).body, `/${i}`);
    }
    await client.send(get('/last'));
    assert.equal((await client.answer()).body, '/last');
  });

  it('handles one request of a connection at a time', async () => {
    let running = 0;
    const rig = await HttpRig.open({
      onRequest: async (_, response) => {
        running += 1;
        assert.equal(running, 1);
        await later();
        running -= 1;
        response.end();
      },
    });
    const client = await rig.connect();
    await client.send(get('/').repeat(20));
    for (let i = 0; i < 20; i += 1) {
      assert.equal((await client.answer()).status, 200);
    }
  });

  it('a handler that answers later still has its request, and one that answered at once not', async () => {
    const kept: HttpRequest[] = [];
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        kept.push(request);
        if (request.path === '/retained') {
          request.retain();
        }
        if (request.path !== '/later') {
          response.end();
          return;
        }
        await later();
        await later();
        response.end(`${request.method} ${request.header('x-a')} ${request.headers.get('host')}`);
      },
    });
    const client = await rig.connect();
    await client.send(get('/later', 'X-A: b') + get('/other', 'X-A: c') + get('/retained'));
    assert.equal((await client.answer()).body, 'GET b a');
    await client.answer();
    await client.answer();
    assert.equal(kept[0]!.target, '/later');
    assert.throws(() => kept[1]!.header('x-a'), /released/);
    assert.equal(kept[2]!.target, '/retained');
  });

  it('a response that was ended cannot answer another request', async () => {
    const old: HttpResponse[] = [];
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        old.push(response);
        if (request.path === '/first') {
          response.end('first');
        }
      },
    });
    const client = await rig.connect();
    await client.send(get('/first'));
    await client.answer();
    await client.send(get('/second'));
    await until('the second request', () => old.length === 2);
    assert.equal(old[0]!.end('again'), 'closed');
    assert.equal(old[0]!.write('again'), 'closed');
    old[1]!.end('second');
    assert.equal((await client.answer()).body, 'second');
  });

  it('what comes after Connection: close is not answered', async () => {
    const seen: string[] = [];
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        seen.push(request.path);
        response.end();
      },
    });
    const text = await rig.exchange(get('/1', 'Connection: close') + get('/canary'));
    assert.equal(text.match(/HTTP\/1\.1/g)!.length, 1);
    assert.match(text, /Connection: close\r\n/);
    assert.deepEqual(seen, ['/1']);
  });

  it('a response may close, and requestsMax does', async () => {
    const rig = await HttpRig.open({
      requestsMax: 3,
      onRequest: (request, response) => {
        if (request.path === '/close') {
          response.field('Connection', 'close');
        }
        response.end();
      },
    });
    assert.equal((await rig.exchange(get('/close') + get('/canary'))).match(/200 OK/g)!.length, 1);
    const text = await rig.exchange(get('/').repeat(5));
    assert.equal(text.match(/200 OK/g)!.length, 3);
    assert.equal(text.match(/Connection: close/g)!.length, 1);
  });

  it('a handler that throws or rejects costs its request, and says why', async () => {
    const errors: string[] = [];
    const rig = await HttpRig.open({
      onError: (error, request) => errors.push(`${request.path} ${(error as Error).message}`),
      onRequest: (request, response) => {
        response.field('x-secret', 'y');
        if (request.path === '/rejects') {
          return later().then(() => Promise.reject(new Error('rejected')));
        }
        throw new Error('thrown');
      },
    });
    const client = await rig.connect();
    await client.send(get('/throws') + get('/rejects'));
    for (const path of ['/throws', '/rejects']) {
      const { status, fields } = await client.answer();
      assert.equal(status, 500, path);
      assert.ok(!fields.has('x-secret'));
    }
    assert.deepEqual(errors, ['/throws thrown', '/rejects rejected']);
    assert.equal(rig.handler.httpStats.handlerErrors, 2);
  });

  it('requests are answered in full after the client has ended its side', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        await later();
        response.end(request.path);
      },
    });
    const client = await rig.connect();
    await client.send(get('/1') + get('/2'));
    client.raw.halfClose();
    const text = await client.rest();
    assert.match(text, /\r\n\r\n\/1HTTP\/1.1 200 OK\r\n(.+\r\n)+\r\n\/2$/);
  });

  it('tells a response that its client is gone', async () => {
    let response: HttpResponse | undefined;
    let closed = 0;
    const rig = await HttpRig.open({
      onRequest: (_, theirs) => {
        response = theirs;
        theirs.onClose(() => {
          closed += 1;
        });
      },
    });
    const client = await rig.connect();
    await client.send(get('/'));
    await until('the request', () => response !== undefined);
    client.raw.reset();
    await until('the close', () => closed === 1);
    assert.equal(response!.end('x'), 'closed');
    assert.equal(rig.handler.httpStats.connections, 0);
  });

  it('takes no wrong options', () => {
    const onRequest = () => {};
    assert.throws(() => httpHandler({} as never), TypeError);
    assert.throws(() => httpHandler({ onRequest, headBytesMax: 0 }), RangeError);
    assert.throws(() => httpHandler({ onRequest, fieldsMax: 1.5 }), RangeError);
    assert.throws(() => httpHandler({ onRequest, serverName: 'a\r\nb: c' }), TypeError);
    assert.throws(() => httpHandler({ onRequest, onUpgrade: 5 as never }), TypeError);
  });

  it('is about posts too', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => response.end(await request.text()),
    });
    const client = await rig.connect();
    await client.send(post('/', 'hello') + post('/', '') + get('/'));
    assert.equal((await client.answer()).body, 'hello');
    assert.equal((await client.answer()).body, '');
    assert.equal((await client.answer()).body, '');
  });
});
