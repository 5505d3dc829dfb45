/** examples/frames.mjs: both of its sides, and a peer that does not keep to the format. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startExample } from '../support/spawned-program.js';

test('what is set is got', async (t) => {
  const [url] = await startExample(t, 'frames', ['tcp://127.0.0.1:0']).addresses();
  const ask = async (...args: string[]) => {
    const { code, stdout, stderr } = await startExample(t, 'frames', [
      '--ask',
      url!,
      ...args,
    ]).ended();
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    return JSON.parse(stdout) as unknown;
  };
  assert.deepEqual(await ask('colour'), { key: 'colour', value: null });
  assert.deepEqual(await ask('colour', 'grün'), { key: 'colour', value: 'grün' });
  assert.deepEqual(await ask('colour'), { key: 'colour', value: 'grün' });
});

test('what is no request is answered, what is no frame ends the connection', async (t) => {
  const [url] = await startExample(t, 'frames', ['tcp://127.0.0.1:0']).addresses();
  const client = await NetClient.connect(t, url!);
  const frame = (text: string) =>
    Buffer.concat([Buffer.of(0, 0, 0, text.length), Buffer.from(text)]);
  client.write(Buffer.concat([frame('{'), frame('null'), frame('{"key":"k","value":1}')]));
  await client.receives('{"key":"k","value":1}');
  assert.match(client.text, /Cannot decode a frame.*expected a key.*"value":1/s);
  client.write(Buffer.of(0xff, 0, 0, 0));
  await client.ends();
  await awaitCondition(() => client.text.includes('at most 65536'), 'the reason');
});
