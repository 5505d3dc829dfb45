/** http2, tls and ws over connections of millrace, each as server and as client, and both at once. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it } from 'node:test';
import tls from 'node:tls';

import { type RawData, WebSocket, WebSocketServer } from 'ws';

import { adopt } from '../../src/index.js';
import { connect, nodeHandler, toDuplex } from '../../src/node/index.js';
import { dialTls, tlsHandler } from '../../src/tls/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { RawPeer } from '../support/raw-peer.js';
import { TestCertificates } from '../support/test-certificates.js';
import { listening, startServer, textOf } from './support.js';

const certificates = new TestCertificates();
const { cert, key } = certificates.server;
const ca = certificates.ca.cert;
const LARGE = Buffer.alloc(3_000_000, 'large ');

const asSocket = (duplex: unknown) => duplex as net.Socket;

async function request(session: http2.ClientHttp2Session, path: string, body: Buffer) {
  const stream = session.request({ ':path': path, ':method': 'POST' });
  stream.end(body);
  return settled(textOf(stream), `the answer to ${path}`);
}

function echoHttp2(server: http2.Http2Server): http2.Http2Server {
  return server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.write(`${headers[':path']} `);
    stream.pipe(stream);
  });
}

describe('node:http2', () => {
  it('as a server, as a client, and both', async (t) => {
    const ours = await startServer(t, nodeHandler(echoHttp2(http2.createServer())));
    const port = await listening(t, echoHttp2(http2.createServer()));
    const theirs = `tcp://127.0.0.1:${port}`;
    for (const [url, createConnection] of [
      [ours.url, () => net.connect(ours.port, '127.0.0.1')],
      [theirs, () => asSocket(connect(theirs))],
      [ours.url, () => asSocket(connect(ours.url))],
      [ours.url, connect],
    ] as const) {
      const session = http2.connect(url.replace('tcp:', 'http:'), { createConnection });
      const answers = await Promise.all([
        request(session, '/a', Buffer.from('x')),
        request(session, '/b', LARGE),
        request(session, '/c', Buffer.alloc(0)),
      ]);
      assert.deepEqual(answers, ['/a x', `/b ${LARGE}`, '/c ']);
      await new Promise<void>((resolve) => session.close(resolve));
    }
  });

  it('with performServerHandshake, on a single connection', async (t) => {
    const { url } = await startServer(t, {
      onOpen(connection) {
        const session = http2.performServerHandshake(toDuplex(connection));
        session.on('stream', (stream) => stream.end('by hand'));
      },
    });
    const session = http2.connect(url.replace('tcp:', 'http:'));
    assert.equal(await request(session, '/', Buffer.alloc(0)), 'by hand');
    await new Promise<void>((resolve) => session.close(resolve));
  });

  it('over millrace/tls, by ALPN', async (t) => {
    const handler = tlsHandler(
      { cert, key, alpn: ['h2'] },
      nodeHandler(echoHttp2(http2.createServer())),
    );
    const { port } = await startServer(t, handler, { allowHalfOpen: true });
    const session = http2.connect(`https://localhost:${port}`, { ca });
    assert.equal(await request(session, '/tls', Buffer.from('!')), '/tls !');
    await new Promise<void>((resolve) => session.close(resolve));
  });

  it('lets the streams under way finish when the server closes', async (t) => {
    const answers: (() => void)[] = [];
    const http2Server = http2.createServer().on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      stream.write('begun, ');
      answers.push(() => stream.end(LARGE));
    });
    const { server, url, port } = await startServer(t, nodeHandler(http2Server));
    const [busy, idle] = [1, 2].map(() => http2.connect(`http://127.0.0.1:${port}`));
    const answer = request(busy!, '/', Buffer.alloc(0));
    const silent = await RawPeer.connect(url);
    await awaitCondition(() => answers.length === 1, 'the request');
    await awaitCondition(() => server.stats.totals.connections === 3, 'the connections');
    const closed = server.close({ deadlineMs: 60_000 });
    const goaways = [busy!, idle!].map((session) => once(session, 'goaway'));
    await settled(once(idle!, 'close'), 'the end of the idle one');
    for (const goaway of goaways) assert.equal((await settled(goaway, 'GOAWAY'))[0], 0);
    await settled(silent.readToEnd(), 'the end of the one that said nothing');
    silent.close();
    await awaitCondition(() => server.stats.totals.connections === 1, 'the busy one alone');
    answers[0]!();
    assert.equal(await answer, `begun, ${LARGE}`);
    await settled(closed, 'the close');
  });
});

describe('node:tls', () => {
  it('as a server: tls.Server, and a TLSSocket by hand', async (t) => {
    const tlsServer = tls.createServer({ cert, key }, (socket) => socket.pipe(socket));
    const whole = await startServer(t, nodeHandler(tlsServer));
    const single = await startServer(t, {
      onOpen(connection) {
        const socket = new tls.TLSSocket(asSocket(toDuplex(connection)), {
          isServer: true,
          secureContext: tls.createSecureContext({ cert, key }),
        });
        socket.pipe(socket);
      },
    });
    for (const { port } of [whole, single]) {
      const client = tls.connect({ port, host: 'localhost', ca });
      client.write(LARGE);
      let missing = LARGE.byteLength;
      client.on('data', (bytes: Buffer) => {
        missing -= bytes.byteLength;
      });
      await awaitCondition(() => missing === 0, 'the echo');
      client.end();
      await settled(once(client, 'close'), 'the close');
    }
  });

  it('as a client, over a stream that is still connecting', async (t) => {
    const port = await listening(
      t,
      tls.createServer({ cert, key }, (socket) => socket.once('data', () => socket.end('hello'))),
    );
    const client = tls.connect({
      socket: asSocket(connect(`tcp://127.0.0.1:${port}`)),
      servername: 'localhost',
      ca,
    });
    client.write('?');
    assert.equal(await settled(textOf(client), 'the greeting'), 'hello');
    // And millrace/tls below a stream of Node.
    const ours = connect(`tcp://localhost:${port}`, {
      dialer: (url, options) => dialTls(url, { ...options, ca }),
    });
    ours.write('?');
    await once(ours, 'connect');
    assert.equal(ours.encrypted, true);
    assert.equal(await settled(textOf(ours), 'the greeting'), 'hello');
  });
});

describe('ws', () => {
  it('as a server and as a client', async (t) => {
    const httpServer = http.createServer();
    const webSockets = new WebSocketServer({ server: httpServer, perMessageDeflate: true });
    webSockets.on('connection', (socket) => {
      socket.on('message', (data: RawData, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const { port } = await startServer(t, nodeHandler(httpServer));
    for (const options of [{}, { createConnection: connect as never }]) {
      const client = new WebSocket(`ws://127.0.0.1:${port}`, options);
      await once(client, 'open');
      for (const data of [Buffer.from('text'), LARGE]) {
        client.send(data);
        const [echo] = (await settled(once(client, 'message'), 'the echo')) as [Buffer];
        assert.ok(echo.equals(data));
      }
      client.close(1000, 'enough');
      const [code, reason] = await settled(once(client, 'close'), 'the close');
      assert.deepEqual([code, String(reason)], [1000, 'enough']);
    }
    await awaitCondition(() => webSockets.clients.size === 0, 'the closes');
  });

  it('a server in noServer mode, whose clients break off', async (t) => {
    const webSockets = new WebSocketServer({ noServer: true });
    const httpServer = http.createServer();
    httpServer.on('upgrade', (message, socket, head) => {
      webSockets.handleUpgrade(message, socket, head, (client) => client.send('welcome'));
    });
    const { port } = await startServer(t, nodeHandler(httpServer));
    const client = new WebSocket(`ws://127.0.0.1:${port}`);
    await once(client, 'message');
    client.terminate();
    await awaitCondition(() => webSockets.clients.size === 0, 'the close');
  });
});

it('an echo server of node:net moves by one line, and its sockets move one by one', async (t) => {
  const echo = (socket: net.Socket) => void socket.pipe(socket);
  const { url } = await startServer(
    t,
    nodeHandler(net.createServer({ allowHalfOpen: true }, echo)),
  );
  const port = await listening(
    t,
    net.createServer({ allowHalfOpen: true }, (socket) => {
      void adopt(socket, {
        allowHalfOpen: true,
        handler: {
          onData: (connection, bytes) => void connection.write(bytes),
          onEnd: (connection) => connection.end(),
        },
      });
    }),
  );
  for (const each of [url, `tcp://127.0.0.1:${port}`]) {
    const peer = await RawPeer.connect(each);
    await peer.sendAll('there and back');
    peer.end();
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('there and back'), end: 'end' });
    peer.close();
  }
});
