/** Writing to a TLS connection: the same promises as for a plain one. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Handler, WriteResult } from '../../src/index.js';

import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { certificates, closed, numbered, pair } from '../support/tls-pair.js';
import { checkLeaks, NodeClient } from '../support/tls-rig.js';

checkLeaks();

describe('writing', () => {
  it('everything arrives in order, whichever way it is written', async () => {
    const { peer, connection } = await pair();
    let freed = 0;
    connection.write('text ä ');
    connection.write(Buffer.from('bytes '));
    connection.writev([Buffer.from('pieces '), Buffer.alloc(0), Buffer.from('of it ')]);
    connection.writeOwned(Buffer.from('owned '), () => {
      freed += 1;
    });
    connection.writer.writeString('writer ');
    connection.writer.reserve(4).write('room');
    connection.writer.commit(4);
    connection.writer.flush();
    connection.cork();
    connection.cork();
    connection.write(' corked');
    connection.uncork();
    connection.write(' together');
    connection.uncork();
    const all = 'text ä bytes pieces of it owned writer room corked together';
    assert.equal((await peer.read(Buffer.byteLength(all))).toString(), all);
    await awaitCondition(() => freed === 1, 'onFree');
    assert.equal(connection.bytesSent, Buffer.byteLength(all));
  });

  it('what a hook writes goes out as one record', async () => {
    const { rig, peer } = await pair({
      onData(connection) {
        for (let i = 0; i < 10; i += 1) {
          assert.equal(connection.write(`${i}`), 'queued');
        }
        assert.ok(connection.queuedBytes >= 10);
      },
    });
    // A record costs 22 bytes and more: ten of them would be seen in the transport's count.
    const before = rig.server.stats.totals.bytesSent;
    peer.socket.write('go');
    assert.equal((await peer.read(10)).toString(), '0123456789');
    assert.equal(rig.server.stats.totals.bytesSent - before, 10 + 22);
  });

  it('writes of any size, also between those of another connection', async () => {
    const { rig, peer, connection } = await pair();
    const other = await NodeClient.connect(rig.port, {
      ca: certificates.ca.cert,
      servername: 'localhost',
    });
    await awaitCondition(() => rig.seen.length === 2, 'both');
    const second = rig.seen[1]!.connection;
    const bytes = numbered(1_000_000);
    connection.cork();
    let at = 0;
    for (const size of [1, 16_384, 65_535, 65_536, 65_537, 300_000]) {
      connection.write(bytes.subarray(at, at + size));
      second.write(bytes.subarray(at, at + size));
      at += size;
    }
    connection.uncork();
    assert.ok((await peer.read(at)).equals(bytes.subarray(0, at)));
    assert.ok((await other.read(at)).equals(bytes.subarray(0, at)));
  });

  it('a peer that does not read: full, nothing lost, onDrain', async () => {
    const { peer, entry, connection, rig } = await pair({}, { writeQueueMax: 200_000 });
    peer.socket.pause();
    const bytes = numbered(50_000);
    let taken = 0;
    let result: WriteResult = 'sent';
    while (result !== 'full') {
      result = connection.write(bytes);
      taken += result === 'full' ? 0 : 1;
      assert.ok(taken < 10_000);
      await rounds(1);
    }
    assert.ok(connection.queuedBytes <= 200_000, String(connection.queuedBytes));
    const drained = connection.drained();
    const handed = new Promise((resolve) => connection.receipt(resolve));
    peer.socket.resume();
    const received = await peer.read(taken * bytes.length);
    for (let i = 0; i < taken; i += 1) {
      assert.ok(received.subarray(i * bytes.length, (i + 1) * bytes.length).equals(bytes));
    }
    assert.equal(await settled(drained, 'drained()'), true);
    assert.equal(await settled(handed, 'the receipt'), true);
    await awaitCondition(() => entry.drains > 0, 'onDrain');
    assert.equal(connection.write('more'), rig.server.driver === 'uring' ? 'queued' : 'sent');
    assert.equal((await peer.read(4)).toString(), 'more');
  });

  it('one write above the cap is taken as a whole, and held where the transport refuses', async () => {
    const { peer, entry, connection } = await pair({}, { writeQueueMax: 100_000 });
    peer.socket.pause();
    const bytes = numbered(20_000_000);
    assert.equal(connection.write(bytes), 'queued');
    assert.equal(connection.write('x'), 'full');
    let told: boolean | undefined;
    connection.receipt((handedOver) => {
      told = handedOver;
    });
    const drained = connection.drained();
    peer.socket.resume();
    const received = await peer.read(bytes.length);
    assert.ok(received.equals(bytes));
    assert.equal(await settled(drained, 'drained()'), true);
    await awaitCondition(() => entry.drains > 0 && told !== undefined, 'onDrain and the receipt');
    assert.equal(told, true);
    peer.socket.write('still here');
    await awaitCondition(() => connection.bytesReceived === 10, 'reading goes on');
  });

  it('a write that is too large beside a little that is queued waits for the queue to be empty', async () => {
    let drains = 0;
    const big = numbered(300_000);
    const taken: WriteResult[] = [];
    const { peer, connection } = await pair(
      {
        onDrain(subject) {
          drains += 1;
          taken.push(subject.write(big));
        },
      },
      { writeQueueMax: 200_000, sendBufferBytes: 4_096 },
    );
    peer.socket.pause();
    // Until the kernel takes no more, and then a little.
    let sent = 0;
    while (connection.queuedBytes < 1_000) {
      connection.write(numbered(500));
      sent += 500;
      await rounds(1);
    }
    assert.equal(connection.write(big), 'full');
    await rounds(200);
    assert.ok(drains <= 1, `${drains} calls although nothing drained`);
    peer.socket.resume();
    await awaitCondition(() => taken.some((result) => result !== 'full'), 'room');
    assert.ok((await peer.read(sent + big.length)).subarray(sent).equals(big));
  });

  it('with the policy close, a peer that does not read is cut off', async () => {
    const { peer, entry, connection } = await pair(
      {},
      { writeQueueMax: 100_000, whenFull: 'close' },
    );
    peer.socket.pause();
    let result: WriteResult = 'sent';
    for (let i = 0; i < 10_000 && result !== 'closed'; i += 1) {
      result = connection.write(numbered(50_000));
      await rounds(1);
    }
    assert.equal(result, 'closed');
    assert.equal((await closed(entry)).code, 'overflow');
  });

  it('receipts and promises of a connection that breaks say so', async () => {
    const { peer, entry, connection } = await pair({}, { writeQueueMax: 100_000 });
    peer.socket.pause();
    connection.write(numbered(20_000_000));
    const outcomes: boolean[] = [];
    connection.receipt((handedOver) => outcomes.push(handedOver));
    void connection.drained().then((isOpen) => outcomes.push(isOpen));
    connection.abort();
    const { code, unsentBytes } = await closed(entry);
    assert.equal(code, 'aborted');
    assert.ok(unsentBytes > 1_000_000, String(unsentBytes));
    await awaitCondition(() => outcomes.length === 2, 'both');
    assert.deepEqual(outcomes, [false, false]);
    assert.equal(await connection.drained(), false);
    assert.equal(connection.queuedBytes, 0);
  });

  it('onBeforeWrite is called once a turn, and may write', async () => {
    let calls = 0;
    const handler: Handler = {
      onData(connection) {
        connection.write('a');
        connection.write('b');
      },
      onBeforeWrite(connection) {
        calls += 1;
        connection.write('!');
      },
    };
    // Tickets would be bytes of their own to send.
    const { peer } = await pair(handler, {}, { tickets: false });
    const before = calls;
    peer.socket.write('go');
    assert.equal((await peer.read(3)).toString(), 'ab!');
    assert.equal(calls, before + 1);
  });
});
