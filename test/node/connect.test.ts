/** `connect`: a stream at once, which connects by itself. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

import { connect } from '../../src/node/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { freePort } from '../support/raw-peer.js';
import { listening, textOf } from './support.js';

it('writes, sets options and ends before it is connected', async (t) => {
  const port = await listening(
    t,
    net.createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket)),
  );
  for (const target of [
    `tcp://127.0.0.1:${port}`,
    { port, host: 'localhost' },
    { port: String(port), host: '127.0.0.1', path: '/of/http' },
  ]) {
    const duplex = connect(target, { allowHalfOpen: true });
    const events: string[] = [];
    for (const name of ['connect', 'ready', 'end', 'close']) {
      duplex.on(name, () => events.push(name));
    }
    assert.deepEqual(
      [duplex.connecting, duplex.pending, duplex.readyState],
      [true, true, 'opening'],
    );
    duplex.on('connect', () => assert.equal(duplex.remotePort, port));
    duplex.setNoDelay(false).setKeepAlive(true).setTimeout(60_000);
    duplex.end('early');
    assert.equal(await settled(textOf(duplex), 'the echo'), 'early');
    await awaitCondition(() => events.includes('close'), 'the close');
    assert.deepEqual(events, ['connect', 'ready', 'end', 'close']);
  }
});

it('connects to Unix sockets', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-connect-'));
  const path = join(folder, 'socket');
  const server = net.createServer((socket) => socket.end('by path')).listen(path);
  await once(server, 'listening');
  for (const target of [{ path }, { socketPath: path, port: 80 }, `unix://${path}`]) {
    const duplex = connect(target);
    assert.equal(await settled(textOf(duplex), 'the text'), 'by path');
    assert.equal(duplex.remoteAddress, undefined);
  }
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

it('emits the error of a connect that fails, and gives up one that is destroyed', async () => {
  const port = freePort();
  const refused = connect(`tcp://127.0.0.1:${port}`);
  refused.write('for nobody', () => {});
  const [error] = (await settled(once(refused, 'error'), 'the error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  const destroyed = connect(`tcp://127.0.0.1:${port}`);
  destroyed.on('error', () => assert.fail('an error after destroy'));
  destroyed.destroy();
  await settled(once(destroyed, 'close'), 'the close');
  const reason = new Error('changed my mind');
  const aborted = connect(`tcp://127.0.0.1:${port}`, { signal: AbortSignal.abort(reason) });
  assert.equal((await settled(once(aborted, 'error'), 'the error'))[0], reason);
  assert.throws(() => connect({}), TypeError);
  assert.throws(() => connect(undefined as never), TypeError);
  assert.equal((await once(connect('nonsense'), 'error'))[0] instanceof TypeError, true);
});

it('holds the process while it is wanted', () => {
  const source = `
    import net from 'node:net';
    import { connect } from ${JSON.stringify(new URL('../../src/node/index.js', import.meta.url).href)};
    const server = net.createServer((socket) => socket.unref()).listen(0, '127.0.0.1', () => {
      server.unref();
      const duplex = connect({ port: server.address().port, host: '127.0.0.1' });
      duplex.resume().unref().ref();
      duplex.on('connect', () => setTimeout(() => {
        process.on('exit', () => console.log('gone by itself'));
        duplex.unref().unref();
      }, 10));
    });`;
  const end = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(end.signal, null, end.stderr);
  assert.equal(end.stdout.trim(), 'gone by itself', end.stderr);
});
