/** CONNECT: tunnels that a handler makes of connections, and those that it refuses. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';

import type { Connection } from '../../src/api.js';
import { dial } from '../../src/engine/dial.js';
import { nextRound } from '../support/until.js';
import { get, HttpRig } from './rig.js';

const CONNECT = 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n';

describe('CONNECT', () => {
  it('is 501 without a hook, and a tunnel with one; what came behind it belongs to the tunnel', async () => {
    const plain = await HttpRig.open({ onRequest: (_, response) => response.end() });
    assert.match(
      await plain.exchange(`${CONNECT}\r\n${get('/canary')}`),
      /^HTTP\/1.1 501 [\s\S]*\(connect\)\n$/,
    );
    const targets: string[] = [];
    const rig = await HttpRig.open({
      onRequest: (_, response) => response.end('http'),
      onConnect: async (request, response) => {
        targets.push(`${request.method} ${request.target} ${request.isConnect}`);
        assert.throws(() => response.upgrade({}, {}), /did not ask/);
        await nextRound();
        response.tunnel(
          {
            onReadable: ({ reader, writer }) => {
              writer.append(reader);
              writer.flush();
            },
          },
          { 'X-Tunnel': 'yes' },
        );
      },
    });
    const client = await rig.connect();
    await client.send(`${get('/')}${CONNECT}\r\n${get('/inside')}`);
    assert.equal((await client.answer()).body, 'http');
    const text = await client.head();
    assert.match(text, /^HTTP\/1\.1 200 OK\r\nX-Tunnel: yes\r\n\r\n$/);
    client.raw.halfClose();
    assert.equal(await client.rest(), get('/inside'));
    assert.deepEqual(targets, ['CONNECT a.test:443 true']);
  });

  it('one that is refused ends the connection: what follows may have been meant for the tunnel', async () => {
    let requests = 0;
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        requests += 1;
        response.end();
      },
      onConnect: (_, response) => {
        response.status = 403;
        response.end('no');
      },
    });
    const text = await rig.exchange(`${CONNECT}\r\n${get('/canary')}`);
    assert.match(text, /^HTTP\/1\.1 403 [\s\S]*Connection: close\r\n[\s\S]*no$/);
    assert.equal(requests, 0);
  });

  it('targets that are no host and port, and bodies, are refused', async () => {
    let calls = 0;
    const rig = await HttpRig.open({
      onRequest: (_, response) => response.end(),
      onConnect: (_, response) => {
        calls += 1;
        response.end();
      },
    });
    for (const target of [
      '/',
      '*',
      'a.test',
      'a.test:',
      ':443',
      'a.test:44x',
      'http://a.test/',
      'u@a.test:1',
      'a:b:1',
      '[::1]',
      '[::1]x:1',
      'a/b:1',
      'a.test:123456',
    ]) {
      const text = await rig.exchange(`CONNECT ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 400 [\s\S]*\(target\)\n$/, target);
    }
    for (const field of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
      assert.match(await rig.exchange(`${CONNECT}${field}\r\n\r\nhello`), /\(framing\)\n$/);
    }
    assert.equal(calls, 0);
    for (const target of ['[::1]:443', '127.0.0.1:1', 'a.test:65535']) {
      const text = await rig.exchange(`CONNECT ${target} HTTP/1.0\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 200 /, target);
    }
    assert.equal(calls, 3);
  });

  it('handlers throw for what is no CONNECT, and curl gets through', async () => {
    const origin = await HttpRig.open({ onRequest: (_, response) => response.end('behind') });
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        assert.throws(() => response.tunnel({}), /CONNECT/);
        response.end();
      },
      onConnect: async (request, response) => {
        const upstream = await dial(`tcp://${request.target}`, {
          handler: {
            onData: (connection, bytes) => void (connection.context as Connection).write(bytes),
            onEnd: (connection) => (connection.context as Connection).end(),
          },
        });
        response.tunnel({
          onOpen: (connection) => {
            upstream.context = connection;
          },
          onData: (_, bytes) => void upstream.write(bytes),
          onClose: () => upstream.abort(),
        });
      },
    });
    assert.match(await rig.exchange(get('/', 'Connection: close')), /^HTTP\/1\.1 200 /);
    const args = ['-sS', '--max-time', '30', '-p', '-x', rig.url, origin.url];
    const { stdout } = await promisify(execFile)('curl', args);
    assert.equal(stdout, 'behind');
  });
});
