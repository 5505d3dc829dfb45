/** examples/rpc.mjs, asked in good and in bad ways. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startExample } from '../support/spawned-program.js';

interface Answer {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: string;
}

function frame(message: unknown): Buffer {
  return frameOf(JSON.stringify(message));
}

function frameOf(text: string): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([head, Buffer.from(text)]);
}

/** The answers in what was received, in their order. */
function answersIn(bytes: Buffer): Answer[] {
  const list: Answer[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    list.push(JSON.parse(bytes.toString('utf8', at + 4, end)));
    at = end;
  }
  return list;
}

async function answers(client: NetClient, count: number): Promise<Answer[]> {
  await awaitCondition(
    () => answersIn(client.received).length >= count || client.isClosed,
    `${count} answers`,
  );
  return answersIn(client.received);
}

test('what is ready first is answered first', async (t) => {
  const example = startExample(t, 'rpc', ['tcp://127.0.0.1:0']);
  const [url] = await example.addresses();
  assert.equal(example.stdout, `rpc: listening on ${url}\n`);
  const client = await NetClient.connect(t, url!);
  const slow = frame({ id: 1, method: 'later', argument: 'slow' });
  client.write(Buffer.concat([slow, frame({ id: 2, method: 'add', argument: [20, 22] })]));
  assert.deepEqual(await answers(client, 2), [
    { id: 2, result: 42 },
    { id: 1, result: 'slow' },
  ]);
});

test('frames may come byte by byte', async (t) => {
  const [url] = await startExample(t, 'rpc', ['tcp://127.0.0.1:0']).addresses();
  const client = await NetClient.connect(t, url!);
  client.socket.setNoDelay(true);
  for (const byte of frame({ id: 'ä', method: 'add', argument: [1, 2] })) {
    client.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await answers(client, 1), [{ id: 'ä', result: 3 }]);
});

test('calls that make no sense are answered with an error, and the connection goes on', async (t) => {
  const [url] = await startExample(t, 'rpc', ['tcp://127.0.0.1:0']).addresses();
  const client = await NetClient.connect(t, url!);
  const bad = ['null', '1', '"text"', '[]', '{', '', '{"method":"constructor"}', '{"method":null}'];
  for (const text of bad) client.write(frameOf(text));
  client.write(frame({ id: 3, method: 'add' }));
  const list = await answers(client, bad.length + 1);
  assert.equal(list.length, bad.length + 1);
  for (const { error } of list) assert.match(error ?? '', /Error/);
  client.write(frame({ id: 4, method: 'add', argument: [1, 1] }));
  assert.deepEqual((await answers(client, bad.length + 2)).at(-1), { id: 4, result: 2 });
});

test('more calls than may be under way are all answered', async (t) => {
  const [url] = await startExample(t, 'rpc', ['tcp://127.0.0.1:0']).addresses();
  const client = await NetClient.connect(t, url!);
  const calls = Array.from({ length: 350 }, (_, id) =>
    frame({ id, method: id % 2 === 0 ? 'later' : 'add', argument: [id, 0] }),
  );
  client.write(Buffer.concat(calls));
  const ids = (await answers(client, calls.length)).map(({ id }) => Number(id));
  assert.deepEqual(
    ids.sort((a, b) => a - b),
    calls.map((_, id) => id),
  );
});

test('a frame that is too long costs its sender the connection, and nobody else', async (t) => {
  const example = startExample(t, 'rpc', ['tcp://127.0.0.1:0']);
  const [url] = await example.addresses();
  const other = await NetClient.connect(t, url!);
  const client = await NetClient.connect(t, url!);
  client.write(Buffer.from([0, 1, 0, 1]));
  await client.closes();
  assert.equal(client.errorCode, 'ECONNRESET');
  other.write(frame({ id: 1, method: 'add', argument: [1, 2] }));
  assert.deepEqual(await answers(other, 1), [{ id: 1, result: 3 }]);
});

test('who asks and does not read is cut off', async (t) => {
  const [url] = await startExample(t, 'rpc', ['tcp://127.0.0.1:0']).addresses();
  const client = await NetClient.connect(t, url!, { isPaused: true });
  const call = frame({ id: 1, method: 'later', argument: 'x'.repeat(60_000) });
  await awaitCondition(() => {
    if (client.socket.writableLength < 4 * call.length) client.write(call);
    return client.isClosed;
  }, 'the connection to be cut off');
  assert.match(client.errorCode, /ECONNRESET|EPIPE/);
});

test('--call asks a server and prints its answers', async (t) => {
  const [url] = await startExample(t, 'rpc', ['tcp://127.0.0.1:0']).addresses();
  const { code, stdout, stderr } = await startExample(t, 'rpc', ['--call', url!]).ended();
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .sort((a, b) => a.id.localeCompare(b.id)),
    // In whatever order they got ready: the server promises none.
    [
      { id: 'add', result: 3 },
      { id: 'divide', error: 'Error: there is no divide' },
      { id: 'later', result: 'asked first' },
    ],
  );
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});
