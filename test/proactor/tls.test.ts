/** A watcher on TLS connections: the same calls over plaintext. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { Watcher } from '../../src/proactor/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { numbered, pair } from '../support/tls-pair.js';

it('reads and writes plaintext, in order, and ends', async () => {
  const { rig, peer, connection } = await pair();
  const watcher = new Watcher();
  const context = { of: 'the user' };
  connection.context = context;
  const received: Buffer[] = [];
  peer.socket.on('data', (bytes: Buffer) => received.push(bytes));
  const length = () => received.reduce((sum, bytes) => sum + bytes.length, 0);

  const head = Buffer.alloc(5);
  watcher.readFull(connection, head, { context: 'head' });
  peer.socket.write('helloand more');
  const [first] = (await settled(watcher.waitIo(), 'the head'))!;
  assert.equal(first!.context, 'head');
  assert.equal(head.toString(), 'hello');
  watcher.read(connection);
  const [second] = (await settled(watcher.waitIo(), 'the rest'))!;
  assert.equal(Buffer.from(second!.buffer).toString(), 'and more');
  assert.equal(connection.context, context);

  const large = numbered(4 * 1_048_576);
  watcher.write(connection, Buffer.from('small'), { context: 1 });
  watcher.write(connection, large, { context: 2 });
  watcher.write(connection, Buffer.from('last'), { context: 3 });
  const contexts: unknown[] = [];
  while (contexts.length < 3) {
    for (const result of (await settled(watcher.waitIo(), 'the writes'))!) {
      assert.equal(result.error, undefined);
      contexts.push(result.context);
    }
  }
  assert.deepEqual(contexts, [1, 2, 3]);
  await awaitCondition(() => length() === large.length + 9, 'all bytes');
  assert.ok(
    Buffer.concat(received).equals(
      Buffer.concat([Buffer.from('small'), large, Buffer.from('last')]),
    ),
  );

  watcher.read(connection, undefined, { context: 'end' });
  peer.socket.end();
  const [last] = (await settled(watcher.waitIo(), 'the end'))!;
  assert.equal(last!.error?.code, 'ERR_END');
  await awaitCondition(() => watcher.stats.connections === 0, 'the close');
  await watcher.close();
  await rig.server.close({ deadlineMs: 0 });
});

it('goes on when the connection has refused a write', async () => {
  const options = { writeQueueMax: 20_000, highWaterMark: 20_000, lowWaterMark: 10_000 };
  const { rig, peer, connection } = await pair({}, options);
  const watcher = new Watcher();
  peer.socket.pause();
  const large = numbered(2 * 1_048_576);
  for (let i = 0; i < 4; i += 1) {
    watcher.write(connection, large, { context: i });
  }
  await awaitCondition(() => connection.queuedBytes > 0, 'the kernel is full');
  let length = 0;
  peer.socket.on('data', (bytes: Buffer) => {
    length += bytes.length;
  });
  peer.socket.resume();
  const contexts: unknown[] = [];
  while (contexts.length < 4) {
    for (const result of (await settled(watcher.waitIo(), 'the writes'))!) {
      assert.equal(result.error, undefined);
      contexts.push(result.context);
    }
  }
  assert.deepEqual(contexts, [0, 1, 2, 3]);
  await awaitCondition(() => length === 4 * large.length, 'all bytes');
  watcher.free(connection);
  await watcher.close();
  await rig.server.close({ deadlineMs: 0 });
});

it('takes no connection twice', async () => {
  const { rig, connection } = await pair();
  const watcher = new Watcher();
  const other = new Watcher();
  watcher.read(connection);
  assert.throws(() => other.read(connection), { name: 'TypeError', message: /somebody else/ });
  watcher.free(connection);
  const [result] = (await settled(watcher.waitIo(), 'the result'))!;
  assert.equal(result!.error?.code, 'ERR_FREED');
  await watcher.close();
  await rig.server.close({ deadlineMs: 0 });
});
