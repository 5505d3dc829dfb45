/** The server as real clients meet it: openssl, curl, Python, node:tls. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { type TlsOptions, tlsHandler } from '../../src/tls/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, ECHO, NodeClient, run, startTls } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const { ca, client, stranger } = certificates;
const trusting = { ca: ca.cert, servername: 'localhost' };
const showing = { ...trusting, cert: client.cert, key: client.key };
checkLeaks();

describe('tlsHandler()', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`speaks ${version} with node:tls, and tells about it`, async () => {
      const rig = await startTls(certificates);
      const peer = await NodeClient.connect(rig.port, {
        ...trusting,
        minVersion: version,
        maxVersion: version,
      });
      assert.equal(peer.socket.authorized, true);
      await peer.assertEchoes();
      const { connection } = rig.seen[0]!;
      const { tls } = connection;
      assert.equal(tls.protocol, version);
      assert.equal(tls.cipher, peer.socket.getCipher().standardName);
      assert.equal(tls.serverName, 'localhost');
      assert.equal(tls.alpn, undefined);
      assert.equal(tls.isSessionReused, false);
      assert.equal(tls.isAuthorized, false);
      assert.equal(tls.authorizationError, undefined);
      assert.equal(tls.peerCertificate, undefined);
      assert.equal(connection.state, 'open');
      assert.equal(connection.bytesReceived, 4);
      assert.equal(connection.bytesSent, 4);
      peer.socket.end();
      await peer.closed();
      assert.equal(peer.hasEnded, true);
      assert.equal(peer.error, undefined);
      await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
      assert.deepEqual(rig.seen[0]!.reason, { code: 'ended', unsentBytes: 0 });
      assert.equal(rig.seen[0]!.ends, 1);
      // What was asked for before the close stays.
      assert.equal(tls.protocol, version);
      assert.equal(connection.write('late'), 'closed');
    });
  }

  it('carries megabytes both ways unharmed', async () => {
    const rig = await startTls(certificates);
    const peer = await NodeClient.connect(rig.port, trusting);
    const sent = Buffer.alloc(8_000_000);
    for (let i = 0; i < sent.length; i += 1) {
      sent[i] = (i * 31 + (i >> 8)) & 0xff;
    }
    const paused = { ...ECHO };
    assert.ok(paused.onData !== undefined);
    for (let at = 0; at < sent.length; at += 100_000) {
      const part = sent.subarray(at, at + 100_000);
      peer.socket.write(part);
      assert.ok((await peer.read(part.length)).equals(part));
    }
  });

  it('echoes to openssl s_client, and ends by close_notify', async () => {
    const rig = await startTls(certificates);
    const args = [
      ...['s_client', '-connect', `127.0.0.1:${rig.port}`, '-servername', 'localhost'],
      ...['-CAfile', ca.certFile, '-verify_return_error', '-verify_hostname', 'localhost'],
      ...['-quiet', '-no_ign_eof'],
    ];
    const { output, code } = await run('openssl', args, 'hello\n', /hello/);
    assert.match(output, /hello/);
    assert.equal(code, 0, output);
    await awaitCondition(() => rig.seen[0]?.reason !== undefined, 'the close');
    assert.equal(rig.seen[0]!.reason!.code, 'ended');
  });

  it('takes handshake after handshake of openssl s_time, new and resumed', async () => {
    const rig = await startTls(certificates);
    for (const kind of ['-new', '-reuse']) {
      const args = ['s_time', '-connect', `127.0.0.1:${rig.port}`, kind, '-time', '1', '-tls1_3'];
      const { output, code } = await run('openssl', args, undefined);
      assert.equal(code, 0, output);
      assert.match(output, /[1-9]\d* connections in/);
    }
    assert.equal(rig.handler.tlsStats.handshakesFailed, 0);
    await awaitCondition(() => rig.handler.tlsStats.connections === 0, 'all closes');
  });

  it('answers curl', async () => {
    const rig = await startTls(certificates, {
      onData(connection) {
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello');
        return 'close';
      },
    });
    const url = `https://localhost:${rig.port}/`;
    for (const version of ['--tls-max 1.2', '--tlsv1.3']) {
      const args = ['-sS', '--http1.1', '--cacert', ca.certFile, ...version.split(' '), url];
      assert.deepEqual(await run('curl', args, undefined), { code: 0, output: 'hello' });
    }
    const untrusting = await run('curl', ['-sS', url], undefined);
    assert.equal(untrusting.code, 60, untrusting.output);
    await awaitCondition(() => rig.handshakeErrors.length === 1, 'the failed handshake');
    assert.match(rig.handshakeErrors[0]!.message, /alert unknown ca|ECONNRESET/);
  });

  it('echoes to Python, which unwraps in order', async () => {
    const rig = await startTls(certificates);
    const script = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as raw:
    with context.wrap_socket(raw, server_hostname="localhost") as tls:
        for size in (1, 100, 16384, 16385, 300000):
            sent = bytes(i % 251 for i in range(size))
            tls.sendall(sent)
            got = b""
            while len(got) < size:
                part = tls.recv(65536)
                assert part, "ended"
                got += part
            assert got == sent
        print(tls.version())
        tls.unwrap()
`;
    const { output, code } = await run(
      'python3',
      ['-c', script, `${rig.port}`, ca.certFile],
      undefined,
    );
    assert.deepEqual({ code, output }, { code: 0, output: 'TLSv1.3\n' });
    await awaitCondition(() => rig.seen[0]?.reason !== undefined, 'the close');
    assert.equal(rig.seen[0]!.reason!.code, 'ended');
  });

  it('gives a hook’s actions their meaning', async () => {
    const rig = await startTls(certificates, {
      onOpen: (connection) => void connection.write('hi'),
      onData(connection) {
        connection.write('bye');
        return 'close';
      },
    });
    const peer = await NodeClient.connect(rig.port, trusting);
    assert.equal((await peer.read(2)).toString(), 'hi');
    peer.socket.write('x');
    assert.equal((await peer.read(3)).toString(), 'bye');
    await peer.closed();
    assert.ok(peer.hasEnded, 'by close_notify');
    await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
    assert.equal(rig.seen[0]!.reason!.code, 'closed');
    const other = await startTls(certificates, { onData: () => 'shutdown' });
    const last = await NodeClient.connect(other.port, trusting);
    last.socket.write('x');
    await other.server.closed;
  });

  it('a hook that throws costs its own connection', async () => {
    const rig = await startTls(
      certificates,
      {
        onData(connection, bytes) {
          connection.write('not to be seen');
          if (bytes[0] === 0x21) {
            throw new Error('refused');
          }
        },
      },
      {},
      { onWarning: () => {} },
    );
    const bad = await NodeClient.connect(rig.port, trusting);
    const good = await NodeClient.connect(rig.port, trusting);
    bad.socket.write('!');
    await bad.closed();
    assert.equal(bad.receivedBytes, 0);
    await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
    assert.equal(rig.seen[0]!.reason!.code, 'handler');
    assert.match(rig.seen[0]!.reason!.error!.message, /refused/);
    good.socket.write('?');
    assert.equal((await good.read(14)).toString(), 'not to be seen');
  });

  it('wrong options are refused at once', () => {
    const options = { cert: certificates.server.cert, key: certificates.server.key };
    const wrong = (more: object, pattern: RegExp) => {
      assert.throws(() => tlsHandler({ ...options, ...more } as TlsOptions, ECHO), pattern);
    };
    wrong({ handshakeTimeoutMs: 0 }, /handshakeTimeoutMs .* got 0/);
    wrong({ handshakesPerTurn: 0.5 }, /handshakesPerTurn/);
    wrong({ ticketCount: 99 }, /ticketCount/);
    wrong({ ticketLifetimeSeconds: -1 }, /ticketLifetimeSeconds/);
    wrong({ serverNames: { 'a b': {} } }, /server name/);
    wrong({ serverNames: { a: { key: client.key } } }, /private key/);
    wrong({ tickets: new SharedArrayBuffer(1) }, /TicketKeys/);
    assert.throws(() => tlsHandler(undefined as never, ECHO), /TLS options/);
    assert.throws(() => tlsHandler(options, { onData: 1 } as never), /handler.onData/);
  });
});

describe('protocols of the application', () => {
  it('the server’s first that the client offers; an alert if there is none', async () => {
    const rig = await startTls(certificates, ECHO, { alpn: ['h2', 'http/1.1'] });
    const both = await NodeClient.connect(rig.port, {
      ...trusting,
      ALPNProtocols: ['http/1.1', 'h2'],
    });
    assert.equal(both.socket.alpnProtocol, 'h2');
    await both.assertEchoes();
    assert.equal(rig.seen[0]!.connection.tls.alpn, 'h2');
    const none = await NodeClient.connect(rig.port, trusting);
    assert.equal(none.socket.alpnProtocol, false);
    await none.assertEchoes();
    assert.equal(rig.seen[1]!.connection.tls.alpn, undefined);
    const other = NodeClient.start(rig.port, { ...trusting, ALPNProtocols: ['spdy'] });
    await other.closed();
    assert.match(String(other.error?.message), /no.application.protocol/i);
    await awaitCondition(() => rig.handshakeErrors.length === 1, 'the error');
  });
});

describe('client certificates', () => {
  it('required: good ones are let in, others get an alert', async () => {
    const rig = await startTls(certificates, ECHO, { clientCertificate: 'require', ca: ca.cert });
    const good = await NodeClient.connect(rig.port, showing);
    await good.assertEchoes();
    const { tls } = rig.seen[0]!.connection;
    assert.equal(tls.isAuthorized, true);
    assert.equal(new X509Certificate(tls.peerCertificate!).subject, 'CN=client');
    for (const identity of [{}, { cert: stranger.cert, key: stranger.key }]) {
      const bad = NodeClient.start(rig.port, { ...trusting, ...identity });
      await bad.closed();
      assert.match(String(bad.error?.message), /alert/);
    }
    await awaitCondition(() => rig.handshakeErrors.length === 2, 'both errors');
    for (const error of rig.handshakeErrors) {
      assert.equal(error.code, 'ERR_TLS_CERTIFICATE');
    }
    assert.equal(rig.seen.length, 1);
  });

  it('requested: the handler is told whether it was good', async () => {
    const rig = await startTls(certificates, ECHO, { clientCertificate: 'request', ca: ca.cert });
    const bad = { cert: stranger.cert, key: stranger.key };
    for (const identity of [{ cert: client.cert, key: client.key }, {}, bad]) {
      const peer = await NodeClient.connect(rig.port, { ...trusting, ...identity });
      await peer.assertEchoes();
    }
    const infos = rig.seen.map(({ connection: { tls } }) => tls);
    assert.deepEqual(
      infos.map(({ isAuthorized }) => isAuthorized),
      [true, false, false],
    );
    assert.equal(infos[1]!.peerCertificate, undefined);
    assert.equal(infos[1]!.authorizationError, undefined);
    assert.match(infos[2]!.authorizationError!, /unable to|self.signed/);
    assert.notEqual(infos[2]!.peerCertificate, undefined);
  });

  it('are asked for again where a session comes from a name that asked for none', async () => {
    const strict = certificates.issue('strict', 'DNS:strict.test');
    const rig = await startTls(certificates, ECHO, {
      serverNames: { 'strict.test': { ...strict, clientCertificate: 'require', ca: ca.cert } },
    });
    const first = NodeClient.start(rig.port, { ...trusting, servername: 'localhost' });
    const [session] = (await once(first.socket, 'session')) as [Buffer];
    const second = await NodeClient.connect(rig.port, { ...trusting, session });
    await second.assertEchoes();
    assert.equal(rig.seen.at(-1)!.connection.tls.isSessionReused, true);
    const third = NodeClient.start(rig.port, { ca: ca.cert, servername: 'strict.test', session });
    await third.closed();
    assert.match(String(third.error?.message), /certificate required/i);
  });
});

describe('OCSP', () => {
  /** A response of the CA's for the server's certificate, by openssl's own responder. */
  function response(): Buffer {
    const serial = new X509Certificate(certificates.server.cert).serialNumber;
    const line = `V\t991231235959Z\t\t${serial}\tunknown\t/CN=server\n`;
    const index = certificates.write('index.txt', line);
    const path = join(certificates.folder, 'response.der');
    const { certFile, keyFile } = ca;
    execFileSync(
      'openssl',
      [
        ...['ocsp', '-index', index, '-CA', certFile, '-rsigner', certFile, '-rkey', keyFile],
        ...['-issuer', certFile, '-cert', certificates.server.certFile, '-respout', path],
        ...['-ndays', '7'],
      ],
      { stdio: 'pipe' },
    );
    return readFileSync(path);
  }

  it('the response goes to those who ask, and only to them', async () => {
    const ocspResponse = response();
    const rig = await startTls(certificates, ECHO, { ocspResponse });
    const args = (more: string[]) => [
      ...['s_client', '-connect', `127.0.0.1:${rig.port}`, '-CAfile', ca.certFile],
      ...['-servername', 'localhost', ...more],
    ];
    const asked = await run('openssl', args(['-status']), 'Q\n', /Verify return code/);
    assert.match(asked.output, /OCSP Response Status: successful/);
    assert.match(asked.output, /Cert Status: good/);
    const silent = await run('openssl', args([]), 'Q\n', /Verify return code/);
    assert.doesNotMatch(silent.output, /OCSP Response Status/);
    for (const version of ['-tls1_2', '-tls1_3']) {
      const each = await run('openssl', args(['-status', version]), 'Q\n', /Verify return code/);
      assert.match(each.output, /OCSP Response Status: successful/, version);
    }
  });
});

describe('the key log', () => {
  it('gets the secrets of each handshake, and its errors harm nobody', async () => {
    const lines: string[] = [];
    const rig = await startTls(certificates, ECHO, {
      keyLog(line) {
        lines.push(line);
        throw new Error('disk full');
      },
    });
    const theirs: string[] = [];
    const peer = NodeClient.start(rig.port, trusting);
    peer.socket.on('keylog', (line: Buffer) => theirs.push(line.toString().trim()));
    await once(peer.socket, 'secureConnect');
    await peer.assertEchoes();
    assert.ok(lines.length >= 4, String(lines.length));
    assert.deepEqual([...lines].sort(), [...theirs].sort());
  });
});
