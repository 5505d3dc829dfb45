/** Clients that people use: curl, Python's http.client, npm undici, node:http. What they received is what was sent. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Agent, request as nodeRequest } from 'node:http';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Client } from 'undici';

import type { HttpRequest } from '../../src/http/request.js';
import type { HttpResponse } from '../../src/http/response.js';
import { seededBytes } from '../support/bytes.js';
import { HttpRig } from './rig.js';

const run = promisify(execFile);
const BIG = seededBytes(3_000_000, 7, Buffer.from('abcdefgh'));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** /hello, /hash of the body, /echo streamed, /big in chunks. */
async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
  switch (request.path) {
    case '/hello':
      response.field('x-method', request.method).end('hello');
      return;
    case '/hash':
      response.end(sha256(await request.bytes(10_000_000)));
      return;
    case '/echo':
      for await (const piece of request) {
        if (response.write(piece) !== 'sent') {
          await response.drained();
        }
      }
      response.end();
      return;
    default:
      for (let at = 0; at < BIG.byteLength; at += 100_000) {
        const piece = BIG.subarray(at, at + 100_000);
        while (response.write(piece) === 'full') {
          await response.drained();
        }
      }
      response.end();
  }
}

describe('curl', () => {
  const curl = async (...args: string[]) =>
    (await run('curl', ['-s', '-S', '--max-time', '30', ...args], { maxBuffer: 1e8 })).stdout;

  it('gets, again on the same connection, in HTTP/1.0 and with HEAD', async () => {
    const { url, handler } = await HttpRig.open({ onRequest: answer });
    assert.equal(await curl(`${url}/hello`, `${url}/hello`), 'hellohello');
    assert.equal(await curl('--http1.0', `${url}/hello`), 'hello');
    assert.match(await curl('-I', `${url}/hello`), /200 OK\r\n[\s\S]*x-method: HEAD\r\n/);
    assert.equal(handler.httpStats.requests, 4);
  });

  it('gets chunks', async () => {
    const { url } = await HttpRig.open({ onRequest: answer });
    assert.equal(sha256(Buffer.from(await curl(`${url}/big`))), sha256(BIG));
  });

  it('posts with a length after 100 Continue, in chunks, and gets an echo', async (t) => {
    const { url } = await HttpRig.open({ onRequest: answer });
    const post = (...args: string[]) =>
      new Promise<string>((resolve, reject) => {
        const all = ['-s', '-S', '--max-time', '30', ...args];
        const child = execFile('curl', all, { maxBuffer: 1e8 }, (error, out) =>
          error === null ? resolve(out) : reject(error),
        );
        t.after(() => child.kill());
        child.stdin!.end(BIG);
      });
    const type = ['-H', 'Content-Type: application/octet-stream'];
    assert.equal(await post(...type, '--data-binary', '@-', `${url}/hash`), sha256(BIG));
    assert.equal(await post('-T', '-', `${url}/hash`), sha256(BIG));
    assert.equal(sha256(Buffer.from(await post('-T', '-', `${url}/echo`))), sha256(BIG));
  });
});

describe("Python's http.client", () => {
  it('gets, posts and streams on one connection', async () => {
    const { server } = await HttpRig.open({ onRequest: answer });
    const port = new URL(server.addresses[0]!).port;
    const program = `
import hashlib, http.client, sys
c = http.client.HTTPConnection('127.0.0.1', ${port}, timeout=30)
for i in range(3):
    c.request('GET', '/hello'); r = c.getresponse()
    assert r.version == 11 and r.status == 200 and r.read() == b'hello'
sock = c.sock
body = b'x' * 2000000
c.request('POST', '/hash', body); r = c.getresponse()
assert r.read().decode() == hashlib.sha256(body).hexdigest()
c.request('POST', '/hash', iter([b'a' * 70000, b'b' * 70000]), encode_chunked=True)
r = c.getresponse()
assert r.read().decode() == hashlib.sha256(b'a' * 70000 + b'b' * 70000).hexdigest()
c.request('GET', '/big'); r = c.getresponse()
assert r.chunked and hashlib.sha256(r.read()).hexdigest() == '${sha256(BIG)}'
c.request('HEAD', '/hello'); r = c.getresponse()
assert r.getheader('content-length') == '5' and r.read() == b''
assert c.sock is sock
print('ok')
`;
    assert.equal((await run('python3', ['-c', program])).stdout, 'ok\n');
  });
});

describe('undici', () => {
  it('pipelines, and streams both ways', async () => {
    const { url } = await HttpRig.open({ onRequest: answer });
    const client = new Client(url, { pipelining: 10 });
    try {
      const texts = await Promise.all(
        Array.from({ length: 100 }, async () => {
          const { body } = await client.request({ path: '/hello', method: 'GET' });
          return body.text();
        }),
      );
      assert.ok(texts.every((text) => text === 'hello'));
      const { body } = await client.request({ path: '/echo', method: 'POST', body: BIG });
      assert.equal(sha256(new Uint8Array(await body.arrayBuffer())), sha256(BIG));
    } finally {
      await client.close();
    }
  });
});

describe("node:http's client", () => {
  it('keeps its connection, and sees trailers', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        response.write('a');
        response.trailer('x-t', 'u').end('b');
      },
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 3; i += 1) {
      const text = await new Promise<string>((resolve, reject) => {
        nodeRequest(rig.url, { agent }, (response) => {
          let body = '';
          response.on('data', (piece) => {
            body += piece;
          });
          response.on('end', () => resolve(`${body} ${response.trailers['x-t']}`));
        })
          .on('error', reject)
          .end();
      });
      assert.equal(text, 'ab u');
    }
    assert.equal(rig.handler.httpStats.connections, 1);
    agent.destroy();
  });
});
