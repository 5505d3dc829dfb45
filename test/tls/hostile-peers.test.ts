/** Peers that are slow, silent, cut off, mad or many: what each gets, and that nobody else pays for it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import tls from 'node:tls';

import fc from 'fast-check';

import { census } from '../../src/base/openssl.js';
import { readClientHello } from '../../src/tls/client-hello.js';
import type { TlsError } from '../../src/tls/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import {
  checkLeaks,
  cleanUp,
  ECHO,
  NodeClient,
  run,
  startTls,
  type TlsRig,
} from '../support/tls-rig.js';

const certificates = new TestCertificates();
const { ca } = certificates;
const trusting = { ca: ca.cert, servername: 'localhost' };
checkLeaks();

/** A bare socket to the server, and what came back. */
class Bare {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  isClosed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    this.socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    this.socket.on('error', () => {});
    this.socket.on('end', () => this.socket.end());
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    cleanUp(() => this.socket.destroy());
  }

  async closed(): Promise<void> {
    await awaitCondition(() => this.isClosed, 'the close');
  }
}

interface Relay {
  readonly port: number;
  /** Towards the server and towards the client, of the last connection. */
  up: Socket;
  down: Socket;
}

/** Stands between client and server. `pass` gets what goes up, or down, and the socket to pass it to. */
async function relay(
  target: number,
  pass: (bytes: Buffer, to: Socket, isUp: boolean) => void,
): Promise<Relay> {
  const listener = createServer({ noDelay: true }, (down) => {
    const up = connect({ port: target, host: '127.0.0.1', noDelay: true });
    Object.assign(between, { up, down });
    down.on('data', (bytes) => pass(bytes, up, true)).on('error', () => {});
    up.on('data', (bytes) => pass(bytes, down, false)).on('error', () => {});
    up.on('end', () => down.end());
    cleanUp(() => {
      up.destroy();
      down.destroy();
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  cleanUp(() => listener.close());
  const { port } = listener.address() as AddressInfo;
  const between = { port } as Relay;
  return between;
}

/** The first flight of a client, to be sent by anybody. */
async function captureHello(options: tls.ConnectionOptions = {}): Promise<Buffer> {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const client = tls.connect({ port, host: '127.0.0.1', ...options }).on('error', () => {});
  const [socket] = (await once(listener, 'connection')) as [Socket];
  let hello = Buffer.alloc(0);
  while (readClientHello(hello) === 'incomplete') {
    hello = Buffer.concat([hello, ((await once(socket, 'data')) as [Buffer])[0]]);
  }
  client.destroy();
  socket.destroy();
  listener.close();
  return hello;
}

const hello = await captureHello({ servername: 'localhost' });

async function failures(rig: TlsRig, count: number): Promise<TlsError[]> {
  await awaitCondition(() => rig.handshakeErrors.length >= count, `${count} failures`);
  return rig.handshakeErrors;
}

describe('slow and silent peers', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`${version} byte by byte works as ever`, async () => {
      const rig = await startTls(certificates);
      const { port } = await relay(rig.port, (bytes, to) => {
        for (let i = 0; i < bytes.length; i += 1) {
          to.write(bytes.subarray(i, i + 1));
        }
      });
      const peer = await NodeClient.connect(port, { ...trusting, maxVersion: version });
      await peer.assertEchoes('byte by byte');
      peer.socket.end();
      await peer.closed();
      await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
      assert.equal(rig.seen[0]!.reason!.code, 'ended');
    });
  }

  it('who connects and says nothing has nothing of OpenSSL’s, and is cut off by the deadline', async () => {
    const rig = await startTls(certificates, ECHO, { handshakeTimeoutMs: 1_500 });
    const peers = Array.from({ length: 50 }, () => new Bare(rig.port));
    await awaitCondition(() => rig.handler.tlsStats.connections === 50, 'all of them');
    assert.equal(census.ssl, 0);
    for (const peer of peers) {
      await peer.closed();
    }
    assert.equal(rig.handler.tlsStats.handshakesTimedOut, 50);
    assert.equal(rig.seen.length, 0);
  });

  it('half a ClientHello, or no answer to ours, ends at the deadline, however it trickles', async () => {
    const rig = await startTls(certificates, ECHO, { handshakeTimeoutMs: 1_000 });
    const half = new Bare(rig.port);
    half.socket.write(hello.subarray(0, 100));
    const mute = new Bare(rig.port);
    mute.socket.write(hello);
    const trickling = new Bare(rig.port);
    let at = 0;
    const timer = setInterval(() => {
      trickling.socket.write(hello.subarray(at, at + 1));
      at += 1;
    }, 5);
    cleanUp(() => clearInterval(timer));
    for (const peer of [half, mute, trickling]) {
      await peer.closed();
    }
    assert.ok(mute.received.length > 500, 'it was answered');
    for (const { code } of await failures(rig, 3)) {
      assert.equal(code, 'ERR_TLS_TIMEOUT');
    }
  });

  it('the deadline ends with the handshake', async () => {
    const rig = await startTls(certificates, ECHO, { handshakeTimeoutMs: 1_500 });
    const peer = await NodeClient.connect(rig.port, trusting);
    const silent = new Bare(rig.port);
    await silent.closed();
    await peer.assertEchoes();
  });
});

describe('peers that end without close_notify', () => {
  it('are told apart: truncated, not ended', async () => {
    const rig = await startTls(certificates);
    const between = await relay(rig.port, (bytes, to) => to.write(bytes));
    const peer = await NodeClient.connect(between.port, trusting);
    await peer.assertEchoes('before');
    between.up.end();
    await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
    const { reason, ends } = rig.seen[0]!;
    assert.equal(reason!.code, 'error');
    assert.equal((reason!.error as TlsError).code, 'ERR_TLS_TRUNCATED');
    assert.equal(ends, 0, 'onEnd is for the real end');
    assert.equal(rig.handler.tlsStats.truncated, 1);
    // Our own end is a proper one.
    await awaitCondition(() => peer.isClosed, 'the close');
  });

  it('also in the midst of a record, and to an iterator', async () => {
    const rig = await startTls(certificates, {});
    let cut = false;
    const between = await relay(rig.port, (bytes, to, isUp) => {
      to.write(isUp && cut ? bytes.subarray(0, 20) : bytes);
    });
    const peer = await NodeClient.connect(between.port, trusting);
    await awaitCondition(() => rig.seen.length === 1, 'onOpen');
    const next = rig.seen[0]!.connection[Symbol.asyncIterator]().next();
    const outcome = assert.rejects(next, /without close_notify/);
    cut = true;
    peer.socket.write('x'.repeat(1_000));
    await rounds(5);
    between.up.end();
    await settled(outcome, 'the error');
  });

  it('during the handshake it fails', async () => {
    const rig = await startTls(certificates);
    for (const bytes of [Buffer.alloc(0), hello.subarray(0, 50), hello]) {
      const bare = new Bare(rig.port);
      bare.socket.end(bytes);
      await bare.closed();
    }
    for (const error of await failures(rig, 3)) {
      assert.match(error.message, /handshake failed: the peer ended the connection/);
    }
  });
});

describe('garbage', () => {
  it('instead of a ClientHello gets an alert, or an end, at once', async () => {
    const rig = await startTls(certificates);
    const samples = [
      Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      Buffer.alloc(300, 0xff),
      Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 0]),
      Buffer.from([21, 3, 1, 0, 2, 2, 40]),
      Buffer.from([23, 3, 3, 0, 5, 1, 2, 3, 4, 5]),
      Buffer.concat([hello, Buffer.alloc(100, 0xee)]),
      Buffer.concat([hello.subarray(0, 5), Buffer.from([2]), hello.subarray(6)]),
    ];
    for (const [i, sample] of samples.entries()) {
      const bare = new Bare(rig.port);
      bare.socket.write(sample);
      await bare.closed();
      assert.equal((await failures(rig, i + 1)).length, i + 1);
    }
    for (const { code } of rig.handshakeErrors) {
      assert.equal(code, 'ERR_TLS_HANDSHAKE');
    }
    assert.equal(rig.handler.tlsStats.handshakesTimedOut, 0);
  });

  it('a ClientHello that never ends is given up when it is too long', async () => {
    const rig = await startTls(certificates);
    const bare = new Bare(rig.port);
    bare.socket.write(Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x3f, 0xf0]));
    // Empty of meaning, one byte to a record.
    bare.socket.write(Buffer.concat(Array(20_000).fill(Buffer.from([22, 3, 1, 0, 1, 0]))));
    await bare.closed();
    await failures(rig, 1);
  });

  it('whatever is changed in a ClientHello, the server answers the next client', async () => {
    const rig = await startTls(certificates);
    const change = fc.record({ at: fc.nat(hello.length - 1), to: fc.nat(255) });
    const changes = fc.sample(fc.array(change, { minLength: 1, maxLength: 5 }), 150);
    const peers = changes.map((list) => {
      const bytes = Buffer.from(hello);
      for (const { at, to } of list) {
        bytes[at] = to;
      }
      const bare = new Bare(rig.port);
      // The end, so that what looks incomplete is not waited for.
      bare.socket.end(bytes);
      return bare;
    });
    const honest = await NodeClient.connect(rig.port, trusting);
    await honest.assertEchoes();
    for (const peer of peers) {
      await peer.closed();
    }
    await honest.assertEchoes();
  });

  it('after the handshake ends that connection with its error, and no other', async () => {
    const rig = await startTls(certificates);
    let flip = false;
    const between = await relay(rig.port, (bytes, to, isUp) => {
      const copy = Buffer.from(bytes);
      if (isUp && flip) {
        copy[copy.length - 1]! ^= 1;
      }
      to.write(copy);
    });
    const bad = await NodeClient.connect(between.port, trusting);
    const good = await NodeClient.connect(rig.port, trusting);
    await bad.assertEchoes();
    flip = true;
    bad.socket.write('changed on the way');
    await bad.closed();
    assert.match(String(bad.error?.message), /bad record mac/i);
    await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
    const { reason, data } = rig.seen[0]!;
    assert.equal(data.toString(), 'ping');
    assert.equal((reason!.error as TlsError).code, 'ERR_TLS_PROTOCOL');
    assert.match(reason!.error!.message, /bad record mac|decryption failed/);
    assert.equal(rig.handler.tlsStats.protocolErrors, 1);
    await good.assertEchoes();
  });

  it('what came whole before the garbage is reported', async () => {
    const rig = await startTls(certificates);
    const pieces: Buffer[] = [];
    let collect = false;
    const between = await relay(rig.port, (bytes, to, isUp) => {
      if (isUp && collect) {
        pieces.push(bytes);
      } else {
        to.write(bytes);
      }
    });
    const peer = await NodeClient.connect(between.port, trusting);
    await peer.assertEchoes();
    collect = true;
    peer.socket.write('good');
    await awaitCondition(() => pieces.length > 0, 'the record');
    between.up.write(Buffer.concat([...pieces, Buffer.from('garbage garbage garbage')]));
    await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
    assert.equal(rig.seen[0]!.data.toString(), 'pinggood');
    assert.equal((rig.seen[0]!.reason!.error as TlsError).code, 'ERR_TLS_PROTOCOL');
  });
});

describe('messages after the handshake', () => {
  const options = (port: number, ...more: string[]) => [
    ...['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca.certFile],
    ...['-servername', 'localhost', ...more],
  ];

  it('a renegotiation is refused', async () => {
    const rig = await startTls(certificates);
    const { output } = await run(
      'openssl',
      options(rig.port, '-tls1_2'),
      'R\n',
      /no renegotiation/,
    );
    assert.match(output, /RENEGOTIATING/);
    assert.match(output, /no renegotiation/);
    await awaitCondition(() => rig.handler.tlsStats.connections === 0, 'the close');
    assert.equal(rig.handler.tlsStats.handshakesStarted, 1);
  });

  it('key updates are followed', async () => {
    const rig = await startTls(certificates);
    // s_client takes one command from what it reads at a time.
    const { output } = await run('openssl', options(rig.port, '-tls1_3'), [
      [/verify return:1/, 'K\n'],
      [/KEYUPDATE/, 'k\n'],
      [/KEYUPDATE/, 'K\n'],
      [/KEYUPDATE/, 'hello after key updates\n'],
      [/hello after key updates/, 'Q\n'],
    ]);
    assert.match(output, /KEYUPDATE/);
    await awaitCondition(() => rig.seen[0]!.reason !== undefined, 'the close');
    assert.equal(rig.seen[0]!.data.toString(), 'hello after key updates\n');
  });
});

describe('a flood of handshakes', () => {
  it('is worked off some at a time, while connections go on', async () => {
    const rig = await startTls(certificates, ECHO, { handshakesPerTurn: 2 });
    const peer = await NodeClient.connect(rig.port, trusting);
    const flood = Array.from({ length: 200 }, () => new Bare(rig.port));
    await awaitCondition(() => rig.handler.tlsStats.connections === 201, 'all of them');
    for (const bare of flood) {
      bare.socket.write(hello);
    }
    let echoes = 0;
    const { tlsStats } = rig.handler;
    while (flood.some(({ received }) => received.length === 0)) {
      await peer.assertEchoes();
      echoes += 1;
    }
    assert.ok(tlsStats.handshakesDeferred > 50, `${tlsStats.handshakesDeferred} deferred`);
    assert.ok(echoes > 5, `${echoes} echoes meanwhile`);
    assert.equal(tlsStats.handshakesFailed, 0);
    for (const bare of flood) {
      bare.socket.destroy();
    }
    await awaitCondition(() => tlsStats.connections === 1, 'the others to be gone');
    await peer.assertEchoes();
  });
});
