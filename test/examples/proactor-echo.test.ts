/** examples/proactor-echo.mjs, started and used from outside. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NetClient } from '../support/net-client.js';
import { startExample } from '../support/spawned-program.js';

test('it tells where it listens, sends everything back, and ends gracefully', async (t) => {
  const example = startExample(t, 'proactor-echo', ['tcp://127.0.0.1:0']);
  const [url] = await example.addresses();
  assert.equal(example.stdout, `proactor-echo: listening on ${url}\n`);
  const client = await NetClient.connect(t, url!);
  const bytes = Buffer.alloc(8 * 1024 * 1024, 'millrace');
  client.write(bytes);
  client.socket.end();
  await client.closes();
  assert.equal(client.errorCode, '');
  assert.ok(client.received.equals(bytes));
  // One is still there when it ends.
  const other = await NetClient.connect(t, url!);
  other.write('still here');
  await other.receives('still here');
  example.signal('SIGINT');
  await other.ends();
  other.socket.end();
  const { code, stderr } = await example.ended();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});
