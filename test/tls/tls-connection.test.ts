/** How TLS connections end, their deadlines, and every call after the end. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Connection } from '../../src/index.js';
import { dialTls } from '../../src/tls/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { certificates, closed, numbered, pair } from '../support/tls-pair.js';
import { checkLeaks, ECHO } from '../support/tls-rig.js';

checkLeaks();

describe('ends', () => {
  it('end() sends close_notify and goes on reading, with allowHalfOpen on both sides', async () => {
    const { peer, entry, connection } = await pair({ onData() {} }, { allowHalfOpen: true });
    peer.socket.allowHalfOpen = true;
    connection.write('last');
    connection.end();
    assert.equal(connection.state, 'half-closed-local');
    assert.equal(connection.write('x'), 'closed');
    await awaitCondition(() => peer.hasEnded, 'the end');
    assert.equal((await peer.read(4)).toString(), 'last');
    peer.socket.end('and an answer');
    assert.equal((await closed(entry)).code, 'ended');
    assert.equal(entry.data.toString(), 'and an answer');
    assert.equal(entry.ends, 1);
  });

  it('the peer’s end, and what we write after it', async () => {
    const { peer, entry, connection } = await pair(
      {
        onData() {},
        onEnd(subject) {
          assert.equal(subject.state, 'half-closed-remote');
          subject.write('after ');
          setImmediate(() => {
            subject.write('the end');
            subject.end();
          });
        },
      },
      { allowHalfOpen: true },
    );
    peer.socket.allowHalfOpen = true;
    peer.socket.end();
    assert.equal((await peer.read(13)).toString(), 'after the end');
    assert.equal((await closed(entry)).code, 'ended');
    assert.equal(connection.state, 'closed');
  });

  it('close() sends what is queued, close_notify, and reports nothing more', async () => {
    const { peer, entry, connection } = await pair(ECHO);
    const bytes = numbered(5_000_000);
    connection.write(bytes);
    connection.close();
    assert.equal(connection.state, 'closing');
    assert.equal(connection.write('x'), 'closed');
    peer.socket.write('not to be heard');
    assert.ok((await peer.read(bytes.length)).equals(bytes));
    await peer.closed();
    assert.equal(peer.hasEnded, true);
    assert.deepEqual(await closed(entry), { code: 'closed', unsentBytes: 0 });
    assert.equal(entry.data.length, 0);
  });

  it('close() of what the transport refused sends that first', async () => {
    const { peer, entry, connection } = await pair({}, { writeQueueMax: 100_000 });
    peer.socket.pause();
    const bytes = numbered(10_000_000);
    connection.write(bytes);
    connection.close();
    peer.socket.resume();
    assert.ok((await peer.read(bytes.length)).equals(bytes));
    await peer.closed();
    assert.equal(peer.hasEnded, true);
    assert.equal((await closed(entry)).code, 'closed');
  });

  it('abort() resets', async () => {
    const { peer, entry, connection } = await pair(ECHO);
    await peer.assertEchoes();
    connection.abort();
    connection.abort();
    assert.equal(connection.write('x'), 'closed');
    await peer.closed();
    assert.equal(peer.error?.code, 'ECONNRESET');
    assert.equal((await closed(entry)).code, 'aborted');
  });

  it('a reset by the peer is told as one', async () => {
    const { rig } = await pair();
    const client = await dialTls(rig.url, { ca: certificates.ca.cert });
    await awaitCondition(() => rig.seen.length === 2, 'onOpen');
    client.abort();
    assert.equal((await closed(rig.seen[1]!)).code, 'reset');
  });

  it('deadlines and timers are the transport’s', async () => {
    const { entry, connection } = await pair();
    let subject: Connection | undefined;
    connection.setTimer(1, (same) => {
      subject = same;
    });
    const never = connection.setTimer(1, () => assert.fail('it was cleared'));
    connection.clearTimer(never);
    await awaitCondition(() => subject !== undefined, 'the timer');
    assert.equal(subject, connection);
    connection.setIdleTimeout(0);
    connection.setWriteTimeout(60_000);
    connection.setReadTimeout(1);
    const { code, timeout } = await closed(entry);
    assert.deepEqual([code, timeout], ['timeout', 'read']);
  });

  it('every call after the close has its result', async () => {
    const { entry, connection, rig } = await pair();
    const { id, remoteAddress } = connection;
    connection.context = 'mine';
    connection.close();
    await closed(entry);
    assert.equal(connection.id, id);
    assert.equal(connection.context, 'mine');
    assert.equal(connection.state, 'closed');
    assert.ok(remoteAddress.startsWith('tcp://127.0.0.1:'));
    assert.equal(connection.write('x'), 'closed');
    assert.equal(connection.writev([Buffer.from('x')]), 'closed');
    assert.equal(
      connection.writeOwned(Buffer.from('x'), () => assert.fail()),
      'closed',
    );
    assert.equal(connection.writer.flush(), 'closed');
    connection.writer.writeString('x');
    assert.equal(connection.writer.flush(), 'closed');
    assert.equal(connection.reader.length, 0);
    assert.equal(connection.reader.next(1), undefined);
    assert.equal(await connection.drained(), false);
    assert.equal(await new Promise<boolean>((resolve) => connection.receipt(resolve)), false);
    for (const call of [
      'cork',
      'uncork',
      'pause',
      'resume',
      'wake',
      'end',
      'close',
      'abort',
    ] as const) {
      connection[call]();
    }
    for await (const _ of connection) {
      assert.fail();
    }
    assert.equal(connection.tls.exportSession(), undefined);
    assert.equal(connection.tls.protocol, undefined);
    assert.equal(connection.queuedBytes, 0);
    assert.equal(rig.handler.tlsStats.connections, 0);
    assert.throws(
      () => connection.write(5 as never),
      /expected a Uint8Array or a string, got number/,
    );
    assert.throws(() => connection.setTimer(1, 'x' as never), /function to call back/);
  });
});
