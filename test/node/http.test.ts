/** node:http, undici and Express-like code over connections of millrace, as server and as client. */

import assert from 'node:assert/strict';
import http from 'node:http';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, it } from 'node:test';

import { Client } from 'undici';

import type { Connection } from '../../src/index.js';
import { connect, fromSocket, nodeHandler } from '../../src/node/index.js';
import { tlsHandler } from '../../src/tls/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { RawPeer } from '../support/raw-peer.js';
import { TestCertificates } from '../support/test-certificates.js';
import { listening, startServer, textOf } from './support.js';

function get(options: http.RequestOptions): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    http
      .get(options, (response) => {
        textOf(response).then((body) => resolve({ status: response.statusCode!, body }), reject);
      })
      .on('error', reject);
  });
}

const certificates = new TestCertificates();

describe('an http.Server on millrace', () => {
  it('serves keep-alive, pipelined, streamed and large messages', async (t) => {
    const seen = new Set<unknown>();
    const httpServer = http.createServer((request, response) => {
      seen.add(request.socket);
      let length = 0;
      request.on('data', (chunk: Buffer) => {
        length += chunk.byteLength;
      });
      request.on('end', () => {
        response.end(`${request.method} ${request.url} ${length} ${request.socket.remoteAddress}`);
      });
    });
    const { port, url } = await startServer(t, nodeHandler(httpServer));
    const client = new Client(`http://127.0.0.1:${port}`, { pipelining: 4 });
    t.after(() => client.close());
    const answers = await Promise.all(
      [0, 1, 1_000, 5_000_000].map(async (length, i) => {
        const body = Buffer.alloc(length, 'b');
        const answer = await client.request({ method: 'POST', path: `/${i}`, body });
        return answer.body.text();
      }),
    );
    assert.deepEqual(answers, [
      'POST /0 0 127.0.0.1',
      'POST /1 1 127.0.0.1',
      'POST /2 1000 127.0.0.1',
      'POST /3 5000000 127.0.0.1',
    ]);
    assert.equal(seen.size, 1, 'one connection');
    const peer = await RawPeer.connect(url);
    await peer.sendAll('GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.0\r\n\r\n');
    const { bytes, end } = await peer.readToEnd();
    assert.match(String(bytes), /GET \/a 0[\s\S]*GET \/b 0/);
    assert.equal(end, 'end');
    peer.close();
  });

  it('pauses a response for a client that does not read, and gives up a client that leaves', async (t) => {
    let written = 0;
    let isClosed = false;
    const httpServer = http.createServer((_request, response) => {
      const chunk = Buffer.alloc(65_536, 'c');
      const more = () => {
        for (let goesOn = true; goesOn && !response.destroyed; ) {
          goesOn = response.write(chunk);
          written += chunk.byteLength;
        }
      };
      response.on('drain', more).on('close', () => {
        isClosed = true;
      });
      more();
    });
    const { url } = await startServer(t, nodeHandler(httpServer));
    const peer = await RawPeer.connect(url, { receiveBufferBytes: 4_096 });
    await peer.sendAll('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    let last = -1;
    await awaitCondition(async () => {
      const isQuiet = written > 0 && written === last;
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return isQuiet;
    }, 'the pause');
    assert.ok(written < 16_777_216, `${written} bytes for a client that reads nothing`);
    peer.reset();
    await awaitCondition(() => isClosed, 'the close of the response');
  });

  it('answers what is no HTTP, and clients that are too slow', async (t) => {
    const httpServer = http.createServer({
      headersTimeout: 30,
      requestTimeout: 30,
      connectionsCheckingInterval: 10,
    } as http.ServerOptions);
    const { url } = await startServer(t, nodeHandler(httpServer));
    const rude = await RawPeer.connect(url);
    await rude.sendAll('nonsense\r\n\r\n');
    assert.match(String((await rude.readToEnd()).bytes), /^HTTP\/1.1 400 /);
    rude.close();
    const slow = await RawPeer.connect(url);
    await slow.sendAll('GET / HTTP/1.1\r\nHost');
    assert.match(String((await settled(slow.readToEnd(), 'the end')).bytes), /^HTTP\/1.1 408 /);
    slow.close();
    httpServer.close();
  });

  it('closes idle connections after keepAliveTimeout', async (t) => {
    const httpServer = http.createServer({ keepAliveTimeout: 20 }, (_, response) => response.end());
    const { url } = await startServer(t, nodeHandler(httpServer));
    const peer = await RawPeer.connect(url);
    await peer.sendAll('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    const { bytes, end } = await settled(peer.readToEnd(), 'the end');
    assert.match(String(bytes), /200 OK/);
    assert.equal(end, 'end');
    peer.close();
  });

  it('speaks HTTPS with millrace/tls around it', async (t) => {
    const { cert, key } = certificates.server;
    const ca = certificates.ca.cert;
    const httpServer = http.createServer((request, response) => {
      const { encrypted } = request.socket as net.Socket & { encrypted: boolean };
      response.end(`encrypted: ${encrypted}`);
    });
    const { port } = await startServer(t, tlsHandler({ cert, key }, nodeHandler(httpServer)));
    const client = new Client(`https://localhost:${port}`, { connect: { ca } });
    t.after(() => client.close());
    const { body } = await client.request({ method: 'GET', path: '/' });
    assert.equal(await body.text(), 'encrypted: true');
  });

  it('hands the program the connection of an upgrade', async (t) => {
    const httpServer = http.createServer();
    httpServer.on('upgrade', (_request, socket, head) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n',
      );
      socket.write(head);
      socket.pipe(socket);
    });
    const { url } = await startServer(t, nodeHandler(httpServer));
    const peer = await RawPeer.connect(url);
    await peer.sendAll(
      'GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhead',
    );
    await peer.sendAll(' and tail');
    peer.end();
    assert.match(String((await peer.readToEnd()).bytes), /101[\s\S]*\r\n\r\nhead and tail$/);
    peer.close();
  });

  it('is told from what is none', () => {
    assert.throws(() => nodeHandler(null as never), TypeError);
    assert.throws(() => nodeHandler({} as never), TypeError);
  });
});

describe('a client of Node on millrace', () => {
  it('http.Agent keeps its connections alive', async (t) => {
    const sockets = new Set<net.Socket>();
    const nodeServer = http.createServer((request, response) => {
      sockets.add(request.socket);
      response.end(request.url);
    });
    const port = await listening(t, nodeServer);
    const agent = new http.Agent({ keepAlive: true });
    (agent as unknown as { createConnection: unknown }).createConnection = connect;
    t.after(() => agent.destroy());
    for (const path of ['/one', '/two']) {
      const { status, body } = await get({ agent, host: '127.0.0.1', port, path });
      assert.deepEqual([status, body], [200, path]);
    }
    assert.equal(sockets.size, 1);
  });

  it('undici takes a connector', async (t) => {
    const port = await listening(
      t,
      http.createServer((_, response) => response.end('hello')),
    );
    const client = new Client(`http://127.0.0.1:${port}`, {
      connect: ({ hostname, port: at }, callback) => {
        const socket = connect({ host: hostname, port: at });
        socket
          .once('connect', () => callback(null, socket as unknown as net.Socket))
          .once('error', (error) => callback(error, null));
      },
    });
    t.after(() => client.close());
    const { body } = await client.request({ method: 'GET', path: '/' });
    assert.equal(await body.text(), 'hello');
  });
});

it('closing the server lets responses under way finish, and nothing else', async (t) => {
  const answers: (() => void)[] = [];
  const body = 'x'.repeat(2_000_000);
  const httpServer = http.createServer((_, response) => {
    response.write('begun, ');
    answers.push(() => response.end(body));
  });
  httpServer.on('upgrade', (_, socket: Duplex) => void socket.write('HTTP/1.1 101 S\r\n\r\n'));
  const { server, url } = await startServer(t, nodeHandler(httpServer));
  const request = 'GET / HTTP/1.1\r\nHost: h\r\n';
  const [busy, idle, fresh, upgraded] = await Promise.all(
    [1, 2, 3, 4].map(() => RawPeer.connect(url)),
  );
  await busy!.sendAll(`${request}\r\n`);
  await upgraded!.sendAll(`${request}Connection: upgrade\r\nUpgrade: x\r\n\r\n`);
  await upgraded!.read(18);
  await idle!.sendAll(`${request}\r\n`);
  await awaitCondition(() => answers.length === 2, 'the requests');
  answers[1]!();
  const text = async (peer: RawPeer) => String((await settled(peer.readToEnd(), 'an end')).bytes);
  const idleText = text(idle!);
  await awaitCondition(() => server.stats.totals.bytesSent > body.length, 'its response');
  const closed = server.close({ deadlineMs: 60_000 });
  assert.ok((await idleText).includes(body));
  for (const peer of [fresh!, upgraded!]) assert.equal(await text(peer), '');
  for (const peer of [idle!, fresh!, upgraded!]) peer.close();
  await awaitCondition(() => server.stats.totals.connections === 1, 'the one that is busy');
  answers[0]!();
  const busyText = await text(busy!);
  assert.ok(busyText.includes('begun, ') && busyText.includes('0\r\n\r\n'));
  assert.equal(busyText.split('x').length - 1, body.length);
  busy!.close();
  await settled(closed, 'the close');
});

describe('connections of an http.Server of Node', () => {
  it('become ours after an upgrade, and a CONNECT, with what was read of them', async (t) => {
    const connections: Connection[] = [];
    const adopt = async (_: unknown, socket: Duplex, head: Buffer) => {
      socket.write('HTTP/1.1 200 Over to you\r\n\r\n');
      connections.push(
        await fromSocket(socket, {
          head,
          handler: { onData: (connection, bytes) => void connection.write(bytes) },
        }),
      );
    };
    const create = () => http.createServer().on('upgrade', adopt).on('connect', adopt);
    // One that listens itself, and one that has its connections from us.
    const theirs = `tcp://127.0.0.1:${await listening(t, create())}`;
    const ours = (await startServer(t, nodeHandler(create()))).url;
    const upgrade = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
    const tunnel = 'CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n';
    for (const [url, head] of [
      [theirs, upgrade],
      [theirs, tunnel],
      [ours, upgrade],
      [ours, tunnel],
    ] as const) {
      const peer = await RawPeer.connect(url);
      await peer.sendAll(`${head}early, `);
      assert.match(String(await peer.read(35)), /Over to you\r\n\r\nearly, $/);
      await peer.sendAll('late');
      assert.equal(String(await peer.read(4)), 'late');
      peer.end();
      assert.equal((await peer.readToEnd()).end, 'end');
      peer.close();
    }
    await awaitCondition(() => connections.every(({ state }) => state === 'closed'), 'the closes');
  });
});

it('a server and a client of Node meet on millrace', async (t) => {
  const httpServer = http.createServer((_, response) => response.end('met'));
  const { url, port } = await startServer(t, nodeHandler(httpServer));
  const { body } = await get({
    port,
    createConnection: () => connect(url) as unknown as net.Socket,
  });
  assert.equal(body, 'met');
});
