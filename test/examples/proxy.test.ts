/** examples/proxy.mjs: what one side does, the other sees. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { targetOf } from '../support/net-client.js';
import { connectThrough, readToEnd, startProxy, Target } from '../support/proxied-pair.js';
import { freePort } from '../support/raw-peer.js';

test('bytes go to and fro, of several connections, on two reactors', async (t) => {
  const target = await Target.listen(t);
  const { proxy, url } = await startProxy(t, target.url);
  assert.equal(proxy.stdout, `proxy: listening on ${url}, passes on to ${target.url}\n`);
  for (let i = 0; i < 4; i += 1) {
    const { client, socket } = await connectThrough(t, target, url, i);
    socket.on('data', (bytes: Buffer) => socket.write(bytes.toString().toUpperCase()));
    socket.resume();
    client.write(`hello ${i}`);
    await client.receives(`HELLO ${i}`);
  }
});

test('a FIN goes through, and the other direction goes on', async (t) => {
  const target = await Target.listen(t);
  const { url } = await startProxy(t, target.url);
  const { client, socket } = await connectThrough(t, target, url, 0);
  client.write('a question');
  client.socket.end();
  assert.equal(await readToEnd(socket), 'a question');
  assert.equal(client.isEnded, false);
  socket.end('an answer, after the end of the question');
  await client.closes();
  assert.equal(client.text, 'an answer, after the end of the question');
  assert.equal(client.errorCode, '');
});

test('the target may end first', async (t) => {
  const target = await Target.listen(t);
  const { url } = await startProxy(t, target.url);
  const { client, socket } = await connectThrough(t, target, url, 0);
  socket.end('goodbye');
  await client.ends();
  assert.equal(client.text, 'goodbye');
  const rest = readToEnd(socket);
  client.socket.end('one more thing');
  assert.equal(await rest, 'one more thing');
  await client.closes();
});

test('a reset goes through, in both directions', async (t) => {
  const target = await Target.listen(t);
  const { url } = await startProxy(t, target.url);
  const first = await connectThrough(t, target, url, 0);
  let code: string | undefined;
  first.socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  first.socket.resume();
  first.client.socket.resetAndDestroy();
  await awaitCondition(() => code !== undefined, 'the reset at the target');
  assert.equal(code, 'ECONNRESET');
  const second = await connectThrough(t, target, url, 1);
  second.socket.resetAndDestroy();
  await second.client.closes();
  assert.equal(second.client.errorCode, 'ECONNRESET');
});

test('without a target the client is cut off, and the proxy goes on', async (t) => {
  const { proxy, url } = await startProxy(t, `tcp://127.0.0.1:${freePort()}`);
  for (let i = 0; i < 3; i += 1) {
    // The reset may come before Node has noticed that it is connected.
    const client = connect(targetOf(url));
    let code: string | undefined;
    client.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    await awaitCondition(() => client.closed, 'the close');
    assert.equal(code, 'ECONNRESET');
  }
  proxy.signal('SIGINT');
  const { code, stderr } = await proxy.ended();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});
