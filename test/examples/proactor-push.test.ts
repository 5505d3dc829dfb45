/** examples/proactor-push.mjs, started and used from outside. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startExample } from '../support/spawned-program.js';

test('all get every line, whatever they say; who hangs up is forgotten', async (t) => {
  const example = startExample(t, 'proactor-push', ['tcp://127.0.0.1:0', '10']);
  const [url] = await example.addresses();
  const ann = await NetClient.connect(t, url!);
  const bob = await NetClient.connect(t, url!);
  await ann.receives(', 2 here\n');
  await bob.receives(', 2 here\n');
  ann.write('anything\n');
  bob.socket.end();
  await bob.closes();
  await awaitCondition(() => ann.text.endsWith(', 1 here\n'), 'bob to be forgotten');
  // Not one line is missing, and they are in order.
  const ticks = () => [...ann.text.matchAll(/tick (\d+), \d here\n/g)].map(([, n]) => Number(n));
  await awaitCondition(() => ticks().length > 5, 'some lines');
  const numbers = ticks();
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => numbers[0]! + i),
  );
  example.signal('SIGTERM');
  await ann.ends();
  ann.socket.end();
  const { code, stderr } = await example.ended();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});
