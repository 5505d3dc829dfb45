/**
 * Code of the user's that throws where the server calls it: it costs its own connection or request, and nothing else.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpRequest } from '../../src/http/request.js';
import { nextRound, until, within } from '../support/until.js';
import { get, HttpRig, post } from './rig.js';

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
