/** cli/run: serving a module of the user's. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { NetClient } from '../support/net-client.js';
import { runCommand, startCommand } from '../support/spawned-program.js';

const LISTEN = ['--listen', 'tcp://127.0.0.1:0'];

const MODULES = {
  'shout.mjs': `export const handler = {
    onData(connection, bytes) { connection.write(bytes.toString().toUpperCase()); },
  };`,
  'greet.mjs': `export default (data) => ({
    onOpen(connection) { connection.write('hello ' + data.name); },
  });`,
  'busy.mjs': `setInterval(() => {}, 1000); export const handler = {};`,
  'throws.mjs': `export const handler = {
    onData(connection, bytes) { bytes.noSuchMethod(); },
  };`,
  'rejects.mjs': `export const handler = {
    onData() { Promise.reject(new Error('nobody awaits this')); },
  };`,
  'syntax.mjs': `export const handler = {;`,
  'nothing.mjs': `export const other = 1;`,
  'wrong.mjs': `export const handler = { onData: 'not a function' };`,
  'explodes.mjs': `throw new Error('while loading');`,
};

const folder = mkdtempSync(join(tmpdir(), 'millrace-run-'));
for (const [name, text] of Object.entries(MODULES)) writeFileSync(join(folder, name), text);
after(() => rmSync(folder, { recursive: true, force: true }));

for (const reactors of ['1', '2']) {
  test(`a module is found from the working directory, reactors: ${reactors}`, async (t) => {
    const args = ['run', 'shout.mjs', ...LISTEN, '--reactors', reactors];
    const server = startCommand(t, args, { cwd: folder });
    const [url] = await server.addresses();
    const client = await NetClient.connect(t, url!);
    client.write('quiet');
    await client.receives('QUIET');
    client.socket.end();
    await client.closes();
    server.signal('SIGINT');
    const { code, stdout } = await server.ended();
    assert.match(stdout, /: 1 connection served, 1 message, 5 B in, 5 B out\n$/);
    assert.equal(code, 0);
  });

  test(`--data goes to a handler that is a function, reactors: ${reactors}`, async (t) => {
    const path = join(folder, 'greet.mjs');
    const args = ['run', path, ...LISTEN, '--reactors', reactors, '--data', '{"name":"you"}'];
    const [url] = await startCommand(t, args).addresses();
    const client = await NetClient.connect(t, url!);
    await client.receives('hello you');
  });

  for (const [name, expected] of [
    ['missing.mjs', /there is no handler module .*missing\.mjs/],
    ['syntax.mjs', /Cannot load the handler module .*syntax\.mjs: /],
    ['nothing.mjs', /nothing\.mjs exports no handler/],
    ['wrong.mjs', /handler\.onData to be a function/],
    ['explodes.mjs', /explodes\.mjs: while loading/],
    ['.', /is not a file/],
  ] as const) {
    test(`${name}: one line, exit code 1, reactors: ${reactors}`, async (t) => {
      const args = ['run', join(folder, name), ...LISTEN, '--reactors', reactors];
      const { code, stdout, stderr } = await runCommand(t, args);
      assert.match(stderr, /^millrace: [^\n]+\n$/);
      assert.match(stderr, expected);
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
    });
  }

  test(`a hook that throws is one line of warning, reactors: ${reactors}`, async (t) => {
    const args = ['run', 'throws.mjs', ...LISTEN, '--reactors', reactors];
    const server = startCommand(t, args, { cwd: folder });
    const [url] = await server.addresses();
    const client = await NetClient.connect(t, url!);
    client.write('x');
    await client.closes();
    await server.complained(
      /^millrace: warning: TypeError: bytes\.noSuchMethod is not a function \(throws\.mjs:2:\d+\)\n$/,
    );
    server.signal('SIGINT');
    const { code, stdout, stderr } = await server.ended();
    assert.match(stdout, /\nmillrace: troubles: 1 errors in hooks\n$/);
    assert.equal(stderr.split('\n').length, 2);
    assert.equal(code, 0);
  });
}

test('what the module left running does not keep the process', async (t) => {
  const server = startCommand(t, ['run', 'busy.mjs', ...LISTEN], { cwd: folder });
  await server.addresses();
  server.signal('SIGINT');
  assert.equal((await server.ended()).code, 0);
});

test('an error that nobody catches is one line and exit code 1', async (t) => {
  const server = startCommand(t, ['run', 'rejects.mjs', ...LISTEN], { cwd: folder });
  const [url] = await server.addresses();
  const client = await NetClient.connect(t, url!);
  client.write('x');
  const { code, stderr } = await server.ended();
  assert.match(stderr, /^millrace: nobody awaits this \(rejects\.mjs:2:\d+\)\n$/);
  assert.equal(code, 1);
});
