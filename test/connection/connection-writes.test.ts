/** What a connection's writes do and answer, on the real kernel and from outside. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection, Handler } from '../../src/api.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { LinuxRig, type RigOptions } from '../support/reactor-rig.js';

/** Buffers so small that a few kilobytes block. */
const NARROW = { sendBufferBytes: 4_096 };
const NARROW_PEER = { receiveBufferBytes: 4_096 };
const MEGABYTE = 1_048_576;

let rig: LinuxRig;

afterEach(async () => {
  assert.equal(await rig.close(), 0, 'blocks were kept');
});

/** A connection whose handler does nothing but what is given. */
async function open(handler: Handler = {}, options: RigOptions = {}) {
  rig = LinuxRig.open(handler, options);
  return rig.connect();
}

/** A connection with a megabyte queued that its peer does not read. */
async function openBlocked(handler: Handler = {}, options: RigOptions = {}) {
  rig = LinuxRig.open(handler, { ...NARROW, writeQueueMax: 4 * MEGABYTE, ...options });
  const { peer, connection } = await rig.connect(NARROW_PEER);
  assert.equal(connection.write(Buffer.alloc(MEGABYTE, 'x')), 'queued');
  await rounds(20);
  return { peer, connection };
}

const sends = () => rig.stats.snapshot(0).sends;

describe('write', () => {
  it('sends strings as UTF-8, and any Uint8Array as it is', async () => {
    const { peer, connection } = await open();
    assert.equal(connection.write('grüß'), 'sent');
    assert.equal(connection.write(new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 4)), 'sent');
    assert.equal(connection.write(Buffer.from('!')), 'sent');
    assert.deepEqual(await peer.read(10), Buffer.from('grüß\x02\x03\x04!'));
    assert.equal(connection.bytesSent, 10);
  });

  it('of nothing is sent, or queued behind what is queued, and costs no call', async () => {
    const { connection } = await open();
    assert.deepEqual([connection.write(''), connection.write(Buffer.alloc(0))], ['sent', 'sent']);
    assert.equal(sends(), 0);
    await rig.close();
    const blocked = await openBlocked();
    assert.equal(blocked.connection.write(''), 'queued');
  });

  it('refuses what is neither bytes nor text, and sends nothing of it', async () => {
    const { peer, connection } = await open();
    const wrong: unknown[] = [5, null, undefined, {}, [1], new ArrayBuffer(2)];
    for (const value of [...wrong, new DataView(new ArrayBuffer(2)), new Uint16Array(2)]) {
      assert.throws(() => connection.write(value as string), TypeError, String(value));
      assert.throws(() => connection.writeOwned(value as Uint8Array), TypeError, String(value));
      const pieces = [Buffer.from('a'), value as Uint8Array];
      assert.throws(() => connection.writev(pieces), TypeError, String(value));
    }
    assert.throws(() => connection.writev('ab' as unknown as Uint8Array[]), TypeError);
    assert.throws(() => connection.writev(undefined as unknown as Uint8Array[]), TypeError);
    assert.throws(() => connection.writeOwned('ab' as unknown as Uint8Array), TypeError);
    assert.throws(
      () => connection.writeOwned(Buffer.alloc(1), 5 as unknown as () => void),
      TypeError,
    );
    assert.throws(() => connection.receipt(undefined as unknown as () => void), TypeError);
    assert.equal(connection.write('.'), 'sent');
    assert.deepEqual(await peer.read(1), Buffer.from('.'));
    assert.equal(connection.bytesSent, 1);
  });

  it('copies: the caller may change its array at once', async () => {
    const { peer, connection } = await openBlocked();
    const bytes = Buffer.from('before');
    assert.equal(connection.write(bytes), 'queued');
    bytes.fill('-');
    assert.equal((await peer.read(MEGABYTE + 6)).toString('latin1', MEGABYTE), 'before');
  });

  it('is full above the cap, taking nothing, but for the first write of all', async () => {
    const { peer, connection } = await openBlocked({}, { writeQueueMax: 10_000 });
    const { queuedBytes } = connection;
    assert.ok(queuedBytes > 10_000);
    assert.equal(connection.write('x'), 'full');
    assert.equal(connection.queuedBytes, queuedBytes);
    assert.equal(rig.stats.snapshot(0).refusedWriteFull, 1);
    await peer.read(MEGABYTE);
    await awaitCondition(() => connection.queuedBytes === 0, 'an empty queue');
    assert.equal(connection.write('y'), 'sent');
  });

  it('that is full is followed by onDrain, also when the queue was never above the high-water mark', async () => {
    let drains = 0;
    const onDrain = () => {
      drains += 1;
    };
    const marks = { highWaterMark: 4 * MEGABYTE, lowWaterMark: MEGABYTE, writeQueueMax: MEGABYTE };
    const { peer, connection } = await openBlocked({ onDrain }, marks);
    assert.equal(connection.write(Buffer.alloc(MEGABYTE)), 'full');
    assert.equal(drains, 0);
    await peer.read(MEGABYTE);
    await awaitCondition(() => drains > 0, 'onDrain');
    await awaitCondition(() => connection.queuedBytes === 0, 'an empty queue');
    assert.equal(drains, 1);
  });
});

describe('writev', () => {
  it('sends all pieces in one call', async () => {
    const { peer, connection } = await open();
    assert.equal(connection.writev(['a', '', 'bc'].map((text) => Buffer.from(text))), 'sent');
    assert.equal(sends(), 1);
    assert.deepEqual(await peer.read(3), Buffer.from('abc'));
  });

  it('takes all pieces or none', async () => {
    const { peer, connection } = await openBlocked({}, { writeQueueMax: MEGABYTE });
    const { queuedBytes } = connection;
    const room = MEGABYTE - queuedBytes;
    assert.equal(connection.writev([Buffer.alloc(room), Buffer.alloc(1)]), 'full');
    assert.equal(connection.queuedBytes, queuedBytes);
    assert.equal(connection.writev([Buffer.alloc(room - 2, 'y'), Buffer.from('zz')]), 'queued');
    assert.equal(connection.queuedBytes, MEGABYTE);
    const bytes = await peer.read(MEGABYTE + room);
    assert.equal(bytes.indexOf('y'), MEGABYTE);
    assert.equal(bytes.toString('latin1', MEGABYTE + room - 3), 'yzz');
  });

  it('of nothing leaves nothing behind: the FIN goes out', async () => {
    for (const pieces of [[], [Buffer.alloc(0)], [Buffer.alloc(0), Buffer.alloc(0)]]) {
      const { peer, connection } = await open();
      assert.equal(connection.writev(pieces), 'sent');
      connection.end();
      assert.equal(connection.queuedBytes, 0);
      assert.equal((await settled(peer.readToEnd(), 'the FIN', 2_000)).end, 'end');
      await rig.close();
    }
    await open();
  });
});

describe('writeOwned', () => {
  for (const byteLength of [0, 10, 100_000]) {
    it(`calls onFree once for ${byteLength} bytes that are sent at once`, async () => {
      const { peer, connection } = await open({}, { sendBufferBytes: 400_000 });
      let calls = 0;
      const free = () => {
        calls += 1;
      };
      assert.equal(connection.writeOwned(Buffer.alloc(byteLength, 'o'), free), 'sent');
      assert.equal(calls, 1);
      connection.end();
      const { bytes, end } = await settled(peer.readToEnd(), 'the FIN', 2_000);
      assert.deepEqual([bytes.byteLength, end, calls], [byteLength, 'end', 1]);
    });
  }

  it('calls onFree once when bytes that were queued are sent, and not before', async () => {
    const { peer, connection } = await openBlocked();
    const owned = Buffer.alloc(50_000, 'o');
    let calls = 0;
    const free = () => {
      calls += 1;
    };
    assert.equal(connection.writeOwned(owned, free), 'queued');
    await rounds(10);
    assert.equal(calls, 0);
    assert.ok((await peer.read(MEGABYTE + 50_000)).subarray(MEGABYTE).equals(owned));
    await awaitCondition(() => calls > 0, 'onFree');
    await rounds(10);
    assert.equal(calls, 1);
  });

  it('calls onFree once when the connection closes first', async () => {
    for (const close of ['abort', 'reset'] as const) {
      const { peer, connection } = await openBlocked();
      let calls = 0;
      const free = () => {
        calls += 1;
      };
      assert.equal(connection.writeOwned(Buffer.alloc(50_000), free), 'queued');
      if (close === 'abort') {
        connection.abort();
      } else {
        peer.reset();
      }
      await awaitCondition(() => calls > 0, 'onFree');
      await rounds(10);
      assert.equal(calls, 1);
      await rig.close();
    }
    await open();
  });

  it('does not call onFree for what was refused', async () => {
    const { connection } = await openBlocked({}, { writeQueueMax: 10_000 });
    let calls = 0;
    const free = () => {
      calls += 1;
    };
    assert.equal(connection.writeOwned(Buffer.alloc(50_000), free), 'full');
    connection.end();
    assert.equal(connection.writeOwned(Buffer.alloc(50_000), free), 'closed');
    connection.abort();
    assert.equal(connection.writeOwned(Buffer.alloc(50_000), free), 'closed');
    await rounds(10);
    assert.equal(connection.writeOwned(Buffer.alloc(50_000), free), 'closed');
    assert.equal(calls, 0);
  });
});

describe('receipt', () => {
  it('comes once the bytes before it were handed over, in order, never inside the call', async () => {
    const { peer, connection } = await openBlocked();
    const notes: string[] = [];
    connection.receipt((isOver) => notes.push(`first ${isOver}`));
    connection.write('later');
    connection.receipt((isOver) => notes.push(`second ${isOver}`));
    assert.equal(notes.length, 0);
    await peer.read(MEGABYTE + 5);
    await awaitCondition(() => notes.length === 2, 'the receipts');
    connection.receipt((isOver) => notes.push(`third ${isOver}`));
    assert.deepEqual(notes, ['first true', 'second true']);
    await awaitCondition(() => notes.length === 3, 'the last receipt');
    assert.equal(notes[2], 'third true');
  });

  it('is false when the connection closes first, and after the close', async () => {
    const { connection } = await openBlocked();
    const notes: boolean[] = [];
    connection.receipt((isOver) => notes.push(isOver));
    connection.abort();
    connection.receipt((isOver) => notes.push(isOver));
    await awaitCondition(() => connection.slot < 0, 'the close');
    connection.receipt((isOver) => notes.push(isOver));
    await awaitCondition(() => notes.length === 3, 'the receipts');
    assert.deepEqual(notes, [false, false, false]);
  });
});

describe('drained', () => {
  it('is true at once below the low-water mark', async () => {
    const { connection } = await open();
    assert.equal(await connection.drained(), true);
  });

  it('waits for the low-water mark, and onDrain comes with it', async () => {
    const drains: number[] = [];
    const onDrain = ({ queuedBytes }: Connection) => void drains.push(queuedBytes);
    const { peer, connection } = await openBlocked({ onDrain }, { lowWaterMark: 20_000 });
    const waits = [connection.drained(), connection.drained()];
    await peer.read(MEGABYTE);
    assert.deepEqual(await settled(Promise.all(waits), 'the drain'), [true, true]);
    await awaitCondition(() => drains.length > 0, 'onDrain');
    assert.ok(drains.length === 1 && drains[0] <= 20_000, String(drains));
  });

  it('is false when the connection closes first, and after the close', async () => {
    const { connection } = await openBlocked();
    const wait = connection.drained();
    connection.abort();
    assert.deepEqual([await wait, await connection.drained()], [false, false]);
  });
});

describe('the writer', () => {
  it('sends what was reserved and committed, written and appended, together', async () => {
    const { peer, connection } = await open();
    const { writer } = connection;
    writer.reserve(10).write('abcdef');
    writer.commit(3);
    writer.writeString('ä');
    writer.writeBytes(Buffer.from('B'));
    writer.writeByte(0x43);
    writer.writeUint16(0x4445);
    writer.writeUint32(0x46474849);
    assert.equal(writer.length, 13);
    assert.equal(sends(), 0);
    assert.equal(writer.flush(), 'sent');
    assert.deepEqual([sends(), writer.length], [1, 0]);
    assert.equal((await peer.read(13)).toString(), 'abcäBCDEFGHI');
    assert.throws(() => writer.commit(1), RangeError);
  });

  it('appends what another connection has not read, without its bytes', async () => {
    rig = LinuxRig.open({ onReadable: () => {} });
    const from = await rig.connect();
    const to = await rig.connect();
    from.peer.send('passed on');
    await awaitCondition(() => from.connection.reader.length === 9, 'the bytes');
    to.connection.writer.append(from.connection.reader);
    assert.deepEqual([from.connection.reader.length, to.connection.writer.length], [0, 9]);
    assert.equal(to.connection.writer.flush(), 'sent');
    assert.equal((await to.peer.read(9)).toString(), 'passed on');
  });

  it('keeps what a full queue refused, and sends it later', async () => {
    const { peer, connection } = await openBlocked({}, { writeQueueMax: 10_000 });
    connection.writer.writeString('kept');
    assert.equal(connection.writer.flush(), 'full');
    assert.equal(connection.writer.length, 4);
    await peer.read(MEGABYTE);
    await awaitCondition(() => connection.queuedBytes === 0, 'an empty queue');
    assert.equal(connection.writer.flush(), 'sent');
    assert.equal((await peer.read(4)).toString(), 'kept');
  });
});
