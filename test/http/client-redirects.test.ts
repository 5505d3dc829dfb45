/** Redirects: what becomes of a request, and the client that follows them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { redirected } from '../../src/http/client-redirects.js';
import type { HttpClientRequestOptions } from '../../src/http/index.js';
import { clientOf, EMPTY, errorOf, hostile, OK, requestsIn } from './client-rig.js';

const FROM = new URL('http://a.example/dir/page?q');

const answer = (status: number, ...locations: string[]) => ({
  status,
  rawHeaders: function* () {
    for (const location of locations) {
      yield ['LOCATION', location] as const;
    }
    yield ['X-Other', 'y'] as const;
  },
});

function follow(status: number, options: HttpClientRequestOptions, location = '/next') {
  const next = redirected(FROM, options, answer(status, location));
  return next === undefined ? undefined : { url: String(next.url), options: next.options };
}

describe('redirected', () => {
  it('is for 301, 302, 303, 307 and 308 with a Location', () => {
    for (let status = 200; status < 600; status += 1) {
      const isRedirect = [301, 302, 303, 307, 308].includes(status);
      assert.equal(follow(status, {}) !== undefined, isRedirect, String(status));
    }
    assert.equal(redirected(FROM, {}, answer(301)), undefined);
  });

  it('resolves the Location against the URL', () => {
    for (const [location, url] of [
      ['/next', 'http://a.example/next'],
      ['next', 'http://a.example/dir/next'],
      ['?z', 'http://a.example/dir/page?z'],
      ['//b.example/x', 'http://b.example/x'],
      ['https://a.example:8443', 'https://a.example:8443/'],
      ['', 'http://a.example/dir/page?q'],
      [Buffer.from('/ü').toString('latin1'), 'http://a.example/%C3%BC'],
    ] as const) {
      assert.equal(follow(302, {}, location)?.url, url);
    }
  });

  it('refuses what is no place to go to', () => {
    for (const location of [
      'http://',
      'http://[',
      'file:///etc/passwd',
      'javascript:1',
      'ftp://a.example/',
      'http://user@a.example/',
      'http://:pass@a.example/',
      'http://a.example:99999/',
    ]) {
      assert.throws(() => follow(302, {}, location), { code: 'ERR_HTTP_REDIRECT' }, location);
    }
    const several = answer(302, '/a', '/b');
    assert.throws(() => redirected(FROM, {}, several), { code: 'ERR_HTTP_REDIRECT' });
  });

  it('rewrites the method by the status', () => {
    for (const [status, method, expected] of [
      [301, 'GET', 'GET'],
      [301, 'HEAD', 'HEAD'],
      [301, 'POST', 'GET'],
      [302, 'POST', 'GET'],
      [301, 'PUT', 'PUT'],
      [302, 'DELETE', 'DELETE'],
      [303, 'POST', 'GET'],
      [303, 'PUT', 'GET'],
      [303, 'DELETE', 'GET'],
      [303, 'HEAD', 'HEAD'],
      [307, 'POST', 'POST'],
      [308, 'POST', 'POST'],
    ] as const) {
      const options = { method, body: method === 'GET' || method === 'HEAD' ? undefined : 'x' };
      const next = follow(status, options as HttpClientRequestOptions)!.options;
      assert.equal(next.method ?? 'GET', expected, `${status} ${method}`);
      assert.equal(
        'body' in next && next.body !== undefined,
        method === expected && 'x' === options.body,
      );
    }
  });

  it('a request that becomes a GET loses what describes its body', () => {
    const fields = {
      'Content-Type': 'text/plain',
      'content-encoding': 'x',
      Digest: 'y',
      Accept: '*/*',
    };
    const options = { method: 'POST', body: ['x'], contentLength: 1, expectContinue: true, fields };
    const next = follow(303, options)!.options;
    assert.deepEqual(Object.keys(next).sort(), ['fields', 'method']);
    assert.deepEqual(next.fields, [['Accept', '*/*']]);
    assert.equal(fields.Digest, 'y');
  });

  it('a stream cannot be sent again', () => {
    async function* body() {
      yield 'x';
    }
    for (const status of [307, 308]) {
      assert.throws(() => follow(status, { method: 'POST', body: body() }), {
        code: 'ERR_HTTP_REDIRECT',
      });
    }
    assert.throws(() => follow(301, { method: 'PUT', body: ['x'] }), { code: 'ERR_HTTP_REDIRECT' });
  });

  it('credentials and an address of its own end with the origin', () => {
    const given = [
      ['Authorization', 'a'],
      ['COOKIE', 'b'],
      ['Proxy-Authorization', 'c'],
      ['X-Kept', 'd'],
    ] as const;
    const address = 'unix:///run/app.sock';
    for (const [location, isKept] of [
      ['/same', true],
      ['http://a.example:80/same', true],
      ['https://a.example/', false],
      ['http://a.example:81/', false],
      ['http://b.example/', false],
      ['http://A.EXAMPLE/', true],
    ] as const) {
      for (const fields of [given, Object.fromEntries(given)]) {
        const next = follow(302, { fields, address }, location)!.options;
        assert.deepEqual(
          [...(next.fields as Iterable<readonly [string, string]>)].map(([name]) => name),
          isKept ? given.map(([name]) => name) : ['X-Kept'],
          location,
        );
        assert.equal(next.address, isKept ? address : undefined);
      }
    }
  });
});

describe('HttpClient with redirects', () => {
  const to = (location: string, body = '') =>
    `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

  it('follows none unless it is asked to', async () => {
    const { url } = await hostile(({ socket }) => void socket.write(to('/next')));
    const response = await clientOf().request(url);
    assert.deepEqual([response.status, response.url, response.redirects], [302, url, 0]);
    assert.equal(response.header('location'), '/next');
    response.discard();
  });

  it('follows them on the same connection, and tells where it ended', async () => {
    const { peers, url } = await hostile(({ socket, text }) => {
      const count = requestsIn(text);
      socket.write(count < 3 ? to(`/${count}`, 'not wanted') : `${OK}Content-Length: 2\r\n\r\nok`);
    });
    const client = clientOf({ redirectsMax: 2 });
    const response = await client.request(url, { fields: { Authorization: 'x' } });
    assert.equal(await response.text(), 'ok');
    assert.deepEqual([response.url, response.redirects], [`${url}2`, 2]);
    assert.equal(client.stats.connects, 1);
    assert.equal(client.stats.redirects, 2);
    const lines = peers[0]!.text.match(/(?<=^|\n)(GET|Authorization)[^\r]*/g);
    assert.deepEqual(lines, [
      'GET / HTTP/1.1',
      'Authorization: x',
      'GET /1 HTTP/1.1',
      'Authorization: x',
      'GET /2 HTTP/1.1',
      'Authorization: x',
    ]);
  });

  it('takes no credentials to another origin, and posts nothing there', async () => {
    const other = await hostile(({ socket }) => void socket.write(EMPTY));
    const { url } = await hostile(({ socket }) => void socket.write(to(other.url)));
    const response = await clientOf().request(url, {
      method: 'POST',
      body: 'secret',
      fields: { Authorization: 'secret', Cookie: 'secret', 'X-Kept': 'y' },
      redirectsMax: 1,
    });
    assert.equal(await response.text(), '');
    assert.equal(response.url, other.url);
    assert.equal(
      other.peers[0]!.text,
      `GET / HTTP/1.1\r\nHost: ${new URL(other.url).host}\r\nX-Kept: y\r\n\r\n`,
    );
  });

  it('gives up after so many, and where it may not go', async () => {
    const endless = await hostile(({ socket }) => void socket.write(to('/again')));
    const client = clientOf();
    const error = await errorOf(client.request(endless.url, { redirectsMax: 5 }));
    assert.equal(error.code, 'ERR_HTTP_REDIRECT');
    assert.equal(requestsIn(endless.peers[0]!.text), 6);
    for (const location of ['file:///etc/passwd', 'https://127.0.0.1/']) {
      const { url } = await hostile(({ socket }) => void socket.write(to(location)));
      const refused = await errorOf(client.request(url, { redirectsMax: 5 }));
      assert.equal(refused.code, 'ERR_HTTP_REDIRECT');
    }
    for (const redirectsMax of [-1, 0.5, Number.NaN]) {
      await assert.rejects(client.request(endless.url, { redirectsMax }), RangeError);
    }
  });

  it('the signal ends it between two of them', async () => {
    const controller = new AbortController();
    const { url } = await hostile(({ socket, text }) => {
      if (requestsIn(text) === 2) {
        controller.abort(new Error('enough'));
      } else {
        socket.write(to('/next'));
      }
    });
    await assert.rejects(
      clientOf().request(url, { redirectsMax: 5, signal: controller.signal }),
      /enough/,
    );
  });
});
