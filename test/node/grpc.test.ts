/** Servers and clients of @grpc/grpc-js over connections of millrace, each by itself and both at once. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';

import * as grpc from '@grpc/grpc-js';

import type { Reactor } from '../../src/index.js';
import { grpcCredentials, grpcHandler } from '../../src/node/index.js';
import { tlsHandler } from '../../src/tls/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { startServer } from './support.js';

const certificates = new TestCertificates();
const { cert, key } = certificates.server;
const ca = certificates.ca.cert;
const LARGE = Buffer.alloc(3_000_000, 'large ');

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
    const handler = grpcHandler(server, grpc.ServerCredentials.createInsecure());
    const { port } = await startServer(t, handler);
    for (const credentials of [
      grpc.credentials.createInsecure(),
      grpcCredentials(grpc.credentials.createInsecure()),
    ]) {
      const client = new EchoClient(`127.0.0.1:${port}`, credentials, OPTIONS);
      await converse(client);
      client.close();
    }
  });

  it('as a server, over TLS of Node, and over millrace/tls', async (t) => {
    const { createInsecure, createSsl } = grpc.ServerCredentials;
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    const plain = grpcHandler(grpcServer(t), createInsecure());
    for (const handler of [
      grpcHandler(grpcServer(t), createSsl(null, [pair])),
      tlsHandler({ cert, key, alpn: ['h2'] }, plain),
    ]) {
      const { port } = await startServer(t, handler);
      const secure = grpc.credentials.createSsl(Buffer.from(ca));
      const client = new EchoClient(`localhost:${port}`, secure, OPTIONS);
      await converse(client);
      client.close();
    }
  });

  it('as a server, lets the calls under way finish when it closes', async (t) => {
    const { createInsecure } = grpc.ServerCredentials;
    const { server, port } = await startServer(t, grpcHandler(grpcServer(t), createInsecure()));
    const [busy, idle] = [1, 2].map(
      (i) =>
        new EchoClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
          ...OPTIONS,
          // Channels of one process share their connections otherwise.
          'grpc.primary_user_agent': `client ${i}`,
        }),
    );
    t.after(() => {
      busy!.close();
      idle!.close();
    });
    await converse(idle!);
    const chat = busy!.chat();
    const words: string[] = [];
    chat.on('data', (bytes: Buffer) => words.push(bytes.toString()));
    chat.write(Buffer.from('before'));
    await awaitCondition(() => words.length === 1, 'the first answer');
    assert.equal(server.stats.totals.connections, 2);
    const closed = server.close({ deadlineMs: 60_000 });
    await awaitCondition(() => server.stats.totals.connections === 1, 'the end of the idle one');
    chat.end(Buffer.from('after'));
    await settled(once(chat, 'end'), 'the end of the call');
    assert.deepEqual(words, ['before', 'after']);
    await settled(closed, 'the close');
  });

  it('as a server, is told from what is none', () => {
    assert.throws(() => grpcHandler(null as never, undefined), TypeError);
    assert.throws(() => grpcHandler(new grpc.Server(), {} as never), TypeError);
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
