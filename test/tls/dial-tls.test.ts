/** The client: whom it trusts, what it says when it does not, and how its connections behave. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import tls from 'node:tls';

import { type Connection, type Handler, type Reactor, serve } from '../../src/index.js';
import {
  type DialTlsOptions,
  dialTls,
  type SecureConnection,
  SecureContext,
  type TlsError,
  tlsHandler,
} from '../../src/tls/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, cleanUp, ECHO, startTls } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const { ca, client, server, stranger } = certificates;
checkLeaks();

/** A server of node:tls that echoes. */
async function nodeServer(
  options: tls.TlsOptions = {},
): Promise<{ url: string; sockets: tls.TLSSocket[] }> {
  const sockets: tls.TLSSocket[] = [];
  const listener = tls.createServer({ ...server, ...options }, (socket) => {
    sockets.push(socket);
    socket.on('data', (bytes) => socket.write(bytes));
    socket.on('error', () => {});
  });
  listener.on('tlsClientError', () => {});
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  cleanUp(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    listener.close();
  });
  return { url: `tcp://127.0.0.1:${(listener.address() as AddressInfo).port}`, sockets };
}

async function dial(url: string, options: DialTlsOptions = {}): Promise<SecureConnection> {
  const connection = await settled(dialTls(url, { ca: ca.cert, ...options }), 'the dial');
  cleanUp(async () => {
    connection.abort();
    await awaitCondition(() => connection.state === 'closed', 'the close');
  });
  return connection;
}

async function assertEchoes(connection: Connection, text = 'ping'): Promise<void> {
  const chunks = connection[Symbol.asyncIterator]();
  connection.write(text);
  let received = '';
  while (received.length < text.length) {
    received += String((await settled(chunks.next(), 'an echo')).value);
  }
  assert.equal(received, text);
}

async function refusal(url: string, options: DialTlsOptions = {}): Promise<TlsError> {
  const outcome = await settled(
    dialTls(url, { ca: ca.cert, ...options }).then(
      () => undefined,
      (error: TlsError) => error,
    ),
    'the refusal',
  );
  assert.ok(outcome !== undefined, 'it was let in');
  return outcome;
}

describe('dialTls()', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`speaks ${version} with node:tls`, async () => {
      const { url, sockets } = await nodeServer({ minVersion: version, maxVersion: version });
      const connection = await dial(url);
      assert.equal(connection.tls.protocol, version);
      assert.equal(connection.tls.isAuthorized, true);
      assert.equal(connection.tls.authorizationError, undefined);
      assert.notEqual(connection.tls.peerCertificate, undefined);
      await assertEchoes(connection, 'x'.repeat(100_000));
      sockets[0]!.end();
      await awaitCondition(() => connection.state === 'closed', 'the close');
    });
  }

  it('believes only who is named in a certificate of the CA’s', async () => {
    const { url } = await nodeServer();
    const { url: other } = await nodeServer(stranger);
    assert.match((await refusal(other)).message, /self.signed|unable to get/);
    assert.match((await refusal(url, { ca: undefined as never })).message, /unable to get/);
    assert.match(
      (await refusal(url, { serverName: 'example.org' })).message,
      /[Hh]ostname mismatch/,
    );
    assert.match((await refusal(url, { serverName: '127.0.0.2' })).message, /IP address mismatch/);
    assert.equal((await refusal(other)).code, 'ERR_TLS_CERTIFICATE');
    const byName = await dial(url, { serverName: 'localhost' });
    assert.equal(byName.tls.isAuthorized, true);
    const wild = certificates.issue('wild', 'DNS:*.wild.test,DNS:f*.wild.test');
    const { url: third } = await nodeServer(wild);
    await dial(third, { serverName: 'a.wild.test' });
    assert.match((await refusal(third, { serverName: 'a.b.wild.test' })).message, /mismatch/);
    assert.match((await refusal(third, { serverName: 'wild.test' })).message, /mismatch/);
  });

  it('an expired certificate is refused', async () => {
    const expired = certificates.issueExpired('IP:127.0.0.1');
    const { url } = await nodeServer(expired);
    assert.match((await refusal(url)).message, /expired/);
  });

  it('without verify it goes on, and tells', async () => {
    const { url } = await nodeServer(stranger);
    const connection = await dial(url, { verify: false });
    assert.equal(connection.tls.isAuthorized, false);
    assert.match(connection.tls.authorizationError!, /self.signed|unable to get/);
    await assertEchoes(connection);
  });

  it('offers protocols, sends the name, shows a certificate', async () => {
    const { url, sockets } = await nodeServer({
      ALPNProtocols: ['b', 'a'],
      requestCert: true,
      rejectUnauthorized: true,
      ca: ca.cert,
    });
    const options = {
      alpn: ['a', 'b'],
      serverName: 'localhost',
      cert: client.cert,
      key: client.key,
    };
    const connection = await dial(url, options);
    await assertEchoes(connection);
    assert.equal(connection.tls.alpn, 'b');
    assert.equal(connection.tls.serverName, 'localhost');
    assert.equal(sockets[0]!.getPeerCertificate().subject.CN, 'client');
    assert.equal((sockets[0] as unknown as { servername: string }).servername, 'localhost');
  });

  it('runs the handler’s hooks, with the context, in order', async () => {
    const { url } = await nodeServer();
    const calls: string[] = [];
    const handler: Handler<string> = {
      onOpen(connection) {
        calls.push(`open ${connection.context}`);
        connection.write('hello');
      },
      onData(connection, bytes) {
        calls.push(`data ${bytes}`);
        connection.close();
      },
      onClose(_connection, { code }) {
        calls.push(`close ${code}`);
      },
    };
    const connection = await dial(url, { handler: handler as Handler, context: 'mine' });
    await awaitCondition(() => connection.state === 'closed' && calls.length === 3, 'the close');
    assert.deepEqual(calls, ['open mine', 'data hello', 'close closed']);
  });

  it('an onOpen that throws costs the connection, which the dial gives nevertheless', async () => {
    const { url } = await nodeServer();
    let reason: string | undefined;
    const handler: Handler = {
      onOpen() {
        throw new Error('not this one');
      },
      onClose(_connection, { code }) {
        reason = code;
      },
    };
    const reactor = await new Promise<Reactor>((resolve) => {
      void serve({
        listen: 'tcp://127.0.0.1:0',
        handler: { onBoot: resolve },
        onWarning: () => {},
      }).then((host) => cleanUp(() => host.close({ deadlineMs: 0 })));
    });
    const connection = await dial(url, { handler, reactor });
    await awaitCondition(() => reason !== undefined, 'the close');
    assert.equal(reason, 'handler');
    assert.equal(connection.write('x'), 'closed');
  });

  it('resumes an exported session, of either version, unless it was never verified', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const rig = await startTls(certificates);
      const options = { minVersion: version, maxVersion: version };
      const first = await dial(rig.url, options);
      await assertEchoes(first);
      const session = first.tls.exportSession();
      assert.notEqual(session, undefined, version);
      const second = await dial(rig.url, { ...options, session: session! });
      assert.equal(second.tls.isSessionReused, true, version);
      await assertEchoes(second);
      const garbage = await dial(rig.url, { ...options, session: Buffer.from('garbage') });
      assert.equal(garbage.tls.isSessionReused, false);
    }
    const rig = await startTls(certificates, ECHO, stranger);
    const unverified = await dial(rig.url, { verify: false });
    await assertEchoes(unverified);
    const session = unverified.tls.exportSession()!;
    const again = await dial(rig.url, { verify: false, session });
    assert.equal(again.tls.isSessionReused, true);
    const error = await refusal(rig.url, { session });
    assert.equal(error.code, 'ERR_TLS_CERTIFICATE');
    assert.match(error.message, /not verified/);
  });

  it('shares a context between dials', async () => {
    const context = SecureContext.client({ ca: ca.cert, alpn: ['x'] });
    const { url } = await nodeServer({ ALPNProtocols: ['x'] });
    for (let i = 0; i < 3; i += 1) {
      const connection = await dial(url, { secureContext: context });
      assert.equal(connection.tls.alpn, 'x');
    }
    context.close();
    const error = await refusal(url, { secureContext: context });
    assert.equal(error.code, 'ERR_TLS_CONTEXT');
  });

  it('gives up on who accepts and says nothing, or is aborted by the signal', async () => {
    const sockets: Socket[] = [];
    const silent = createNetServer((socket) => sockets.push(socket.on('error', () => {})));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    cleanUp(() => {
      for (const socket of sockets) {
        socket.destroy();
      }
      silent.close();
    });
    const url = `tcp://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    assert.equal((await refusal(url, { handshakeTimeoutMs: 30 })).code, 'ERR_TLS_TIMEOUT');
    const controller = new AbortController();
    const outcome = refusal(url, { signal: controller.signal });
    await awaitCondition(() => sockets.length === 2, 'the connection');
    controller.abort(new Error('enough'));
    assert.equal((await outcome).message, 'enough');
    const closing = refusal(url);
    await awaitCondition(() => sockets.length === 3, 'the connection');
    sockets[2]!.end();
    const error = await closing;
    assert.equal(error.code, 'ERR_TLS_HANDSHAKE');
    assert.match(error.message, /ended the connection/);
    const talking = refusal(url);
    await awaitCondition(() => sockets.length === 4, 'the connection');
    sockets[3]!.write('220 mail.test ESMTP\r\n');
    assert.match((await talking).message, /wrong version number|packet length/);
  });

  it('failures of the dial itself, and wrong options, are told as ever', async () => {
    assert.equal((await refusal('tcp://127.0.0.1:1')).code as string, 'ECONNREFUSED');
    await assert.rejects(dialTls('unix:///nowhere'), /expected serverName, or verify: false/);
    await assert.rejects(dialTls('http://x'), TypeError);
    await assert.rejects(dialTls('tcp://127.0.0.1:1', { ca: 'x' }), /ERR_TLS_CONTEXT|CA cert/);
    const context = SecureContext.server(server);
    await assert.rejects(
      dialTls('tcp://127.0.0.1:1', { secureContext: context }),
      /Expected a client context/,
    );
    context.close();
  });

  it('dials from a given reactor, in whose thread its server runs', async () => {
    const rig = await startTls(certificates);
    let echoed = '';
    const front = await startTls(certificates, {
      onOpen(connection) {
        const { reactor } = connection;
        const handler: Handler = {
          onData: (back, bytes) => {
            assert.equal(back.reactor, reactor);
            connection.write(bytes);
          },
        };
        void dialTls(rig.url, { reactor, ca: ca.cert, handler }).then((back) => back.write('via'));
      },
    });
    const connection = await dial(front.url);
    for await (const chunk of connection) {
      echoed += chunk.toString();
      if (echoed.length === 3) {
        break;
      }
    }
    assert.equal(echoed, 'via');
  });
});

describe('TLS over TLS', () => {
  it('is a handler over a handler, with a pipe for each depth', async () => {
    const inner = tlsHandler({ ...certificates.issue('inner', 'DNS:inner.test') }, ECHO);
    const rig = await startTls(certificates, inner);
    const outerSocket = tls.connect({
      port: rig.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: ca.cert,
    });
    cleanUp(() => outerSocket.destroy());
    outerSocket.on('error', () => {});
    await once(outerSocket, 'secureConnect');
    const innerSocket = tls.connect({ socket: outerSocket, servername: 'inner.test', ca: ca.cert });
    innerSocket.on('error', () => {});
    await once(innerSocket, 'secureConnect');
    const bytes = Buffer.alloc(300_000, 'nested ');
    innerSocket.write(bytes);
    let received = Buffer.alloc(0);
    innerSocket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
    });
    await awaitCondition(() => received.length === bytes.length, 'the echo');
    assert.ok(received.equals(bytes));
    innerSocket.end();
    await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
    assert.equal(inner.tlsStats.handshakesDone, 1);
    assert.equal(inner.tlsStats.connections, 0);
  });
});
