/** cli/http and cli/demo: what is served, as its users see it. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { WebSocket as WsClient } from 'ws';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { runCommand, startCommand } from '../support/spawned-program.js';
import { TestCertificates } from '../support/test-certificates.js';

const run = promisify(execFile);

async function body(url: string, init?: RequestInit): Promise<string> {
  const response = await fetch(url, init);
  return `${response.status} ${response.headers.get('content-type')} ${await response.text()}`;
}

describe('millrace http', () => {
  for (const reactors of ['1', '2']) {
    test(`texts, an echo, a page and WebSockets, on ${reactors} reactor(s)`, async (t) => {
      const server = startCommand(t, [
        ...['http', '--listen', 'tcp://127.0.0.1:0', '--reactors', reactors],
      ]);
      const [address] = await server.addresses();
      const url = address!.replace('tcp:', 'http:');
      const text = 'text/plain; charset=utf-8';
      assert.equal(await body(`${url}/plaintext`), `200 ${text} Hello, World!`);
      assert.equal(await body(`${url}/json`), '200 application/json {"message":"Hello, World!"}');
      const large = randomBytes(150_000).toString('hex');
      assert.equal(
        await body(`${url}/echo`, { method: 'POST', body: large }),
        `200 application/octet-stream ${large}`,
      );
      assert.match(await body(`${url}/`), /^200 text\/html; charset=utf-8 <!doctype html>/);
      assert.match(await body(`${url}/nowhere`), /^404 /);

      const echo = new WsClient(`${url.replace('http:', 'ws:')}/ws`);
      t.after(() => echo.terminate());
      await once(echo, 'open');
      echo.send(large);
      const [back, isBinary] = (await once(echo, 'message')) as [Buffer, boolean];
      assert.equal(back.toString(), large);
      assert.equal(isBinary, false);

      const watcher = new WsClient(`${url.replace('http:', 'ws:')}/figures`);
      t.after(() => watcher.terminate());
      const [figures] = (await once(watcher, 'message')) as [Buffer];
      const found = JSON.parse(figures.toString()) as Record<string, unknown>;
      assert.equal(found.reactors, Number(reactors));
      assert.ok((found.connections as number) >= 2);

      echo.close();
      watcher.close();
      await Promise.all([once(echo, 'close'), once(watcher, 'close')]);
      server.signal('SIGTERM');
      const { code, stderr } = await server.ended();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    });
  }

  test('files of a folder, and nothing else of the system', async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'millrace-root-'));
    t.after(() => rmSync(root, { recursive: true }));
    writeFileSync(join(root, 'index.html'), '<p>mine');
    const server = startCommand(t, ['http', '--listen', 'tcp://127.0.0.1:0', '--root', root]);
    const url = (await server.addresses())[0]!.replace('tcp:', 'http:');
    assert.match(await body(`${url}/`), /^200 text\/html.* <p>mine$/);
    assert.match(await body(`${url}/plaintext`), /Hello/);
    const { stdout } = await run('curl', ['-s', '--path-as-is', `${url}/../../../etc/passwd`]);
    assert.doesNotMatch(stdout, /root:/);
  });

  test('https and wss, with curl as the client', async (t) => {
    const { server: identity, ca } = new TestCertificates();
    const server = startCommand(t, [
      ...['http', '--listen', 'tcp://127.0.0.1:0'],
      ...['--tls-cert', identity.certFile, '--tls-key', identity.keyFile],
    ]);
    const url = (await server.addresses())[0]!.replace('tcp:', 'https:');
    const { stdout } = await run('curl', ['-sS', '--cacert', ca.certFile, `${url}/plaintext`]);
    assert.equal(stdout, 'Hello, World!');
    const client = new WsClient(`${url.replace('https:', 'wss:')}/ws`, { ca: ca.cert });
    t.after(() => client.terminate());
    await once(client, 'open');
    client.send('over TLS');
    const [answer] = (await once(client, 'message')) as [Buffer];
    assert.equal(answer.toString(), 'over TLS');
  });

  test('what is asked for wrongly is one line and a code', async (t) => {
    const listen = ['--listen', 'tcp://127.0.0.1:0'];
    for (const [args, code, message] of [
      [['--tls-cert', '/dev/null'], 2, /--tls-cert and --tls-key belong together/],
      [['--tls-cert', '/nowhere', '--tls-key', '/nowhere'], 1, /cannot read --tls-cert .*ENOENT/],
      [['--tls-cert', '/dev/null', '--tls-key', '/dev/null'], 1, /certificate/],
      [['--root', '/nowhere'], 1, /--root \/nowhere is not a folder/],
      [['--data', '{}'], 2, /--data/],
    ] as const) {
      const ending = await runCommand(t, ['http', ...listen, ...args]);
      assert.equal(ending.code, code, ending.stderr);
      assert.match(ending.stderr, message);
      assert.doesNotMatch(ending.stderr, /\n {4}at /);
    }
  });
});

test('millrace demo serves echo and HTTP, and ends both', async (t) => {
  const server = startCommand(t, [
    ...['demo', '--listen', 'tcp://127.0.0.1:0', '--http', 'tcp://127.0.0.1:0'],
  ]);
  await server.printed(/listening on .*\n.*listening on /);
  const [echo, http] = [...server.stdout.matchAll(/listening on (\S+) \(/g)].map(([, url]) => url!);
  const client = await NetClient.connect(t, echo!);
  client.write('through the mill');
  await awaitCondition(() => client.text === 'through the mill', 'the answer');
  client.socket.end();
  assert.match(await body(`${http!.replace('tcp:', 'http:')}/plaintext`), /Hello/);
  server.signal('SIGTERM');
  const { code, stderr } = await server.ended();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('millrace demo says which of its ports is taken', async (t) => {
  const first = startCommand(t, ['echo', '--listen', 'tcp://127.0.0.1:0']);
  const [taken] = await first.addresses();
  const ending = await runCommand(t, [
    ...['demo', '--listen', 'tcp://127.0.0.1:0', '--http', taken!],
  ]);
  assert.equal(ending.code, 1);
  assert.match(ending.stderr, /^millrace: .*EADDRINUSE.*\n$/);
});
