/** examples/chat.mjs: its clients are spread over two reactors. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startCommand, startExample } from '../support/spawned-program.js';

type Scope = Parameters<typeof NetClient.connect>[0];

async function join(scope: Scope, url: string, name: string): Promise<NetClient> {
  const client = await NetClient.connect(scope, url);
  await client.receives('What is your name?\n');
  client.write(`${name}\n`);
  await client.receives(`* ${name} is here\n`);
  return client;
}

test('what one says all read, and those who have said their name only', async (t) => {
  const example = startExample(t, 'chat', ['tcp://127.0.0.1:0']);
  const [url] = await example.addresses();
  assert.equal(example.stdout, `chat: listening on ${url}\n`);
  const names = ['ann', 'bob', 'cem', 'dan'];
  const clients: NetClient[] = [];
  for (const name of names) clients.push(await join(t, url!, name));
  const nameless = await NetClient.connect(t, url!);
  for (const [i, client] of clients.entries()) {
    client.write(`hello from ${names[i]}\n`);
    for (const each of clients) await each.receives(`${names[i]}: hello from ${names[i]}\n`);
  }
  assert.equal(nameless.text, 'What is your name?\n');
  clients[0]!.socket.end();
  await clients[1]!.receives('* ann left\n');
  example.signal('SIGTERM');
  for (const client of [nameless, ...clients]) {
    await client.ends();
    client.socket.end();
  }
  const { code, stderr } = await example.ended();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('lines may come in pieces, several at a time, and with control characters', async (t) => {
  const [url] = await startExample(t, 'chat', ['tcp://127.0.0.1:0']).addresses();
  const bob = await join(t, url!, 'bob');
  const ann = await NetClient.connect(t, url!);
  ann.socket.setNoDelay(true);
  for (const character of 'ann\r\n') {
    ann.write(character);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await bob.receives('* ann is here\n');
  ann.write('one\ntwo\nclear\u001b[2Jscreen\nthr');
  await bob.receives('ann: one\nann: two\nann: clear [2Jscreen\n');
  ann.write('ee\n');
  await bob.receives('ann: three\n');
});

test('a line that is too long ends its connection, and no other', async (t) => {
  const [url] = await startExample(t, 'chat', ['tcp://127.0.0.1:0']).addresses();
  const bob = await join(t, url!, 'bob');
  const ann = await join(t, url!, 'ann');
  ann.write('x'.repeat(2_000));
  await ann.receives('* a line has at most 1024 bytes\n');
  ann.socket.end();
  await ann.closes();
  await bob.receives('* ann left\n');
});

test('who does not read is dropped and does not hold up the others', async (t) => {
  const [url] = await startExample(t, 'chat', ['tcp://127.0.0.1:0']).addresses();
  const ann = await join(t, url!, 'ann');
  const slow = await join(t, url!, 'slow');
  slow.socket.pause();
  // Only the end of what ann gets is kept: it is some megabytes until the buffers of the slow one are full.
  let received = 0;
  let tail = '';
  let isSlowGone = false;
  ann.socket.removeAllListeners('data');
  ann.socket.on('data', (bytes: Buffer) => {
    const text = tail + bytes.toString();
    received += bytes.length;
    isSlowGone ||= text.includes('* slow left\n');
    tail = text.slice(-40);
  });
  const lines = `${'x'.repeat(999)}\n`.repeat(100);
  for (let round = 1; !isSlowGone; round += 1) {
    assert.ok(round < 1_000, 'nobody was dropped');
    ann.write(lines);
    await awaitCondition(() => received >= round * lines.length, 'all that ann said');
  }
  ann.write('still here\n');
  await awaitCondition(() => tail.endsWith('ann: still here\n'), 'the last line');
});

test('the handler alone can be served by the command line', async (t) => {
  const args = ['run', 'examples/chat.mjs', '--listen', 'tcp://127.0.0.1:0'];
  const [url] = await startCommand(t, args).addresses();
  await join(t, url!, 'ann');
});
