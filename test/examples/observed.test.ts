/** examples/observed.mjs: what it serves is what its metrics say. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startExample } from '../support/spawned-program.js';

test('bytes and connections are counted, resets told', async (t) => {
  const example = startExample(t, 'observed', ['tcp://127.0.0.1:0', 'tcp://127.0.0.1:0']);
  await awaitCondition(() => /metrics on \S+\n/.test(example.stdout), 'the addresses');
  const [, url, metrics] = /listening on (\S+)\n.*metrics on tcp:\/\/(\S+)\n/.exec(example.stdout)!;
  const client = await NetClient.connect(t, url!);
  client.write('echo me');
  await client.receives('echo me');
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  assert.match(text, /^millrace_received_bytes_total\{service="echo",reactor="0"\} 7$/m);
  assert.match(text, /^millrace_connections\{service="echo",reactor="0"\} 1$/m);
  client.socket.resetAndDestroy();
  await awaitCondition(
    () => /connection \d+: reset .*ECONNRESET/.test(example.stderr),
    'the reset',
  );
  example.process.kill('SIGTERM');
  assert.equal((await example.ended()).code, 0);
});
