/** cli/echo-handler: nothing is lost, whatever the client does in the meantime. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startCommand } from '../support/spawned-program.js';

const TOTAL = 32 * 1024 * 1024;

test('a client that sends all of it with FIN before it reads gets all of it back', async (t) => {
  const server = startCommand(t, ['echo', '--listen', 'tcp://127.0.0.1:0']);
  const [url] = await server.addresses();
  const client = await NetClient.connect(t, url!, { isPaused: true });
  const sent = createHash('sha256');
  const got = createHash('sha256');
  let length = 0;
  const block = Buffer.alloc(65_536);
  for (let i = 0; i < TOTAL / block.length; i += 1) {
    block.fill(i);
    sent.update(block);
    client.write(Buffer.from(block));
  }
  client.socket.end();
  // The server stops reading when its queue and the buffers of both sockets are full, long before the end.
  await awaitCondition(() => client.socket.writableLength > 0, 'the write to stall');
  client.socket.on('data', (chunk: Buffer) => {
    length += chunk.length;
    got.update(chunk);
  });
  await client.closes();
  assert.equal(length, TOTAL);
  assert.equal(got.digest('hex'), sent.digest('hex'));
  server.signal('SIGINT');
  const { code, stdout } = await server.ended();
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /troubles/);
});
