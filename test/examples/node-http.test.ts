/** examples/node-http.mjs: each request is answered, in whichever thread. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startExample } from '../support/spawned-program.js';

test('answers over connections of every reactor', async (t) => {
  const example = startExample(t, 'node-http', ['tcp://127.0.0.1:0']);
  const [address] = await example.addresses();
  const url = address!.replace('tcp:', 'http:');
  for (let i = 0; i < 4; i += 1) {
    const response = await fetch(`${url}/${i}`, { headers: { connection: 'close' } });
    assert.match(await response.text(), new RegExp(`^GET /${i} in thread \\d+\n$`));
  }
});
