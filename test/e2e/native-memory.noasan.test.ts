/**
 * A reactor that dies leaves nothing of OpenSSL's and zlib's behind: what malloc says is in use goes back to what it
 * was. (Not with ASan, which has a malloc of its own. There a double free would be found by tls-death.test.ts.)
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { declareFunctions, loadLibc, viewMemory } from '../../src/base/ffi.js';
import { type Connection, type Server, serve } from '../../src/index.js';
import { dialTls } from '../../src/tls/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { requestText } from '../websocket/support/raw-web-socket.js';
import { masked, OP } from '../websocket/support/frames.js';

/** Where the caller wants the structure that mallinfo2(3) returns: a hidden first argument, in the ABI of x86-64. */
const INFO_WORDS = 10;
const HBLKHD = 4;
const UORDBLKS = 7;
const calls = declareFunctions(null, { mallinfo2: 'uintptr_t mallinfo2(uintptr_t)' });
const info = loadLibc().calloc(INFO_WORDS, 8);

/** Bytes of malloc's that are in use, in all threads. */
function inUse(): number {
  calls.mallinfo2(info);
  const words = new BigUint64Array(viewMemory(info, INFO_WORDS * 8));
  return Number(words[UORDBLKS]! + words[HBLKHD]!);
}

const certificates = new TestCertificates();
const PEERS = 40;
const REACTORS = 2;
const ROUNDS = 3;

class Peer {
  received = '';
  isClosed = false;
  connection!: Connection;

  /** With the opening handshake done, and a message echoed. */
  static async open(url: string): Promise<Peer> {
    const peer = new Peer();
    peer.connection = await dialTls(url, {
      serverName: 'localhost',
      ca: certificates.ca.cert,
      handler: {
        onData(_connection, bytes) {
          peer.received += bytes.toString('latin1');
        },
        onClose() {
          peer.isClosed = true;
        },
      },
    });
    const request = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
    peer.connection.write(requestText(request));
    await peer.assertEchoes('first');
    assert.match(peer.received, /^HTTP\/1\.1 101 /);
    assert.match(peer.received, /permessage-deflate/);
    return peer;
  }

  async assertEchoes(text: string): Promise<void> {
    this.connection.write(masked(OP.TEXT, text));
    await awaitCondition(() => this.received.endsWith(text) || this.isClosed, 'the echo');
    assert.ok(!this.isClosed);
  }
}

async function openAll(url: string): Promise<Peer[]> {
  const peers: Peer[] = [];
  while (peers.length < PEERS) {
    peers.push(...(await Promise.all(Array.from({ length: 20 }, () => Peer.open(url)))));
  }
  return peers;
}

async function closeAll(server: Server, peers: readonly Peer[]): Promise<void> {
  for (const { connection } of peers) connection.abort();
  await awaitCondition(() => peers.every(({ isClosed }) => isClosed), 'the closes of the peers');
  await awaitCondition(() => server.stats.totals.connections === 0, 'the closes of the server');
}

async function allRun(server: Server): Promise<void> {
  await awaitCondition(async () => {
    const counts = await server.executeAll('count').catch(() => []);
    return counts.length === REACTORS;
  }, 'all reactors');
}

for (const death of ['exit', 'throwLater'] as const) {
  const skip = process.arch === 'x64' ? false : 'it asks malloc in the way of x86-64';
  const name = `connections of TLS with compression, of a reactor that dies by ${death}`;
  test(name, { skip }, async (t) => {
    const { certFile, keyFile } = certificates.server;
    const warnings: Error[] = [];
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: new URL('../support/engine-handlers/tls-mortal.js', import.meta.url),
      reactors: REACTORS,
      balance: 'round-robin',
      data: { certFile, keyFile },
      onWarning: (warning) => warnings.push(warning),
    });
    t.after(() => server.close({ deadlineMs: 0 }));
    const url = server.addresses[0]!;
    let rest = 0;
    let held = 0;
    for (let round = 0; round <= ROUNDS; round += 1) {
      const peers = await openAll(url);
      await server.execute(1, 'dialNobody', url);
      const [zero, one] = (await server.executeAll('natives')) as Record<string, number>[];
      assert.deepEqual(zero, { ssl: PEERS / 2, streams: PEERS });
      assert.deepEqual(one, { ssl: PEERS / 2, streams: PEERS });
      const before = inUse();
      await server.execute(1, death, 1).catch(() => {});
      await awaitCondition(
        () => peers.filter(({ isClosed }) => isClosed).length >= PEERS / 2,
        'ends',
      );
      // The others notice nothing.
      const others = peers.filter(({ isClosed }) => !isClosed);
      assert.equal(others.length, PEERS / 2);
      await Promise.all(others.map((peer) => peer.assertEchoes('second')));
      await allRun(server);
      await closeAll(server, peers);
      if (round === 0) {
        // What threads take for the first time, and never give back.
        rest = inUse();
        held = before - rest;
        assert.ok(held > PEERS * 100_000, `${held} bytes for contexts that are known to take more`);
      }
    }
    assert.equal(warnings.length, ROUNDS + 1);
    // Half of what all hold was the dead one's, in each round.
    const leak = held / 2;
    let last = 0;
    await awaitCondition(
      () => {
        last = inUse();
        return last - rest < leak / 2;
      },
      'the memory of before',
      20_000,
    ).catch(() => {});
    t.diagnostic(`${last - rest} bytes more, held ${held}`);
    assert.ok(last - rest < leak / 2, `${last - rest} bytes more after ${ROUNDS} deaths`);
  });
}
