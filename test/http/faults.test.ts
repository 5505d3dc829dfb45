/**
 * Code of the user's that throws where the server calls it: it costs its own connection or request, and nothing else.
 */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import { serve } from '../../src/engine/serve.js';
import { closeHttp } from '../../src/http/http-handler.js';
import type { HttpRequest } from '../../src/http/request.js';
import { RawClient } from '../support/raw-client.js';
import { nextRound, until, within } from '../support/until.js';
import { get, HttpClient, HttpRig, post } from './rig.js';

describe('callbacks that throw', () => {
  it("a body's sink costs its connection", async () => {
    const warnings: string[] = [];
    const requests: HttpRequest[] = [];
    const sink = {
      onData: () => {
        throw new Error('sink');
      },
    };
    const rig = await HttpRig.open(
      {
        onRequest: (request) => {
          requests.push(request);
          if (request.path === '/now') {
            request.receive(sink);
          }
        },
      },
      { onWarning: (warning) => warnings.push(warning.message) },
    );
    const now = await rig.connect();
    await now.send(post('/now', 'hello') + get('/canary'));
    await within('the reset', now.raw.readToReset());
    const later = await rig.connect();
    await later.send(post('/later', 'hello') + get('/canary'));
    await until('the request', () => requests.length === 2);
    await nextRound();
    assert.throws(() => requests[1]!.receive(sink), /sink/);
    await within('the reset', later.raw.readToReset());
    await until('no connection', () => rig.handler.httpStats.connections === 0);
    assert.deepEqual(warnings, ['sink']);
    assert.equal(requests.length, 2);
  });

  it('onClose and onError of a client that went are reported', async () => {
    const errors: string[] = [];
    const rig = await HttpRig.open({
      onError: (error) => errors.push((error as Error).message),
      onRequest: (request, response) => {
        request.receive({
          onData: () => {},
          onError: () => {
            throw new Error('onError');
          },
        });
        response.onClose(() => {
          throw new Error('onClose');
        });
      },
    });
    for (const end of ['reset', 'halfClose'] as const) {
      const client = await rig.connect();
      await client.send(post('/', 'hello').slice(0, -1));
      await until('the request', () => rig.handler.httpStats.requests > errors.length / 2);
      client.raw[end]();
      await until('the errors', () => errors.length % 2 === 0 && errors.length > 0);
    }
    await until('all errors', () => errors.length === 4);
    assert.deepEqual(errors, ['onError', 'onClose', 'onError', 'onClose']);
    assert.equal(rig.handler.httpStats.handlerErrors, 4);
  });
});

describe('several reactors', () => {
  it('each answers, and closeHttp drains them all', async () => {
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: new URL('./plain-module.js', import.meta.url),
      reactors: 2,
      allowHalfOpen: true,
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
    for (const client of clients) {
      await client.send(get('/slow'));
    }
    await nextRound();
    const closing = closeHttp(server);
    for (const client of clients) {
      assert.match(
        await client.rest(),
        /Connection: close\r\nContent-Length: 9\r\n\r\nreactor \d$/,
      );
      client.raw.close();
    }
    await within('the close', closing);
  });
});
