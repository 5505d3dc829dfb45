/** cli/serve-until-end: how a server ends, and what it shows while it runs. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { COMMAND_LINE, ROOT, SpawnedProgram, startCommand } from '../support/spawned-program.js';

const ECHO = ['echo', '--listen', 'tcp://127.0.0.1:0'];

test('a graceful end waits for the clients and tells how many there are', async (t) => {
  const server = startCommand(t, ECHO);
  const [url] = await server.addresses();
  const client = await NetClient.connect(t, url!);
  client.write('before');
  await client.receives('before');
  server.signal('SIGINT');
  await server.printed(/ending, 1 open connection \(Ctrl-C again ends at once\)\n/);
  await client.ends();
  assert.equal(client.errorCode, '');
  client.socket.end();
  const { code, stdout } = await server.ended();
  assert.match(stdout, /ended after [\d.]+ s: 1 connection served, 1 message, 6 B in, 6 B out\n$/);
  assert.equal(code, 0);
});

test('two signals at the same moment are one: npm passes on the Ctrl-C that all get', async (t) => {
  const server = startCommand(t, ECHO);
  const [url] = await server.addresses();
  const client = await NetClient.connect(t, url!);
  client.write('before');
  await client.receives('before');
  server.signal('SIGSTOP');
  server.signal('SIGINT');
  server.signal('SIGTERM');
  server.signal('SIGCONT');
  await client.ends();
  client.socket.end();
  const { code } = await server.ended();
  assert.equal(client.errorCode, '', 'the connection ended in good order');
  assert.equal(code, 0);
});

for (const reactors of ['1', '2']) {
  test(`a second signal ends at once, with reactors: ${reactors}`, async (t) => {
    const server = startCommand(t, [...ECHO, '--reactors', reactors]);
    const [url] = await server.addresses();
    const client = await NetClient.connect(t, url!);
    client.write('before');
    await client.receives('before');
    server.signal('SIGTERM');
    await server.printed(/ending, 1 open connection/);
    // The client does not agree to the end. Signals are sent until one comes late enough to be another one.
    await awaitCondition(() => {
      server.signal('SIGINT');
      return server.hasEnded;
    }, 'the end');
    const { code, stdout, stderr } = await server.ended();
    assert.match(stdout, /\nmillrace: ended after .*: 1 connection served, .*\n$/);
    assert.deepEqual({ code, stderr }, { code: 130, stderr: '' });
  });
}

test('a reader of the output that goes away does not end the server', async (t) => {
  const server = startCommand(t, ECHO);
  const [url] = await server.addresses();
  server.process.stdout?.destroy();
  server.process.stderr?.destroy();
  const client = await NetClient.connect(t, url!);
  client.write('still there');
  await client.receives('still there');
  client.socket.end();
  await client.closes();
  server.signal('SIGINT');
  assert.equal((await server.ended()).code, 0);
});

const hasScript = spawnSync('script', ['--version']).status === 0;

test('on a terminal the status is drawn in place', { skip: !hasScript }, async (t) => {
  const program = `${process.execPath} ${ROOT}${COMMAND_LINE} ${ECHO.join(' ')}`;
  // A window of 60 columns; `exec` makes the server the only process that Ctrl-C reaches.
  const server = new SpawnedProgram(
    t,
    'script',
    ['-qfc', `stty cols 60; exec ${program}`, '/dev/null'],
    { env: { SHELL: '/bin/sh' } },
  );
  const [url] = await server.addresses();
  const client = await NetClient.connect(t, url!);
  client.write('hello');
  await client.receives('hello');
  await server.printed(
    /\r1 connection \| \d+ messages?\/s \| 1 message \| 5 B in \| [^\n]*\r1 conn/,
  );
  const drawn = server.stdout.split('\n').at(-1)!;
  for (const status of drawn.split('\r')) {
    assert.ok(status.length <= 59, `wider than the window: ${status}`);
  }
  client.socket.end();
  await client.closes();
  server.process.stdin?.write('\x03');
  await server.printed(/ended after [^\n]*\n/);
  const { stdout } = await server.ended();
  const lines = stdout.replaceAll('\r\n', '\n').split('\n');
  assert.equal(lines.length, 3, 'the address, the summary, and nothing after it');
  assert.match(lines[1]!, /\r *\rmillrace: ended after [\d.]+ s: 1 connection served, /);
});
