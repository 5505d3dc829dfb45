/** Requests after which the connection is no more HTTP's: upgrades and CONNECT, with servers good and bad. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Connection } from '../../src/api.js';
import { until } from '../support/until.js';
import { clientOf, EMPTY, errorOf, hostile, OK, requestsIn } from './client-rig.js';
import { HttpRig } from './rig.js';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n';

async function textOf(connection: Connection): Promise<string> {
  let text = '';
  for await (const chunk of connection) {
    text += chunk.toString('latin1');
  }
  return text;
}

/** Answers each connection's first request with that, and echoes nothing. */
async function answering(text: string) {
  return hostile((peer) => {
    if (requestsIn(peer.text) === 1 && peer.text.endsWith('\r\n\r\n')) {
      peer.socket.write(text, 'latin1');
    }
  });
}

describe('upgrades of the client', () => {
  it('push, pull and iterator get the connection, with what came after the response', async () => {
    const { url, peers } = await answering(`${SWITCH}head`);
    const client = clientOf();
    const got: string[] = [];
    const styles = [
      {
        onData: (_: Connection, bytes: Buffer) => void got.push(bytes.toString()),
      },
      {
        onReadable: ({ reader }: Connection) => {
          const text = reader.readString(4);
          if (text !== undefined) {
            got.push(text);
          }
        },
      },
    ];
    for (const style of styles) {
      const response = await client.request(url, { upgrade: 'echo' });
      assert.deepEqual([response.status, response.isTunnel], [101, true]);
      assert.equal(response.header('upgrade'), 'echo');
      assert.equal((await response.bytes()).length, 0);
      const { socket, text } = peers.at(-1)!;
      assert.match(text, /\r\nConnection: Upgrade\r\nUpgrade: echo\r\n/);
      // What comes before it is taken waits for it.
      socket.write('more');
      const connection = response.takeOver(style)!;
      assert.equal(connection.write('hello'), connection.queuedBytes > 0 ? 'queued' : 'sent');
      await until('the bytes', () => got.join('').endsWith('headmore'));
      await until('the greeting', () => peers.at(-1)!.text.endsWith('hello'));
      assert.equal(response.takeOver(style), undefined);
      connection.close();
    }
    const response = await client.request(url, { upgrade: 'foo/1, Echo' });
    peers.at(-1)!.socket.end('more');
    assert.equal(await textOf(response.takeOver()!), 'headmore');
    assert.equal(client.stats.tunnels, 3);
    await client.close();
    assert.equal(client.stats.connections, 0);
  });

  it('works with our server, on a connection that was used before', async () => {
    const rig = await HttpRig.open({
      onRequest: (request, response) =>
        request.wantsUpgrade && request.path === '/echo'
          ? response.upgrade(
              { onData: (connection, bytes) => void connection.write(bytes) },
              { upgrade: 'echo' },
            )
          : response.end('http'),
    });
    const client = clientOf();
    assert.equal(await (await client.request(rig.url)).text(), 'http');
    // Not switched: an ordinary response, and the connection is kept.
    const refused = await client.request(`${rig.url}/other`, { upgrade: 'echo' });
    assert.deepEqual(
      [refused.status, refused.isTunnel, await refused.text()],
      [200, false, 'http'],
    );
    assert.throws(() => refused.takeOver(), /isTunnel/);
    const response = await client.request(`${rig.url}/echo`, { upgrade: 'echo' });
    assert.deepEqual([response.isTunnel, client.stats.connects], [true, 1]);
    let text = '';
    const connection = response.takeOver({
      onData(_, bytes) {
        text += bytes.toString();
      },
    })!;
    connection.write('ping');
    await until('the echo', () => text === 'ping');
    // It is not the client's any more.
    await client.close();
    connection.write('pong');
    await until('the echo', () => text === 'pingpong');
    connection.abort();
  });

  it('refuses a switch that nobody asked for, to another protocol, or with a body', async () => {
    const bad = [
      [SWITCH, undefined],
      [SWITCH.replace('echo', 'other'), 'echo'],
      [SWITCH.replace('echo', 'echo, other'), 'echo'],
      [SWITCH.replace('Upgrade: echo\r\n', ''), 'echo'],
      [SWITCH.replace('upgrade\r\n', 'close\r\n'), 'echo'],
      [SWITCH.replace('Connection: upgrade\r\n', ''), 'echo'],
      [SWITCH.replace('1.1', '1.0'), 'echo'],
    ] as const;
    for (const [text, upgrade] of bad) {
      const { url, peers } = await answering(`${text}${EMPTY}`);
      const client = clientOf();
      const error = await errorOf(client.request(url, upgrade === undefined ? {} : { upgrade }));
      assert.deepEqual([error.code, error.reject], ['ERR_HTTP_RESPONSE', 'upgrade'], text);
      assert.equal(client.stats.rejects.upgrade, 1);
      await until('the close', () => peers[0]!.isClosed);
    }
    for (const field of ['Content-Length: 0', 'Content-Length: 4', 'Transfer-Encoding: chunked']) {
      const { url } = await answering(`${SWITCH.slice(0, -2)}${field}\r\n\r\n`);
      const error = await errorOf(clientOf().request(url, { upgrade: 'echo' }));
      assert.equal(error.reject, 'framing');
    }
  });

  it('arguments that may not go out throw', async () => {
    const client = clientOf();
    for (const upgrade of ['', 'a b', 'a\r\nb', 'a/b/c', 'a,', 5 as never]) {
      await assert.rejects(client.request('http://127.0.0.1:1', { upgrade }), /protocols/);
    }
    const body = { upgrade: 'a', body: 'x' };
    await assert.rejects(client.request('http://127.0.0.1:1', body), /body/);
    const fields = { Upgrade: 'a' };
    await assert.rejects(client.request('http://127.0.0.1:1', { fields }), /Cannot set/);
    for (const target of [
      'a',
      'a:',
      ':1',
      'a:0',
      'a:65536',
      'a:1/',
      'a b:1',
      'a:1\r\n',
      'u@a:1',
      '::1:1',
    ]) {
      await assert.rejects(client.connect('http://127.0.0.1:1', target), /target/, target);
    }
  });

  it('nobody waits for ever: one that is not taken, or discarded, is closed', async () => {
    const { url, peers } = await answering(SWITCH);
    const client = clientOf({ unreadTimeoutMs: 50 });
    const late = await client.request(url, { upgrade: 'echo' });
    await until('the close', () => peers[0]!.isClosed);
    assert.equal(late.takeOver(), undefined);
    assert.equal(client.stats.timeouts.unread, 1);
    const patient = clientOf();
    const unwanted = await patient.request(url, { upgrade: 'echo' });
    unwanted.discard();
    await until('the close', () => peers[1]!.isClosed);
    assert.equal(unwanted.takeOver(), undefined);
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = await patient.request(url, { upgrade: 'echo', signal });
    controller.abort();
    await until('the close', () => peers[2]!.isClosed);
    assert.equal(aborted.takeOver(), undefined);
    // Once it is taken the signal is not its matter any more.
    const other = new AbortController();
    const taken = await patient.request(url, { upgrade: 'echo', signal: other.signal });
    const connection = taken.takeOver()!;
    other.abort();
    assert.equal(connection.state, 'open');
    connection.abort();
    assert.equal(patient.stats.connections, 0);
  });

  it('a server that floods before it is taken is held back', async () => {
    const { url, peers } = await answering(SWITCH);
    const client = clientOf();
    const response = await client.request(url, { upgrade: 'echo' });
    const { socket } = peers[0]!;
    const piece = Buffer.alloc(1_000_000);
    for (let i = 0; i < 60; i += 1) {
      socket.write(piece);
    }
    socket.end();
    let received = 0;
    const connection = response.takeOver({
      onData(_, bytes) {
        received += bytes.byteLength;
      },
    })!;
    assert.ok(connection.bytesReceived < 20_000_000, String(connection.bytesReceived));
    await until('all of it', () => received === 60_000_000);
  });
});

describe('CONNECT of the client', () => {
  it('gives the tunnel after 2xx, whatever that says about a body (RFC 9110 9.3.6)', async () => {
    for (const fields of [
      '',
      'Content-Length: 1000\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: gzip\r\n',
    ]) {
      const { url, peers } = await answering(`${OK}${fields}\r\n5\r\nhello`);
      const client = clientOf();
      const response = await client.connect(url, 'EXAMPLE.test:443', { fields: { 'X-A': 'b' } });
      assert.deepEqual([response.status, response.isTunnel], [200, true]);
      assert.equal(
        peers[0]!.text,
        'CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\nX-A: b\r\n\r\n',
      );
      const connection = response.takeOver({ defaults: { allowHalfOpen: true } })!;
      const text = textOf(connection);
      peers[0]!.socket.end();
      assert.equal(await text, '5\r\nhello');
      connection.close();
    }
  });

  it('what is not 2xx is an ordinary response', async () => {
    const { url } = await answering('HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\nhello');
    const client = clientOf();
    const response = await client.connect(url, '[::1]:80');
    assert.deepEqual([response.status, response.isTunnel], [407, false]);
    assert.equal(await response.text(), 'hello');
    assert.equal(client.stats.idle, 1);
    const bad = await answering('HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n');
    assert.equal((await errorOf(client.connect(bad.url, 'a:1'))).reject, 'upgrade');
  });
});
