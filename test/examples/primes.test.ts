/** examples/primes.mjs: heavy questions, answered in order, by threads. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startExample } from '../support/spawned-program.js';

test('answers come in the order of the questions, heavy or not, and bad ones do no harm', async (t) => {
  const example = startExample(t, 'primes', ['tcp://127.0.0.1:0']);
  const [url] = await example.addresses();
  const client = await NetClient.connect(t, url!);
  client.write('2000000\n10\n0\n1\n2\n3\n9\r\n100\n');
  await client.receives('100: 25\n');
  assert.equal(client.text, '2000000: 148933\n10: 4\n0: 0\n1: 0\n2: 1\n3: 2\n9: 4\n100: 25\n');
  client.write('-1\nx\n50000001\n');
  await awaitCondition(() => client.text.split('expected').length === 4, 'three complaints');
});

test('many questions at once are all answered', async (t) => {
  const [url] = await startExample(t, 'primes', ['tcp://127.0.0.1:0']).addresses();
  const client = await NetClient.connect(t, url!);
  const questions = Array.from({ length: 300 }, (_, i) => 1_000 + i);
  client.write(`${questions.join('\n')}\n`);
  await client.receives('1299: ');
  await awaitCondition(() => client.text.endsWith('\n'), 'the last line');
  assert.deepEqual(
    client.text
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.split(':')[0])),
    questions,
  );
});

test('it ends on SIGTERM, with its threads', async (t) => {
  const example = startExample(t, 'primes', ['tcp://127.0.0.1:0']);
  const [url] = await example.addresses();
  const client = await NetClient.connect(t, url!);
  client.write('1000\n');
  await client.receives('168');
  client.socket.on('end', () => client.socket.end());
  example.process.kill('SIGTERM');
  assert.equal((await example.ended()).code, 0);
});
