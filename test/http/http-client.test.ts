/** The client against our own server, node:http and TLS, and what it refuses to send. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';

import type { ServeOptions } from '../../src/api.js';
import { dial } from '../../src/engine/dial.js';
import { serve } from '../../src/engine/serve.js';
import { HttpClient, httpHandler } from '../../src/http/index.js';
import { dialTls, tlsHandler } from '../../src/tls/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { clientOf, errorOf } from './client-rig.js';

async function ownServer(options: Partial<ServeOptions> = {}) {
  const handler = httpHandler({
    onRequest: async (request, response) => {
      if (request.path === '/trailers') {
        const body = await request.text();
        response.end(`${body} ${request.trailers.get('x-sum')}`);
      } else if (request.path === '/big') {
        response.end(Buffer.alloc(3_000_000, 'x'));
      } else {
        const body = await request.bytes(10_000_000);
        response.fields({ 'X-Method': request.method, 'X-Target': request.target }).end(body);
      }
    },
  });
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    allowHalfOpen: true,
    handler,
    ...options,
  });
  after(() => server.close({ deadlineMs: 0 }));
  return { handler, url: server.addresses[0]!.replace('tcp:', 'http:') };
}

describe('HttpClient against our server', () => {
  it('sends and receives bodies of all kinds on one connection', async () => {
    const { handler, url } = await ownServer();
    const client = clientOf();
    const get = await client.request(`${url}/a%20b?c=\\|d#e`);
    assert.equal(get.status, 200);
    assert.equal(get.header('x-target'), '/a%20b?c=%5C|d');
    assert.equal(await get.text(), '');
    const head = await client.request(url, { method: 'HEAD' });
    assert.equal(await head.text(), '');
    const text = await client.request(url, { method: 'POST', body: 'häh' });
    assert.equal(await text.text(), 'häh');
    const bytes = Buffer.alloc(5_000_000, 'ab');
    const large = await client.request(url, { method: 'PUT', body: bytes });
    assert.ok(bytes.equals(await large.bytes(10_000_000)));
    async function* pieces() {
      for (let i = 0; i < 50; i += 1) {
        yield Buffer.alloc(i * 1_000, `${i % 10}`);
        yield '';
      }
    }
    let expected = '';
    for await (const piece of pieces()) {
      expected += piece.toString();
    }
    const chunked = await client.request(url, { method: 'POST', body: pieces() });
    assert.equal(await chunked.text(10_000_000), expected);
    const options = { method: 'POST', body: pieces(), contentLength: expected.length };
    const known = await client.request(url, options);
    assert.equal(await known.text(10_000_000), expected);
    const sum = await client.request(`${url}/trailers`, {
      method: 'POST',
      body: ['a', 'b'],
      trailers: () => ({ 'X-Sum': '2' }),
    });
    assert.equal(await sum.text(), 'ab 2');
    const waited = await client.request(url, { method: 'POST', body: 'yes', expectContinue: true });
    assert.deepEqual(JSON.parse(`"${await waited.text()}"`), 'yes');
    assert.equal(client.stats.connects, 1);
    assert.equal(client.stats.reused, client.stats.requests - 1);
    assert.equal(handler.httpStats.requests, client.stats.requests);
    await client.close();
    assert.equal(client.stats.connections, 0);
    const error = await errorOf(client.request(url));
    assert.equal(error.code, 'ERR_HTTP_CLIENT_CLOSED');
  });

  it('keeps to its bounds of connections, and the queue', async () => {
    const { url } = await ownServer();
    const client = clientOf({ connectionsPerOrigin: 2, queueMax: 5 });
    const all = Array.from({ length: 8 }, (_, i) =>
      client.request(url, { method: 'POST', body: `${i}` }).then((response) => response.text()),
    );
    const ends = await Promise.allSettled(all);
    const values = ends.map((end) => (end.status === 'fulfilled' ? end.value : end.reason.code));
    assert.deepEqual(values, ['0', '1', '2', '3', '4', '5', '6', 'ERR_HTTP_QUEUE_FULL']);
    assert.equal(client.stats.connects, 2);
    assert.equal(client.stats.queued, 0);
  });

  it('a connection at rest makes room for another origin', async () => {
    const [one, two] = [await ownServer(), await ownServer()];
    const client = clientOf({ connectionsMax: 1 });
    for (const { url } of [one, two, one]) {
      await (await client.request(url)).bytes();
    }
    assert.equal(client.stats.connects, 3);
  });

  it('a body that is not read holds the server back, and then comes whole', async () => {
    const { url } = await ownServer();
    const client = clientOf();
    const response = await client.request(`${url}/big`);
    let length = 0;
    for await (const piece of response) {
      length += piece.byteLength;
    }
    assert.equal(length, 3_000_000);
    const dropped = await client.request(`${url}/big`);
    dropped.discard();
    await assert.rejects(dropped.bytes(10_000_000), { code: 'ERR_HTTP_GONE' });
    const long = await client.request(`${url}/big`);
    await assert.rejects(long.bytes(10), { code: 'ERR_HTTP_BODY_LENGTH' });
    await awaitCondition(() => client.stats.connections === 0, 'the connections to go');
  });

  it('over TLS, with the name checked', async () => {
    const certificates = new TestCertificates();
    const handler = httpHandler({
      onRequest: (request, response) => response.end(request.header('host')),
    });
    const { cert, key } = certificates.server;
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: tlsHandler({ cert, key }, handler),
      allowHalfOpen: true,
    });
    after(() => server.close({ deadlineMs: 0 }));
    const { port } = new URL(server.addresses[0]!.replace('tcp:', 'http:'));
    const client = clientOf({
      dialTls: (url, options) => dialTls(url, { ...options, ca: certificates.ca.cert }),
    });
    for (let i = 0; i < 2; i += 1) {
      const response = await client.request(`https://localhost:${port}/`);
      assert.equal(await response.text(), `localhost:${port}`);
    }
    assert.equal(client.stats.connects, 1);
    const strict = clientOf({ dialTls });
    const error = await errorOf(strict.request(`https://localhost:${port}/`));
    assert.equal(error.code, 'ERR_HTTP_CONNECT');
    assert.equal((error.cause as { code: string }).code, 'ERR_TLS_CERTIFICATE');
    await assert.rejects(clientOf().request('https://localhost/'), /dialTls/);
    await Promise.all([client.close(), strict.close()]);
  });
});

it('HttpClient against node:http', async () => {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      response.write('one ');
      response.addTrailers({ 'X-End': 'yes', Host: 'evil' });
      response.end('two');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  const client = clientOf();
  for (let i = 0; i < 3; i += 1) {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const response = await client.request(url, { method: 'POST', body: ['x'] });
    assert.equal(await response.text(), 'one two');
    assert.deepEqual([...response.trailers], [['x-end', 'yes']]);
    const cookies = [...response.rawHeaders()].filter(([name]) => name === 'Set-Cookie');
    assert.deepEqual(
      cookies.map(([, value]) => value),
      ['a=1', 'b=2'],
    );
  }
  assert.equal(client.stats.connects, 1);
  await client.close();
});

it('what may not go out throws before anything is sent', async () => {
  const client = clientOf();
  const bad: [unknown, string | undefined][] = [
    [{ fields: { 'A b': 'c' } }, undefined],
    [{ fields: { A: 'b\r\nC: d' } }, undefined],
    [{ fields: { A: '\u0100' } }, undefined],
    [{ fields: { Host: 'evil' } }, undefined],
    [{ fields: { 'Content-Length': '1' } }, undefined],
    [{ fields: { 'transfer-encoding': 'chunked' } }, undefined],
    [{ method: 'GET /evil HTTP/1.1\r\n' }, undefined],
    [{ method: 'CONNECT' }, undefined],
    [{ body: 5 }, undefined],
    [{ contentLength: 3 }, undefined],
    [{ body: 'ab', contentLength: 3 }, undefined],
    [{ timeouts: { headTimeoutMs: 0 } }, undefined],
    [{ timeouts: { fieldsMax: 1 } }, undefined],
    [{ body: 'a', trailers: { A: 'b' } }, undefined],
    [{ signal: {} }, undefined],
    [{}, 'ftp://127.0.0.1/'],
    [{}, 'http://user:pass@127.0.0.1/'],
  ];
  for (const [options, url] of bad) {
    const request = client.request(url ?? 'http://127.0.0.1:1/', options as object);
    await assert.rejects(
      request,
      (error) => error instanceof TypeError || error instanceof RangeError,
    );
  }
  assert.equal(client.stats.requests, 0);
  assert.throws(() => new HttpClient({} as never), TypeError);
  assert.throws(() => new HttpClient(dial, { queueMax: -1 }), RangeError);
});
