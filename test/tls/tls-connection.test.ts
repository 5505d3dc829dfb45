/** The face of a connection over plaintext: the same promises as for a plain one. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Connection, Handler, ServeOptions, WriteResult } from '../../src/index.js';
import { dialTls, type TlsOptions } from '../../src/tls/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import {
  checkLeaks,
  ECHO,
  NodeClient,
  type Seen,
  startTls,
  type TlsRig,
} from '../support/tls-rig.js';

const certificates = new TestCertificates();
const trusting = { ca: certificates.ca.cert, servername: 'localhost' };
checkLeaks();

interface Pair {
  readonly rig: TlsRig;
  readonly peer: NodeClient;
  readonly entry: Seen;
  readonly connection: Seen['connection'];
}

async function pair(
  inner: Handler = {},
  options: Partial<ServeOptions> = {},
  tls: Partial<TlsOptions> = {},
): Promise<Pair> {
  const rig = await startTls(certificates, inner, tls, options);
  const peer = await NodeClient.connect(rig.port, trusting);
  await awaitCondition(() => rig.seen.length === 1, 'onOpen');
  const entry = rig.seen[0]!;
  return { rig, peer, entry, connection: entry.connection };
}

async function closed(entry: Seen): Promise<NonNullable<Seen['reason']>> {
  await awaitCondition(() => entry.reason !== undefined, 'onClose');
  return entry.reason!;
}

function numbered(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength);
  for (let i = 0; i < byteLength; i += 1) {
    bytes[i] = (i * 7 + (i >> 9)) & 0xff;
  }
  return bytes;
}

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
    const other = await NodeClient.connect(rig.port, trusting);
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

describe('reading', () => {
  it('pause() keeps what was received, resume() reports it, and the end after it', async () => {
    const { peer, entry, connection } = await pair({ onData() {} });
    connection.pause();
    assert.equal(connection.isPaused, true);
    peer.socket.end('to be continued');
    await rounds(50);
    assert.equal(entry.data.length, 0);
    assert.equal(entry.ends, 0);
    connection.resume();
    await closed(entry);
    assert.equal(entry.data.toString(), 'to be continued');
    assert.equal(entry.ends, 1);
  });

  it('pause() within onData, with more of the same batch to come', async () => {
    const chunks: number[] = [];
    const { peer, entry, connection } = await pair({
      onData(subject, bytes) {
        chunks.push(bytes.length);
        subject.pause();
        setImmediate(() => subject.resume());
      },
    });
    const bytes = numbered(3_000_000);
    peer.socket.write(bytes);
    await awaitCondition(() => entry.data.length === bytes.length, 'all of it');
    assert.ok(entry.data.equals(bytes));
    assert.ok(chunks.length > 1);
    assert.equal(connection.isPaused, true);
  });

  it('a pull handler reads by position, across records', async () => {
    const messages: string[] = [];
    const { peer, connection } = await pair({
      onReadable({ reader }) {
        const head = reader.peek(2);
        if (head !== undefined) {
          const length = head.readUInt16BE();
          if (reader.length >= 2 + length) {
            reader.skip(2);
            messages.push(reader.readString(length)!);
          }
        }
      },
    });
    const sent = ['a', 'bc', 'x'.repeat(20_000), ''];
    for (const text of sent) {
      const bytes = Buffer.concat([Buffer.alloc(2), Buffer.from(text)]);
      bytes.writeUInt16BE(text.length);
      for (let at = 0; at < bytes.length; at += 9_000) {
        peer.socket.write(bytes.subarray(at, at + 9_000));
        await rounds(2);
      }
    }
    await awaitCondition(() => messages.length === 4, 'all messages');
    assert.deepEqual(messages, sent);
    assert.equal(connection.reader.length, 0);
  });

  it('a pull handler that never reads what it must is aborted', async () => {
    const { peer, entry } = await pair({ onReadable() {} }, { readQueueMax: 10_000 });
    peer.socket.write(numbered(100_000));
    assert.equal((await closed(entry)).code, 'overflow');
    await peer.closed();
  });

  it('wake() calls back with no bytes, or onReadable', async () => {
    const sizes: number[] = [];
    const { connection } = await pair({ onData: (_, bytes) => void sizes.push(bytes.length) });
    connection.wake();
    connection.wake();
    await awaitCondition(() => sizes.length > 0, 'the wake');
    assert.deepEqual(sizes, [0]);
    let calls = 0;
    const pull = await pair({
      onReadable() {
        calls += 1;
      },
    });
    pull.connection.wake();
    await awaitCondition(() => calls === 1, 'the wake');
  });

  it('for await: chunks up to the end; a slow consumer slows the peer down', async () => {
    const { peer, connection } = await pair({}, { highWaterMark: 10_000, lowWaterMark: 1_000 });
    const bytes = numbered(2_000_000);
    peer.socket.end(bytes);
    const chunks: Buffer[] = [];
    for await (const chunk of connection) {
      chunks.push(chunk);
      await rounds(1);
    }
    assert.ok(Buffer.concat(chunks).equals(bytes));
  });

  it('for await throws when the peer resets or cuts off, and closes when left', async () => {
    const { rig } = await pair();
    const client = await dialTls(rig.url, { ca: certificates.ca.cert });
    await awaitCondition(() => rig.seen.length === 2, 'onOpen');
    const { connection } = rig.seen[1]!;
    const iterator = connection[Symbol.asyncIterator]();
    assert.throws(() => connection[Symbol.asyncIterator](), /twice/);
    const next = iterator.next();
    client.abort();
    await assert.rejects(next);
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
    const second = await pair();
    second.peer.socket.write('one');
    for await (const chunk of second.connection) {
      assert.equal(chunk.toString(), 'one');
      break;
    }
    await second.peer.closed();
    assert.equal(second.peer.hasEnded, true);
    assert.equal((await closed(second.entry)).code, 'closed');
  });
});

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
