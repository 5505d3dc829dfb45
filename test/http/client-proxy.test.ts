/** Requests through an HTTP proxy: whole ones for http:, tunnels for https:. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import type { Connection, Handler } from '../../src/api.js';
import { dial } from '../../src/engine/dial.js';
import { serve } from '../../src/engine/serve.js';
import { HttpClient, type HttpClientOptions, httpHandler } from '../../src/http/index.js';
import { dialTls, tlsHandler } from '../../src/tls/index.js';
import { seededBytes } from '../support/bytes.js';
import { TestCertificates } from '../support/test-certificates.js';
import { nextRound, until } from '../support/until.js';
import { errorOf } from './client-rig.js';
import { HttpRig } from './rig.js';

let certificates: TestCertificates;
before(() => {
  certificates = new TestCertificates();
});

function clientOf(options: HttpClientOptions): HttpClient {
  const client = new HttpClient(dial, {
    dialTls: (url, given) => dialTls(url, { ...given, ca: certificates.ca.cert }),
    ...options,
  });
  after(() => client.close({ deadlineMs: 0 }));
  return client;
}

/** An origin over TLS. */
async function secureOrigin(): Promise<string> {
  const http = httpHandler({
    onRequest: async (request, response) => {
      const body = request.hasBody ? await request.text(1e7) : '';
      response.end(`${request.target} ${request.header('proxy-authorization')} ${body.length}`);
    },
  });
  const { cert, key } = certificates.server;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: tlsHandler({ cert, key }, http),
  });
  after(() => server.close({ deadlineMs: 0 }));
  return server.addresses[0]!.replace('tcp:', 'https:');
}

/** A proxy that notes what it is asked for. */
async function proxyOf(seen: string[]) {
  return HttpRig.open({
    onRequest: (request, response) => {
      seen.push(`${request.method} ${request.target} ${request.header('proxy-authorization')}`);
      response.end('from the proxy');
    },
    onConnect: async (request, response) => {
      seen.push(`CONNECT ${request.target} ${request.header('proxy-authorization')}`);
      if (request.header('proxy-authorization') !== 'secret') {
        response.status = 407;
        response.end();
        return;
      }
      const upstream = await dial(`tcp://${request.target}`, {
        allowHalfOpen: true,
        handler: {
          onData: (connection, bytes) => void (connection.context as Connection).write(bytes),
          onEnd: (connection) => (connection.context as Connection).end(),
          onClose: (connection) => (connection.context as Connection).close(),
        },
      });
      response.tunnel({
        onOpen: (connection) => {
          upstream.context = connection;
        },
        onData: (_, bytes) => void upstream.write(bytes),
        onClose: () => upstream.abort(),
      });
    },
  });
}

describe('a proxy', () => {
  it('tunnels https: requests, and their connections are kept', async () => {
    const seen: string[] = [];
    const [origin, proxy] = [await secureOrigin(), await proxyOf(seen)];
    // One connection in all: a tunnel that is asked for does not wait for the connection that needs it.
    const client = clientOf({
      proxy: proxy.url,
      proxyFields: { 'Proxy-Authorization': 'secret' },
      connectionsMax: 1,
    });
    for (const path of ['/a', '/b?c']) {
      const response = await client.request(origin + path, {
        method: 'POST',
        body: 'x'.repeat(1e6),
      });
      assert.equal(await response.text(), `${path} undefined 1000000`);
    }
    assert.deepEqual(seen, [`CONNECT ${origin.slice('https://'.length)} secret`]);
    const { connects, reused, tunnels } = client.stats;
    assert.deepEqual([connects, reused, tunnels], [1, 1, 1]);
    await client.close();
    await until('the tunnel to end', () => proxy.handler.httpStats.connections === 0);
  });

  it('gets http: requests whole', async () => {
    const seen: string[] = [];
    const proxy = await proxyOf(seen);
    const client = clientOf({ proxy: proxy.url, proxyFields: { 'Proxy-Authorization': 'secret' } });
    const response = await client.request('http://example.test/a?b');
    assert.equal(await response.text(), 'from the proxy');
    assert.deepEqual(seen, ['GET http://example.test/a?b secret']);
    // An address of its own is not the proxy's matter.
    const other = await client.request('http://example.test/', {
      address: proxy.server.addresses[0]!,
    });
    other.discard();
    assert.equal(seen[1], 'GET / undefined');
  });

  it('one that refuses, and certificates for others, fail the request', async () => {
    const seen: string[] = [];
    const [origin, proxy] = [await secureOrigin(), await proxyOf(seen)];
    const refused = await errorOf(clientOf({ proxy: proxy.url }).request(origin));
    assert.equal(refused.code, 'ERR_HTTP_CONNECT');
    assert.match(String((refused.cause as Error).message), /407/);
    const wrong = clientOf({
      proxy: proxy.url,
      proxyFields: { 'Proxy-Authorization': 'secret' },
      dialTls: (url, given) =>
        dialTls(url, { ...given, ca: certificates.ca.cert, serverName: 'other.test' }),
    });
    const { code, cause } = await errorOf(wrong.request(origin));
    assert.deepEqual(
      [code, (cause as { code?: string }).code],
      ['ERR_HTTP_CONNECT', 'ERR_TLS_CERTIFICATE'],
    );
    // A dialer that goes its own way would go past the proxy.
    const direct = clientOf({
      proxy: proxy.url,
      dialTls: (url, { reactor: _, ...given }) =>
        dialTls(url, { ...given, ca: certificates.ca.cert }),
    });
    const past = await errorOf(direct.request(origin));
    assert.match(String(past.cause), /reactor/);
    assert.equal(direct.stats.connections, 0);
  });

  it('over TLS itself, it is reached by TLS in TLS', async () => {
    const origin = await secureOrigin();
    const { cert, key } = certificates.server;
    let upstreams = 0;
    const handler = httpHandler({
      onRequest: (_, response) => response.end(),
      onConnect: async (request, response) => {
        upstreams += 1;
        const upstream = await dial(`tcp://${request.target}`, {
          handler: {
            onData: (connection, bytes) => void (connection.context as Connection).write(bytes),
          },
        });
        response.tunnel({
          onOpen: (connection) => {
            upstream.context = connection;
          },
          onReadable: ({ reader }) => void upstream.write(reader.readCopy(reader.length)!),
          onClose: () => upstream.abort(),
        });
      },
    });
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: tlsHandler({ cert, key }, handler),
    });
    after(() => server.close({ deadlineMs: 0 }));
    const client = clientOf({ proxy: server.addresses[0]!.replace('tcp:', 'https:') });
    const response = await client.request(`${origin}/inner`);
    assert.equal(await response.text(), '/inner undefined 0');
    assert.equal(upstreams, 1);
  });

  it('what is no proxy throws', () => {
    for (const proxy of ['ftp://a', 'http://u:p@a', 'http://a/path', 'x']) {
      assert.throws(() => clientOf({ proxy }), TypeError);
    }
    assert.throws(() => new HttpClient(dial, { proxy: 'https://a' }), /dialTls/);
  });
});

describe('over TLS', () => {
  it('an upgrade goes on with pull handlers on both sides, and nothing is lost', async () => {
    const { cert, key } = certificates.server;
    const echo: Handler = {
      defaults: { allowHalfOpen: true },
      onReadable({ reader, writer }) {
        writer.append(reader);
        writer.flush();
      },
      onEnd: (connection) => connection.close(),
    };
    const http = httpHandler({
      onRequest: async (_, response) => {
        await nextRound();
        response.upgrade(echo, { upgrade: 'echo' });
      },
    });
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: tlsHandler({ cert, key }, http),
    });
    after(() => server.close({ deadlineMs: 0 }));
    const url = server.addresses[0]!.replace('tcp:', 'https:');
    const client = clientOf({});
    const response = await client.request(url, { upgrade: 'echo' });
    const sent = seededBytes(1_000_000, 11);
    const received: Buffer[] = [];
    let isClosed = false;
    const connection = response.takeOver({
      onReadable: ({ reader }) => void received.push(reader.readCopy(reader.length)!),
      onClose: () => {
        isClosed = true;
      },
    })!;
    for (let at = 0; at < sent.byteLength; at += 50_000) {
      while (connection.write(sent.subarray(at, at + 50_000)) === 'full') {
        await connection.drained();
      }
    }
    connection.end();
    await until('the close', () => isClosed);
    assert.ok(Buffer.concat(received).equals(sent));
  });
});
