/** `Server.close` with a signal: a graceful close that can be cut short from outside. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type CloseReason, serve } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';

const FOREVER_MS = 4_000_000_000;

for (const reactors of [1, 2]) {
  describe(`${reactors} reactor(s)`, () => {
    const start = () =>
      serve({
        listen: 'tcp://127.0.0.1:0',
        handler: new URL('./silent-handler.js', import.meta.url),
        reactors,
        lingerTimeoutMs: FOREVER_MS,
      });

    it('what does not close gracefully is aborted when the signal is', async (t) => {
      const server = await start();
      // It never ends its side.
      const client = await NetClient.connect(t, server.addresses[0]!);
      await awaitCondition(() => server.stats.totals.connections === 1, 'the connection');
      const controller = new AbortController();
      let isClosed = false;
      const closing = server
        .close({ deadlineMs: FOREVER_MS, signal: controller.signal })
        .then(() => {
          isClosed = true;
        });
      await client.ends();
      await rounds(50);
      assert.equal(isClosed, false);
      controller.abort();
      await closing;
      assert.equal(server.stats.totals.connections, 0);
    });

    it('a signal that is aborted already leaves no time', async (t) => {
      const server = await start();
      const client = await NetClient.connect(t, server.addresses[0]!);
      await awaitCondition(() => server.stats.totals.connections === 1, 'the connection');
      await server.close({ signal: AbortSignal.abort() });
      await client.ends();
    });

    it('an abort after the close is nothing', async () => {
      const controller = new AbortController();
      const server = await start();
      await server.close({ signal: controller.signal });
      controller.abort();
      await server.closed;
    });

    it('what is no signal is refused', async () => {
      const server = await start();
      assert.throws(() => server.close({ signal: 'now' as never }), TypeError);
      await server.close();
    });
  });
}

it('the connections are told of a shutdown or a graceful close, not of an error', async (t) => {
  const reasons: CloseReason[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: { onClose: (_connection, reason) => void reasons.push(reason) },
    lingerTimeoutMs: FOREVER_MS,
  });
  await NetClient.connect(t, server.addresses[0]!);
  await awaitCondition(() => server.stats.totals.connections === 1, 'the connection');
  const controller = new AbortController();
  const closing = server.close({ signal: controller.signal });
  controller.abort();
  await closing;
  assert.deepEqual(
    reasons.map(({ code }) => code),
    ['shutdown'],
  );
});
