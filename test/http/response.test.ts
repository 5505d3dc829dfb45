/** Responses over real sockets: how they are framed, what may be in them, and how they end when they cannot. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { prepareFields } from '../../src/http/response-fields.js';
import { within } from '../support/until.js';
import { get, HttpRig } from './rig.js';

const later = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('HttpResponse', () => {
  it('HEAD has the fields of GET and no body', async () => {
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        if (request.path === '/stream') {
          response.write('hello');
          response.end('!');
        } else {
          response.end('hello');
        }
      },
    });
    const client = await rig.connect();
    const head = (path: string) => get(path).replace('GET', 'HEAD');
    await client.send(head('/whole') + head('/stream') + get('/whole'));
    assert.equal((await client.answer(true)).fields.get('content-length'), '5');
    assert.equal((await client.answer(true)).fields.get('transfer-encoding'), 'chunked');
    assert.equal((await client.answer()).body, 'hello');
  });

  it('streams in chunks, with trailers, or with a length', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        if (request.path === '/length') {
          response.field('content-length', 10);
        }
        response.write('hello');
        await later();
        if (request.path === '/chunks') {
          response.trailer('X-Sum', '42');
        }
        response.end('world');
      },
    });
    const client = await rig.connect();
    await client.send(get('/chunks') + get('/length'));
    const chunked = await client.answer();
    assert.deepEqual([chunked.body, chunked.trailers], ['helloworld', 'X-Sum: 42\r\n']);
    const whole = await client.answer();
    assert.deepEqual([whole.body, whole.fields.get('content-length')], ['helloworld', '10']);
  });

  it('HTTP/1.0 gets no chunks: the end of the connection is the end of the body', async () => {
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        if (request.path === '/stream') {
          response.write('hello');
        }
        response.end(' world');
      },
    });
    const closed = await rig.exchange('GET /stream HTTP/1.0\r\n\r\n');
    assert.match(closed, /^HTTP\/1\.1 200 OK\r\nDate: .*\r\nConnection: close\r\n\r\nhello world$/);
    const client = await rig.connect();
    await client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    assert.equal((await client.answer()).fields.get('connection'), 'keep-alive');
    await client.send('GET / HTTP/1.0\r\n\r\n');
    assert.match(await client.rest(), /Connection: close\r\nContent-Length: 6\r\n\r\n world$/);
  });

  it('bodies of all sizes and kinds arrive as they are', async () => {
    const sizes = [0, 1, 63, 64, 1_000, 16_384, 16_385, 70_000, 300_000];
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        const [, kind, size] = request.path.split('/');
        const text = (kind === 'utf8' ? 'ä' : 'x').repeat(Number(size));
        response.end(kind === 'bytes' ? Buffer.from(text) : text);
      },
    });
    const client = await rig.connect();
    for (const kind of ['text', 'utf8', 'bytes']) {
      await client.send(sizes.map((size) => get(`/${kind}/${size}`)).join(''));
      for (const size of sizes) {
        const { body } = await client.answer();
        const expected = (kind === 'utf8' ? '\xc3\xa4' : 'x').repeat(size);
        assert.ok(body === expected, `${kind} ${size}: ${body.length} bytes`);
      }
    }
  });

  it('one that fails in the midst of a response resets the connection', async () => {
    const rig = await HttpRig.open({
      onError: () => {},
      onRequest: async (_, response) => {
        response.write('half');
        await later();
        throw new Error('thrown');
      },
    });
    const client = await rig.connect();
    await client.send(get('/'));
    await within('the reset', client.raw.readToReset());
  });

  it('a response shorter than its length ends the connection', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        response.field('content-length', '10');
        response.write('hello');
        response.end();
      },
    });
    const text = await rig.exchange(get('/') + get('/canary'));
    assert.match(text, /Content-Length: 10\r\n\r\nhello$/);
  });

  it('wrong responses throw before anything is sent', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        assert.throws(() => response.field('a b', 'c'), TypeError);
        assert.throws(() => response.field('a', 'b\r\nSet-Cookie: c'), TypeError);
        assert.throws(() => response.field('a', 'b\0'), TypeError);
        assert.throws(() => response.field('a', '€'), TypeError);
        assert.throws(() => response.field('Transfer-Encoding', 'chunked'), TypeError);
        assert.throws(() => response.field('Connection', 'x'), TypeError);
        assert.throws(() => response.field('Content-Length', '+5'), RangeError);
        assert.throws(() => response.fields({ 'a\n': 'b' }), TypeError);
        assert.throws(() => response.trailer('a', 'b\n'), TypeError);
        assert.throws(() => Object.assign(response, { status: 99 }), RangeError);
        assert.throws(() => response.field('a', 'b'.repeat(70_000)), RangeError);
        assert.throws(() => response.end({} as never), TypeError);
        assert.throws(() => response.write(5 as never), TypeError);
        response.status = 204;
        assert.throws(() => response.end('body'), TypeError);
        response.end();
        assert.throws(() => response.field('a', 'b'), /sent/);
      },
      onError: (error) => {
        throw error;
      },
    });
    const client = await rig.connect();
    await client.send(get('/'));
    const { status, fields } = await client.answer();
    assert.equal(status, 204);
    assert.deepEqual([...fields.keys()], ['date']);
  });

  it('prepared fields go out as they were prepared', async () => {
    const plain = prepareFields({ 'Content-Type': 'text/plain', 'Set-Cookie': ['a=b', 'c=d'] });
    assert.throws(() => prepareFields({ 'Content-Length': 5 }), TypeError);
    const rig = await HttpRig.open({
      serverName: 'mill',
      onRequest: (_, response) => response.fields(plain).fields({ a: 'b', date: 'never' }).end('x'),
    });
    const text = await rig.exchange(get('/', 'Connection: close'));
    assert.equal(
      text,
      'HTTP/1.1 200 OK\r\nServer: mill\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n' +
        'a: b\r\ndate: never\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx',
    );
  });

  it('interim responses come before the final one', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        response.inform(103, { link: '</a.css>; rel=preload' });
        response.end('x');
      },
    });
    const client = await rig.connect();
    await client.send(get('/'));
    const early = await client.answer();
    assert.deepEqual([early.status, early.fields.get('link')], [103, '</a.css>; rel=preload']);
    assert.equal((await client.answer()).body, 'x');
  });
});
