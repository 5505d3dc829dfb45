/** examples/udp-echo.mjs, started and used from outside. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { staged } from '../support/datagram-stage.js';
import { startExample } from '../support/spawned-program.js';

test('it sends everything back, and ends gracefully', (t) =>
  staged(async (stage) => {
    const example = startExample(t, 'udp-echo', ['udp://127.0.0.1:0']);
    const [url] = await example.addresses();
    const peer = await stage.peer();
    await peer.send('one', url!);
    await peer.send('two', url!);
    assert.deepEqual((await peer.read(2)).map(String), ['one', 'two']);
    example.signal('SIGINT');
    const { code, stdout, stderr } = await example.ended();
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout, `udp-echo: listening on ${url}\n`);
  }));

test('with sessions it greets, and tells the end', (t) =>
  staged(async (stage) => {
    const example = startExample(t, 'udp-echo', ['--sessions', 'udp://127.0.0.1:0']);
    const [url] = await example.addresses();
    const peer = await stage.peer();
    const address = `udp://127.0.0.1:${peer.port}`;
    await peer.send('one', url!);
    assert.deepEqual((await peer.read(2)).map(String), [`hello ${address}\n`, 'one']);
    example.signal('SIGINT');
    const { code } = await example.ended();
    assert.equal(code, 0);
    const line = `${address}: 1 datagrams, shutdown\n`;
    await awaitCondition(() => example.stdout.endsWith(line), line);
  }));
