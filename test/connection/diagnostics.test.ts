/** The channels: what is told, in which order, and that nobody is told when nobody listens. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { channel, hasSubscribers } from 'node:diagnostics_channel';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { events } from '../../src/connection/diagnostics.js';
import { type DiagnosticName, dial, onDiagnostic, type Server, serve } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';

const NAMES: readonly DiagnosticName[] = [
  'millrace:server:listening',
  'millrace:server:closing',
  'millrace:server:closed',
  'millrace:reactor:ready',
  'millrace:reactor:death',
  'millrace:connection:open',
  'millrace:connection:close',
  'millrace:hook:error',
  'millrace:dial:start',
  'millrace:dial:connected',
  'millrace:dial:error',
  'millrace:warning',
];

/** Notes the names of what is published; ends with the test. */
function listen(t: { after(callback: () => void): void }): { name: string; message: object }[] {
  const heard: { name: string; message: object }[] = [];
  for (const name of NAMES) {
    t.after(onDiagnostic(name, (message) => heard.push({ name: name.slice(9), message })));
  }
  return heard;
}

describe('diagnostics_channel', () => {
  it('nobody listens by default, and unsubscribing is complete', () => {
    assert.equal(Object.keys(events).length, NAMES.length);
    for (const name of NAMES) {
      assert.equal(hasSubscribers(name), false, name);
      const end = onDiagnostic(name, () => {});
      assert.equal(channel(name).hasSubscribers, true);
      end();
      assert.equal(hasSubscribers(name), false, name);
    }
    for (const event of Object.values(events)) {
      assert.equal(event.isHeard, false);
    }
  });

  it('tells of a server, of connections on both sides, of dials and of hooks that throw', async (t) => {
    const heard = listen(t);
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      onWarning: () => {},
      handler: {
        onOpen: () => void heard.push({ name: 'onOpen', message: {} }),
        onData() {
          throw new Error('mine');
        },
        onClose: () => void heard.push({ name: 'onClose', message: {} }),
      },
    });
    const [url] = server.addresses;
    const client = await NetClient.connect(t, url!);
    client.write('x');
    await client.closes();
    const names = () => heard.map(({ name }) => name);
    assert.deepEqual(names(), [
      'server:listening',
      'connection:open',
      'onOpen',
      'hook:error',
      'warning',
      'connection:close',
      'onClose',
    ]);
    const closing = heard[5]!.message as { reason: { code: string }; connection: { id: number } };
    assert.equal(closing.reason.code, 'handler');
    assert.equal((heard[1]!.message as typeof closing).connection.id, closing.connection.id);
    heard.length = 0;
    const connection = await dial(url!);
    await connection[Symbol.asyncDispose]();
    await awaitCondition(
      () => names().filter((name) => name === 'onClose').length === 1,
      'the close',
    );
    assert.deepEqual(
      names().filter((name) => name.startsWith('dial')),
      ['dial:start', 'dial:connected'],
    );
    // One on each side.
    assert.equal(names().filter((name) => name === 'connection:open').length, 2);
    assert.equal(names().filter((name) => name === 'connection:close').length, 2);
    heard.length = 0;
    await server.close();
    assert.deepEqual(names(), ['server:closing', 'server:closed']);
    assert.equal((heard[0]!.message as { server: Server }).server, server);
    heard.length = 0;
    await assert.rejects(dial(url!), { code: 'ECONNREFUSED' });
    await awaitCondition(() => heard.length === 2, 'both ends of the dial');
    assert.deepEqual(names(), ['dial:start', 'dial:error']);
    assert.equal((heard[1]!.message as { error: { code: string } }).error.code, 'ECONNREFUSED');
  });

  it('tells of reactors in threads, and of their deaths', async (t) => {
    const heard = listen(t);
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: new URL('./dying-handler.js', import.meta.url),
      reactors: 2,
      onWarning: () => {},
    });
    t.after(() => server.close({ deadlineMs: 0 }));
    const ready = () => heard.filter(({ name }) => name === 'reactor:ready').length;
    assert.equal(ready(), 2);
    await assert.rejects(server.execute(0, 'die'));
    await awaitCondition(() => ready() === 3, 'a successor');
    const death = heard.find(({ name }) => name === 'reactor:death')!.message;
    assert.equal((death as { index: number }).index, 0);
    assert.ok(heard.some(({ name }) => name === 'warning'));
  });
});

it('NODE_DEBUG=millrace prints the same as lines on standard error', () => {
  const script = `
    import { dial, serve } from 'millrace';
    const server = await serve({ listen: 'tcp://127.0.0.1:0', driver: 'epoll', handler: {} });
    const connection = await dial(server.addresses[0]);
    await connection[Symbol.asyncDispose]();
    await server.close();
  `;
  const run = (NODE_DEBUG: string) =>
    spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('../../../', import.meta.url)),
      encoding: 'utf8',
      env: { ...process.env, NODE_DEBUG },
    });
  const { stderr, stdout, status } = run('millrace');
  assert.equal(status, 0, stderr);
  assert.equal(stdout, '');
  for (const pattern of [
    /^MILLRACE \d+: listening on tcp:\/\/127.0.0.1:\d+: epoll \(.+\), 1 reactor\(s\)$/m,
    /^MILLRACE \d+: dialing tcp:\/\//m,
    /^MILLRACE \d+: connection \d+ open, peer tcp:\/\/127.0.0.1:\d+$/m,
    /^MILLRACE \d+: connection \d+ closed: (ended|closed)$/m,
    /^MILLRACE \d+: closed tcp:/m,
  ]) {
    assert.match(stderr, pattern);
  }
  assert.equal(run('other').stderr, '');
});
