/** cli/echo: the echo server as its user sees it. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { staged } from '../support/datagram-stage.js';
import { NetClient } from '../support/net-client.js';
import { startCommand } from '../support/spawned-program.js';

const folder = mkdtempSync(join(tmpdir(), 'millrace-echo-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('it tells where it listens, with the real port, and echoes over TCP and Unix', async (t) => {
  const path = join(folder, 'echo.sock');
  const server = startCommand(t, [
    ...['echo', '--listen', 'tcp://127.0.0.1:0', '--listen', `unix://${path}`],
  ]);
  const [tcp, unix] = await server.addresses();
  assert.match(tcp!, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
  assert.equal(unix, `unix://${path}`);
  assert.equal(
    server.stdout.replace('(uring, ', '(epoll, '),
    `millrace: listening on ${tcp}, ${unix} (epoll, 1 reactor, pid ${server.process.pid})\n`,
  );
  for (const [i, url] of [tcp!, unix!].entries()) {
    const client = await NetClient.connect(t, url);
    client.write(`hello ${i}`);
    await client.receives(`hello ${i}`);
    client.socket.end();
    await client.closes();
    assert.equal(client.errorCode, '');
  }
  server.signal('SIGINT');
  const { code, stdout, stderr } = await server.ended();
  assert.match(
    stdout.split('\n')[1]!,
    /^millrace: ended after [\d.]+ s: 2 connections served, 2 messages, 14 B in, 14 B out$/,
  );
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.equal(existsSync(path), false, 'the file of the Unix socket goes with the server');
});

test('two reactors both serve, in threads of one process', async (t) => {
  const server = startCommand(t, ['echo', '--listen', 'tcp://127.0.0.1:0', '--reactors', '2']);
  const [url] = await server.addresses();
  assert.match(server.stdout, / \((epoll|uring), 2 reactors, pid \d+\)\n$/);
  const clients = await Promise.all(Array.from({ length: 8 }, () => NetClient.connect(t, url!)));
  for (const [i, client] of clients.entries()) {
    client.write(`number ${i}`);
    await client.receives(`number ${i}`);
  }
  for (const client of clients) client.socket.end();
  await Promise.all(clients.map((client) => client.closes()));
  server.signal('SIGTERM');
  const { code, stdout } = await server.ended();
  assert.match(stdout, /: 8 connections served, 8 messages, 64 B in, 64 B out\n$/);
  assert.equal(code, 0);
});

test('each reactor can listen itself', async (t) => {
  const server = startCommand(t, [
    ...['echo', '--listen', 'tcp://127.0.0.1:0', '--reactors', '2', '--reuse-port', '--quiet'],
  ]);
  const [url] = await server.addresses();
  for (let i = 0; i < 4; i += 1) {
    const client = await NetClient.connect(t, url!);
    client.write('hello');
    await client.receives('hello');
  }
});

test('--quiet prints the addresses and nothing else', async (t) => {
  const server = startCommand(t, ['echo', '--listen', 'tcp://127.0.0.1:0', '-q'], {
    env: { MILLRACE_HINTS: '1' },
  });
  await server.addresses();
  server.signal('SIGTERM');
  const { code, stdout, stderr } = await server.ended();
  assert.match(stdout, /^millrace: listening on [^\n]+\n$/);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('with MILLRACE_HINTS=1 it tells what to type, which works', async (t) => {
  const server = startCommand(t, ['echo', '--listen', 'tcp://127.0.0.1:0'], {
    env: { MILLRACE_HINTS: '1' },
  });
  const [url] = await server.addresses();
  await server.printed(/Ctrl-C ends\.\n$/);
  const port = Number(new URL(url!).port);
  assert.ok(
    server.stdout.includes(
      `\n  node -e 'process.stdin.pipe(require("net").connect(${port}, "127.0.0.1")).pipe(process.stdout)'\n`,
    ),
  );
});

test('it echoes datagrams, and counts them at the end', (t) =>
  staged(async (stage) => {
    const server = startCommand(t, ['echo', '--listen', 'udp://127.0.0.1:0']);
    const [url] = await server.addresses();
    const peer = await stage.peer();
    await peer.send('hello', url!);
    assert.deepEqual((await peer.read(1)).map(String), ['hello']);
    server.signal('SIGINT');
    const { code, stdout } = await server.ended();
    assert.equal(code, 0);
    assert.match(stdout, /0 B in, 0 B out, 1 datagram\n$/);
  }));
