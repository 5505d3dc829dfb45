/** The end of a server: nobody who was being served is cut off before the deadline. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import { serve } from '../../src/engine/serve.js';
import { HttpClient as Client } from '../../src/http/http-client.js';
import type { HttpResponse } from '../../src/http/response.js';
import { RawClient } from '../support/raw-client.js';
import { nextRound, until, within } from '../support/until.js';
import { get, HttpClient, HttpRig } from './rig.js';

describe('a server of HTTP closes', () => {
  it('idle connections end, what is under way is answered with close', async () => {
    const waiting: HttpResponse[] = [];
    const rig = await HttpRig.open({ onRequest: (_, response) => void waiting.push(response) });
    const idle = await rig.connect();
    const busy = await rig.connect();
    await busy.send(get('/'));
    await until('the request', () => waiting.length === 1);
    let isClosed = false;
    const closing = rig.server.close().then(() => {
      isClosed = true;
    });
    assert.equal(await idle.rest(), '');
    for (let i = 0; i < 10; i += 1) {
      await nextRound();
    }
    assert.ok(!isClosed);
    waiting[0]!.end('done');
    assert.match(await busy.rest(), /Connection: close\r\nContent-Length: 4\r\n\r\ndone$/);
    busy.raw.close();
    idle.raw.close();
    await within('the close', closing);
  });

  it('a streamed response goes to its end, and the request after it is answered', async () => {
    const waiting: HttpResponse[] = [];
    const rig = await HttpRig.open({
      onRequest: (request, response) => {
        if (request.path === '/stream') {
          response.write('first ');
          waiting.push(response);
        } else {
          response.end('after it');
        }
      },
    });
    const client = await rig.connect();
    await client.send(get('/stream') + get('/canary'));
    await until('the request', () => waiting.length === 1);
    const closing = rig.server.close();
    await nextRound();
    waiting[0]!.end('last');
    // Its head had gone out before: the end of the connection is what tells.
    assert.match(
      await client.rest(),
      /first \r\n4\r\nlast\r\n0\r\n\r\nHTTP\/1.1 200 OK\r\n(.+\r\n)*Connection: close\r\n/,
    );
    client.raw.close();
    await within('the close', closing);
  });

  it('a gateway’s request under way still gets its answer from upstream, over a new connection', async () => {
    const upstream = await HttpRig.open({ onRequest: (_, response) => response.end('from above') });
    let client: Client | undefined;
    const waiting: (() => void)[] = [];
    const gateway = await HttpRig.open({
      async onRequest({ connection }, response) {
        await new Promise<void>((resolve) => waiting.push(resolve));
        client ??= new Client(connection.reactor);
        const answer = await client.request(upstream.url);
        response.end(await answer.bytes());
      },
    });
    const peer = await gateway.connect();
    await peer.send(get('/'));
    await until('the request', () => waiting.length === 1);
    const closing = gateway.server.close();
    await nextRound();
    waiting[0]!();
    assert.match(await peer.rest(), /^HTTP\/1.1 200 OK\r\n(.+\r\n)*\r\nfrom above$/);
    peer.raw.close();
    await within('the close', closing);
    await upstream.server.close();
  });

  it('cuts off what is left at the deadline', async () => {
    const rig = await HttpRig.open({ onRequest: () => {} });
    const client = await rig.connect();
    await client.send(get('/'));
    await until('the request', () => rig.handler.httpStats.requests === 1);
    await within('the close', rig.server.close({ deadlineMs: 20 }));
    await client.raw.readToEnd().catch(({ code }) => assert.equal(code, 'ECONNRESET'));
  });

  it('cuts off what is left when its signal is aborted, before or meanwhile', async () => {
    for (const when of ['before', 'meanwhile'] as const) {
      const rig = await HttpRig.open({ onRequest: () => {} });
      const client = await rig.connect();
      await client.send(get('/'));
      await until('the request', () => rig.handler.httpStats.requests === 1);
      const controller = new AbortController();
      if (when === 'before') {
        controller.abort();
      }
      const closing = rig.server.close({
        deadlineMs: 4_000_000_000,
        signal: controller.signal,
      });
      await nextRound();
      controller.abort();
      await within('the close', closing);
      await client.raw.readToEnd().catch(({ code }) => assert.equal(code, 'ECONNRESET'));
    }
  });

  it('each answers, and all are drained', async () => {
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: new URL('./plain-module.js', import.meta.url),
      reactors: 2,
    });
    after(() => server.close({ deadlineMs: 0 }));
    const connect = async () => new HttpClient(await RawClient.connect(server.addresses[0]!));
    const clients = await Promise.all([connect(), connect(), connect(), connect()]);
    const seen = new Set<string>();
    for (const client of clients) {
      await client.send(get('/'));
      seen.add((await client.answer()).body);
    }
    assert.deepEqual([...seen].sort(), ['reactor 0', 'reactor 1']);
    const { receives } = server.stats.totals;
    for (const client of clients) {
      await client.send(get('/slow'));
    }
    await until('the requests', () => server.stats.totals.receives === receives + 4);
    const closing = server.close();
    for (const client of clients) {
      assert.match(
        await client.rest(),
        /Connection: close\r\nContent-Length: 9\r\n\r\nreactor \d$/,
      );
      client.raw.close();
    }
    await within('the close', closing);
  });

  it('a second call hurries', async () => {
    const other = await HttpRig.open({ onRequest: () => {} });
    const stuck = await other.connect();
    await stuck.send(get('/'));
    await until('the request', () => other.handler.httpStats.requests === 1);
    const slow = other.server.close({ deadlineMs: 20_000 });
    await within('the hurried close', other.server.close({ deadlineMs: 0 }));
    void slow.catch(() => {});
  });
});
