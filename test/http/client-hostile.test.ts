/** The client against servers that misbehave; assertions are on what they received. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { awaitCondition, settled } from '../support/await-condition.js';
import { clientOf, EMPTY, errorOf, hostile, OK, requestsIn } from './client-rig.js';

describe('HttpClient against hostile servers', () => {
  it('a response byte by byte', async () => {
    const head = `HTTP/1.1 103 Early\r\nA: b\r\n\r\n${OK}Transfer-Encoding: chunked\r\n\r\n`;
    const text = `${head}2\r\nok\r\n0\r\nX: y\r\n\r\n`;
    const { url } = await hostile(async ({ socket }) => {
      for (const byte of Buffer.from(text)) {
        await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
      }
    });
    const client = clientOf();
    const response = await client.request(url);
    assert.equal(await response.text(), 'ok');
    assert.equal(response.trailers.get('x'), 'y');
  });

  it('what follows a response is never the next one', async () => {
    const evil = `${OK}Content-Length: 4\r\n\r\nevil`;
    const { url, peers } = await hostile(({ socket }, index) => {
      socket.write(index === 0 ? EMPTY + evil : `${OK}Content-Length: 4\r\n\r\ngood`);
    });
    const client = clientOf();
    assert.equal(await (await client.request(url)).text(), '');
    assert.equal(await (await client.request(url)).text(), 'good');
    assert.equal(requestsIn(peers[0]!.text), 1);
    assert.equal(client.stats.rejects.surplus, 1);
    await awaitCondition(() => peers[0]!.isClosed, 'the first connection to be closed');
    // The same on a connection at rest.
    peers[1]!.socket.write(evil);
    await awaitCondition(() => peers[1]!.isClosed, 'the second connection to be closed');
    assert.equal(client.stats.rejects.surplus, 2);
    assert.equal(await (await client.request(url)).text(), 'good');
    assert.equal(peers.length, 3);
  });

  for (const [name, answer, reject] of [
    ['garbage', '\x16\x03\x01garbage', 'status-line'],
    ['a head without an end', `${OK}${'A: b\r\n'.repeat(5_000)}`, 'field-count'],
    ['a long line', OK + 'a'.repeat(100_000), 'field-length'],
    ['a flood of interim responses', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(10_000), 'interim'],
    ['two lengths', `${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, 'content-length'],
  ] as const) {
    it(name, async () => {
      const { url, peers } = await hostile(({ socket }) => socket.write(answer, 'latin1'));
      const client = clientOf();
      const error = await errorOf(client.request(url));
      assert.deepEqual([error.code, error.reject], ['ERR_HTTP_RESPONSE', reject]);
      assert.equal(client.stats.rejects[reject], 1);
      await awaitCondition(() => peers[0]!.isClosed, 'the connection to be closed');
      assert.equal(peers.length, 1);
    });
  }

  it('too much, and an early end, in the body', async () => {
    const { url } = await hostile(({ socket, text }) => {
      if (text.includes('GET /long')) {
        socket.write(`${OK}\r\n${'x'.repeat(2_000)}`);
      } else {
        socket.end(`${OK}Content-Length: 5\r\n\r\nabc`);
      }
    });
    const client = clientOf({ bodyBytesMax: 1_000 });
    const long = await errorOf(client.request(`${url}long`).then((response) => response.bytes()));
    assert.equal(long.reject, 'body-length');
    const short = await errorOf(client.request(url).then((response) => response.bytes()));
    assert.equal(short.reject, 'truncated');
  });

  it('deadlines of head, body, rate, an unread body, and the queue', async () => {
    const { url, peers } = await hostile(({ socket, text }) => {
      if (!text.includes('/never')) {
        socket.write(`${OK}Content-Length: 100000\r\n\r\nabc`);
        const drip = setInterval(() => socket.write('x'), 5);
        socket.on('close', () => clearInterval(drip));
      }
    });
    const client = clientOf({ connectionsPerOrigin: 1 });
    const never = errorOf(client.request(`${url}never`, { timeouts: { headTimeoutMs: 60 } }));
    const queued = errorOf(client.request(url, { timeouts: { queueTimeoutMs: 20 } }));
    assert.equal((await queued).timeout, 'queue');
    assert.equal((await never).timeout, 'head');
    const read = async (timeouts: object): Promise<void> => {
      for await (const _ of await client.request(url, { timeouts })) {
        // On.
      }
    };
    assert.equal((await errorOf(read({ bodyTimeoutMs: 50 }))).timeout, 'body');
    assert.equal((await errorOf(read({ rateMin: 100_000, rateGraceMs: 20 }))).timeout, 'rate');
    const unread = await client.request(url, { timeouts: { unreadTimeoutMs: 30 } });
    await awaitCondition(() => client.stats.timeouts.unread === 1, 'the deadline');
    assert.equal((await errorOf(unread.bytes())).timeout, 'unread');
    const { timeouts } = client.stats;
    assert.deepEqual(timeouts, { queue: 1, send: 0, head: 1, body: 1, rate: 1, unread: 1 });
    await awaitCondition(
      () => peers.every((peer) => peer.isClosed),
      'the connections to be closed',
    );
  });

  it('a server that never reads', async () => {
    const { url, peers } = await hostile(({ socket }) => socket.pause());
    const client = clientOf();
    let asked = 0;
    const body = async function* () {
      for (;;) {
        asked += 1;
        yield Buffer.alloc(100_000);
      }
    };
    const request = client.request(url, {
      method: 'POST',
      body: body(),
      timeouts: { sendTimeoutMs: 300 },
    });
    const error = await errorOf(request);
    assert.equal(error.timeout, 'send');
    assert.ok(asked < 1_000, `${asked} pieces`);
    peers[0]!.socket.resume();
  });

  it('an idempotent request is sent once more when a reused connection was closed', async () => {
    const { url, peers } = await hostile(({ socket, text }, index) => {
      if (index === 0 ? requestsIn(text) === 1 : !text.includes('/bad')) {
        socket.write(EMPTY);
      } else {
        socket.destroy();
      }
    });
    const client = clientOf();
    await (await client.request(url)).bytes();
    assert.equal((await client.request(url)).status, 200);
    assert.deepEqual(
      peers.map(({ text }) => requestsIn(text)),
      [2, 1],
    );
    assert.equal(client.stats.retries, 1);
    // Twice is once too often, and POST is not sent again.
    const bad = await errorOf(client.request(`${url}bad`));
    assert.equal(bad.code, 'ERR_HTTP_CONNECTION');
    assert.equal(peers.length, 3);
    await (await client.request(url)).bytes();
    const post = await errorOf(client.request(`${url}bad`, { method: 'POST', body: 'x' }));
    assert.equal(post.code, 'ERR_HTTP_CONNECTION');
    assert.equal(client.stats.retries, 2);
    assert.equal(peers.length, 4);
  });

  it('no second time once a byte of the response was there', async () => {
    const { url, peers } = await hostile(({ socket, text }) => {
      if (requestsIn(text) === 1) {
        socket.write(EMPTY);
      } else {
        socket.end('H');
      }
    });
    const client = clientOf();
    await (await client.request(url)).bytes();
    assert.equal((await errorOf(client.request(url))).reject, 'truncated');
    assert.equal(peers.length, 1);
  });

  it('an answer before the body was sent, and with 100-continue', async () => {
    const { url, peers } = await hostile(({ socket, text }) => {
      if (text.endsWith('\r\n\r\n')) {
        socket.write('HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n');
      }
    });
    const client = clientOf();
    const options = { method: 'POST', body: 'secret', expectContinue: true };
    assert.equal((await client.request(url, options)).status, 417);
    await awaitCondition(() => peers[0]!.isClosed, 'the connection to be closed');
    assert.ok(!peers[0]!.text.includes('secret'));
    let isReturned = false;
    const body = (async function* () {
      try {
        yield '';
        await new Promise(() => {});
      } finally {
        isReturned = true;
      }
    })();
    const early = await client.request(url, { method: 'POST', body });
    assert.equal(early.status, 417);
    assert.equal(isReturned, false);
    await awaitCondition(() => peers[1]!.isClosed, 'the connection to be closed');
  });

  it('a body that fails or has another length', async () => {
    const { url } = await hostile(() => {});
    const client = clientOf();
    const cause = new Error('mine');
    const failing = (async function* () {
      yield 'a';
      throw cause;
    })();
    const error = await errorOf(client.request(url, { method: 'POST', body: failing }));
    assert.deepEqual([error.code, error.cause], ['ERR_HTTP_REQUEST_BODY', cause]);
    for (const body of [['a'], ['abc']]) {
      const wrong = await errorOf(client.request(url, { method: 'POST', body, contentLength: 2 }));
      assert.equal(wrong.code, 'ERR_HTTP_REQUEST_BODY');
    }
  });

  it('an AbortSignal at every stage', async () => {
    const { url, peers } = await hostile(({ socket, text }) => {
      if (text.includes('/body')) {
        socket.write(`${OK}Content-Length: 5\r\n\r\nabc`);
      }
    });
    const client = clientOf({ connectionsPerOrigin: 1 });
    const reason = new Error('enough');
    const isReason = (error: unknown): boolean => error === reason;
    await assert.rejects(client.request(url, { signal: AbortSignal.abort(reason) }), isReason);
    // While connecting; then waiting for the head, with one in the queue.
    const connecting = new AbortController();
    const first = client.request(url, { signal: connecting.signal });
    connecting.abort(reason);
    await assert.rejects(first, isReason);
    const [head, queued] = [new AbortController(), new AbortController()];
    const second = client.request(url, { signal: head.signal });
    const third = client.request(url, { signal: queued.signal });
    await awaitCondition(() => peers.some(({ text }) => text !== ''), 'the request to arrive');
    queued.abort(reason);
    await assert.rejects(third, isReason);
    head.abort(reason);
    await assert.rejects(second, isReason);
    const body = new AbortController();
    const response = await client.request(`${url}body`, { signal: body.signal });
    const bytes = response.bytes();
    body.abort(reason);
    await assert.rejects(bytes, isReason);
    await awaitCondition(() => client.stats.connections === 0, 'the connections to go');
    assert.equal(client.stats.aborted, 4);
    await awaitCondition(
      () => peers.every((peer) => peer.isClosed),
      'the connections to be closed',
    );
  });

  it('idle connections are closed, and nobody answers at all', async () => {
    const { url, peers } = await hostile(({ socket }) => socket.write(EMPTY));
    const client = clientOf({ idleTimeoutMs: 30 });
    await (await client.request(url)).bytes();
    await awaitCondition(() => peers[0]!.isEnded, 'our FIN');
    assert.equal(client.stats.idleTimeouts, 1);
    peers[0]!.socket.end();
    const error = await errorOf(client.request('http://127.0.0.1:1/'));
    assert.equal(error.code, 'ERR_HTTP_CONNECT');
    assert.equal((error.cause as { code: string }).code, 'ECONNREFUSED');
  });

  it('closes in order: what is under way is answered, what waits is not', async () => {
    const { url, peers } = await hostile(() => {});
    const client = clientOf({ connectionsPerOrigin: 1 });
    const first = client.request(url);
    const second = errorOf(client.request(url));
    await awaitCondition(
      () => peers.length === 1 && peers[0]!.text !== '',
      'the request to arrive',
    );
    const closed = client.close();
    assert.equal((await second).code, 'ERR_HTTP_CLIENT_CLOSED');
    peers[0]!.socket.end(EMPTY);
    assert.equal((await first).status, 200);
    await settled(closed, 'the close');
    const cut = clientOf();
    const third = errorOf(cut.request(url));
    await awaitCondition(
      () => peers.length === 2 && peers[1]!.text !== '',
      'the request to arrive',
    );
    await settled(cut.close({ deadlineMs: 10 }), 'the close');
    assert.equal((await third).code, 'ERR_HTTP_CLIENT_CLOSED');
  });
});
