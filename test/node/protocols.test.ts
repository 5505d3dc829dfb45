/** http2, tls, ws and grpc-js over connections of millrace, each as server and as client, and both at once. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import tls from 'node:tls';

import * as grpc from '@grpc/grpc-js';
import { type RawData, WebSocket, WebSocketServer } from 'ws';

import { adopt, type Reactor } from '../../src/index.js';
import { connect, grpcCredentials, nodeHandler, toDuplex } from '../../src/node/index.js';
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

const identity = (bytes: Buffer) => bytes;
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path,
  requestStream,
  responseStream,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});
const SERVICE = {
  unary: method('/test.Echo/Unary', false, false),
  chat: method('/test.Echo/Chat', true, true),
};

interface EchoClient extends grpc.Client {
  unary(bytes: Buffer, callback: (error: grpc.ServiceError | null, bytes: Buffer) => void): void;
  chat(): grpc.ClientDuplexStream<Buffer, Buffer>;
}
const EchoClient = grpc.makeClientConstructor(SERVICE, 'test.Echo') as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ChannelOptions,
) => EchoClient;

const OPTIONS = { 'grpc.max_receive_message_length': -1 };

function grpcServer(t: TestContext): grpc.Server {
  const server = new grpc.Server(OPTIONS);
  server.addService(SERVICE, {
    unary: (
      call: grpc.ServerUnaryCall<Buffer, Buffer>,
      answer: grpc.sendUnaryData<Buffer>,
    ): void => {
      if (call.request.toString() === 'fail') {
        answer({ code: grpc.status.FAILED_PRECONDITION, details: 'as asked' });
      } else {
        answer(null, call.request);
      }
    },
    chat: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (bytes) => call.write(bytes)).on('end', () => call.end());
    },
  });
  t.after(() => server.forceShutdown());
  return server;
}

/** A unary call, a large one, one that fails, and a stream both ways. */
async function converse(client: EchoClient): Promise<void> {
  const unary = (bytes: Buffer) =>
    new Promise<Buffer>((resolve, reject) => {
      client.unary(bytes, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  assert.equal(String(await settled(unary(Buffer.from('hello')), 'the answer')), 'hello');
  assert.ok((await unary(LARGE)).equals(LARGE));
  await assert.rejects(unary(Buffer.from('fail')), { code: 9, details: 'as asked' });
  const chat = client.chat();
  const answers: string[] = [];
  chat.on('data', (bytes: Buffer) => answers.push(bytes.toString()));
  const end = once(chat, 'end');
  for (const word of ['to', 'and', 'fro']) {
    chat.write(Buffer.from(word));
    await awaitCondition(() => answers.at(-1) === word, word);
  }
  chat.end();
  await settled(end, 'the end of the stream');
}

describe('@grpc/grpc-js', () => {
  it('as a server, with clients of Node and of millrace', async (t) => {
    const server = grpcServer(t);
    const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    t.after(() => injector.destroy());
    const { port } = await startServer(t, {
      onOpen: (connection) => injector.injectConnection(toDuplex(connection)),
    });
    for (const credentials of [
      grpc.credentials.createInsecure(),
      grpcCredentials(grpc.credentials.createInsecure()),
    ]) {
      const client = new EchoClient(`127.0.0.1:${port}`, credentials, OPTIONS);
      await converse(client);
      client.close();
    }
  });

  it('as a client, of a server on Node, in plain and over TLS', async (t) => {
    const server = grpcServer(t);
    const { credentials, ServerCredentials } = grpc;
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    for (const [serverSide, clientSide] of [
      [ServerCredentials.createInsecure(), credentials.createInsecure()],
      [ServerCredentials.createSsl(null, [pair]), credentials.createSsl(Buffer.from(ca))],
    ] as const) {
      const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync('127.0.0.1:0', serverSide, (error, bound) =>
          error ? reject(error) : resolve(bound),
        );
      });
      const client = new EchoClient(`localhost:${port}`, grpcCredentials(clientSide), OPTIONS);
      await converse(client);
      client.close();
    }
  });

  it('as a client, does not share the connections of other channels', async (t) => {
    const server = grpcServer(t);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    let reactor: Reactor | undefined;
    await startServer(t, {
      onBoot(own) {
        reactor = own;
      },
    });
    const plain = grpc.credentials.createInsecure();
    const ours = grpcCredentials(plain, { reactor: reactor! });
    for (const [credentials, connections] of [
      [plain, 0],
      [ours, 1],
      [grpc.credentials.createInsecure(), 1],
      [ours, 1],
      [grpcCredentials(plain, { reactor: reactor! }), 2],
    ] as const) {
      const client = new EchoClient(`127.0.0.1:${port}`, credentials, OPTIONS);
      t.after(() => client.close());
      await converse(client);
      assert.equal(reactor!.connectionCount, connections);
    }
  });

  it('as a client, with credentials for the calls', async (t) => {
    const { credentials, ServerCredentials } = grpc;
    const server = grpcServer(t);
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    const port = await new Promise<number>((resolve, reject) => {
      const secure = ServerCredentials.createSsl(null, [pair]);
      server.bindAsync('127.0.0.1:0', secure, (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    let asked = 0;
    const forCalls = credentials.createFromMetadataGenerator((_options, callback) => {
      asked += 1;
      callback(null, new grpc.Metadata());
    });
    const ssl = () => credentials.createSsl(Buffer.from(ca));
    for (const composed of [
      grpcCredentials(ssl()).compose(forCalls),
      grpcCredentials(ssl().compose(forCalls)),
      credentials.combineChannelCredentials(grpcCredentials(ssl()), forCalls),
    ]) {
      asked = 0;
      const client = new EchoClient(`localhost:${port}`, composed, OPTIONS);
      await converse(client);
      assert.ok(asked >= 4, 'the credentials for calls were left out');
      client.close();
    }
    assert.throws(() => grpcCredentials(credentials.createInsecure()).compose(forCalls));
  });

  it('what are no credentials, or those of another version, are refused', () => {
    assert.throws(() => grpcCredentials({} as never), TypeError);
    assert.throws(() => grpcCredentials(undefined as never), TypeError);
    // As 1.12 has them.
    class Old {
      _isSecure = () => false;
      compose = () => this;
      _getConnectionOptions = () => ({});
    }
    const expected = {
      code: 'ERR_GRPC_VERSION',
      message: /@grpc\/grpc-js 1\.13 or later, below 2/,
    };
    assert.throws(() => grpcCredentials(new Old() as never), expected);
    class Later extends Old {
      _createSecureConnector = () => ({ handshake: () => {} });
    }
    const later = grpcCredentials(new Later() as never) as unknown as Later;
    assert.throws(() => later._createSecureConnector(), expected);
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
