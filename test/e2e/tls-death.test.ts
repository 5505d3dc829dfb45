/**
 * Reactors that die under fire of handshakes and compressed messages over TLS, again and again: what they had of
 * OpenSSL's and zlib's is freed by another thread, in whatever state it was, and nobody else notices. With ASan it is
 * also checked that nothing is freed twice, or used after.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';

import { type Connection, serve } from '../../src/index.js';
import { dialTls } from '../../src/tls/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { RawClient } from '../support/raw-client.js';
import { TestCertificates } from '../support/test-certificates.js';
import { masked, OP } from '../websocket/support/frames.js';
import { requestText } from '../websocket/support/raw-web-socket.js';

const REACTORS = 3;
const DEATHS = 6;
const VISITORS = 4;

const certificates = new TestCertificates();
const { certFile, keyFile } = certificates.server;
/** Long enough that it is inflated over several turns, and nothing that could be compressed. */
const noise = Buffer.alloc(200_000);
for (let i = 0, state = 1; i < noise.byteLength; i += 1) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  noise[i] = state >>> 24;
}
const packed = deflateRawSync(noise, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const request = requestText({ 'Sec-WebSocket-Extensions': 'permessage-deflate' });

/** Connects, has a long message echoed and goes, over and over; whoever it met may die meanwhile. */
async function visit(url: string, isOver: () => boolean): Promise<{ echoed: number; cut: number }> {
  const counts = { echoed: 0, cut: 0 };
  while (!isOver()) {
    let bytes = 0;
    let isClosed = false;
    const connected: Connection | undefined = await dialTls(url, {
      serverName: 'localhost',
      ca: certificates.ca.cert,
      handler: {
        onData(_connection, { byteLength }) {
          bytes += byteLength;
        },
        onClose() {
          isClosed = true;
        },
      },
    }).catch(() => undefined);
    if (connected !== undefined) {
      connected.write(request);
      connected.write(masked(OP.BINARY, packed, { rsv: 4 }));
      await awaitCondition(() => bytes > noise.byteLength / 2 || isClosed, 'an echo or the end');
      connected.abort();
    }
    counts[isClosed || connected === undefined ? 'cut' : 'echoed'] += 1;
  }
  return counts;
}

test('reactors with TLS and compression die under fire, and the server goes on', async (t) => {
  const warnings: (Error & { code?: string })[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: new URL('../support/engine-handlers/tls-mortal.js', import.meta.url),
    reactors: REACTORS,
    data: { certFile, keyFile },
    onWarning: (warning) => warnings.push(warning),
  });
  t.after(() => server.close({ deadlineMs: 0 }));
  const url = server.addresses[0]!;
  // In the midst of a handshake for ever.
  const silent = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(url)));
  t.after(() => {
    for (const client of silent) client.close();
  });
  let isOver = false;
  const visits = Array.from({ length: VISITORS }, () => visit(url, () => isOver));
  for (let death = 0; death < DEATHS; death += 1) {
    await awaitCondition(
      async () => (await server.executeAll('count').catch(() => [])).length === REACTORS,
      'all reactors',
    );
    const before = server.stats.totals.opened;
    await awaitCondition(() => server.stats.totals.opened >= before + 10, 'visitors');
    const task = death % 2 === 0 ? 'exit' : 'throwLater';
    await server.execute(death % REACTORS, task, 1).catch(() => {});
    await awaitCondition(() => warnings.length > death, 'the death');
  }
  isOver = true;
  const counts = await Promise.all(visits);
  assert.ok(counts.every(({ echoed }) => echoed > 0));
  assert.equal(warnings.length, DEATHS);
  assert.ok(warnings.every(({ code }) => code === 'ERR_REACTOR_DIED'));
  let visited = 0;
  const last = await visit(url, () => {
    visited += 1;
    return visited > 3;
  });
  assert.deepEqual(last, { echoed: 3, cut: 0 });
});
