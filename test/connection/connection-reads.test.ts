/** Received bytes through a real connection: the reader's calls, pauses, wakes, and the end. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { CloseReason, Connection, Handler } from '../../src/api.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { hookNotes, LinuxRig, type RigOptions } from '../support/reactor-rig.js';

let rig: LinuxRig;

afterEach(async () => {
  assert.equal(await rig.close(), 0, 'blocks were kept');
});

async function open(handler: Handler, options: RigOptions = {}) {
  rig = LinuxRig.open(handler, options);
  return rig.connect();
}

/** A pull handler that never reads: the test does, from outside of the hooks. */
async function openReader() {
  const { peer, connection } = await open({ onReadable: () => {} });
  const { reader } = connection;
  const receive = async (bytes: Uint8Array | string) => {
    const { length } = reader;
    peer.send(bytes);
    await awaitCondition(() => reader.length === length + Buffer.from(bytes).length, 'the bytes');
  };
  return { peer, connection, reader, receive };
}

describe('the reader', () => {
  it('takes bytes, numbers, text and lines, and nothing where too little is there', async () => {
    const { reader, receive } = await openReader();
    await receive(Buffer.from('010203040506070809', 'hex'));
    assert.deepEqual(
      [reader.readByte(), reader.readUint16(), reader.readUint16LE()],
      [1, 0x203, 0x504],
    );
    assert.equal(reader.readUint32(), 0x6070809);
    assert.deepEqual(
      [reader.readByte(), reader.readUint32LE(), reader.next(1)],
      [undefined, undefined, undefined],
    );
    await receive('GET /\r\nfööx');
    assert.deepEqual(
      [reader.indexOf(0x0a), reader.indexOf(0x0a, 3), reader.indexOf(0)],
      [6, -1, -1],
    );
    assert.equal(reader.until('\r\n')?.toString(), 'GET /\r\n');
    assert.equal(reader.until(0x0a), undefined);
    assert.equal(reader.peek(1)?.toString(), 'f');
    assert.equal(reader.readString(5), 'föö');
    assert.deepEqual([reader.skip(2), reader.skip(1), reader.length], [false, true, 0]);
    assert.deepEqual([reader.next(0), reader.readString(0)], [Buffer.alloc(0), '']);
    reader.release();
  });

  it('gives copies that stay, and slices that outlive the connection', async () => {
    const { connection, reader, receive } = await openReader();
    await receive('copyslice');
    const copy = reader.readCopy(4);
    const slice = reader.slice(5)!;
    reader.release();
    connection.abort();
    await awaitCondition(() => connection.slot < 0, 'the close');
    assert.equal(copy?.toString(), 'copy');
    assert.equal(slice.next(5)?.toString(), 'slice');
    slice.release();
  });

  it('keeps what a hook leaves, and offers it again only when something was read', async () => {
    const lengths: number[] = [];
    const onReadable = ({ reader }: Connection) => {
      lengths.push(reader.length);
      if (reader.length >= 4) {
        reader.skip(3);
      }
    };
    const { peer, connection } = await open({ onReadable });
    peer.send('ab');
    await awaitCondition(() => lengths.length === 1, 'the first call');
    await rounds(10);
    peer.send('cdefgh');
    await awaitCondition(() => connection.reader.length === 2, 'the rest');
    await rounds(10);
    assert.deepEqual(lengths, [2, 8, 5, 2]);
    assert.equal(connection.reader.readString(2), 'gh');
  });

  it('is empty and harmless after the close', async () => {
    const { connection, receive } = await openReader();
    await receive('unread');
    connection.abort();
    await awaitCondition(() => connection.slot < 0, 'the close');
    const { reader } = connection;
    assert.deepEqual([reader.length, reader.next(1), reader.skip(0)], [0, undefined, true]);
  });

  it('stops the peer above readQueueMax while the handler is slow', async () => {
    let isSlow = true;
    let most = 0;
    const onReadable = ({ reader }: Connection) => {
      most = Math.max(most, reader.length);
      reader.skip(isSlow ? 1 : reader.length);
    };
    const sizes = { readQueueMax: 10_000, receiveBytes: 4_096, receiveBudget: 4_096 };
    const { peer, connection } = await open({ onReadable }, sizes);
    const sent = peer.sendAll(Buffer.alloc(300_000));
    await awaitCondition(() => connection.reader.length > 10_000, 'a full reader');
    await rounds(50);
    assert.ok(most > 10_000 && most <= 10_000 + 4_096, String(most));
    isSlow = false;
    await awaitCondition(() => connection.bytesReceived === 300_000, 'the rest');
    await sent;
  });
});

describe('a pull handler that wants more than readQueueMax', () => {
  it('would wait for ever: its connection ends with overflow', async () => {
    const codes: string[] = [];
    const onClose = (_connection: Connection, { code }: CloseReason) => void codes.push(code);
    const { peer } = await open({ onReadable: () => {}, onClose }, { readQueueMax: 1_000 });
    peer.send(Buffer.alloc(1_000));
    await rounds(10);
    assert.deepEqual(codes, []);
    peer.send(Buffer.alloc(1));
    await awaitCondition(() => codes.length > 0, 'the close');
    assert.deepEqual(codes, ['overflow']);
  });

  it('may pause instead, and read later', async () => {
    const onReadable = (connection: Connection) => connection.pause();
    const { peer, connection } = await open({ onReadable }, { readQueueMax: 1_000 });
    peer.send(Buffer.alloc(5_000));
    await awaitCondition(() => connection.isPaused, 'the pause');
    await rounds(10);
    assert.deepEqual([connection.state, connection.reader.length], ['open', 5_000]);
    connection.reader.skip(5_000);
  });
});

describe('pause', () => {
  it('stops reports until resume, does not nest, and keeps the end for later', async () => {
    const events: string[] = [];
    const { peer, connection } = await open(hookNotes(events));
    connection.pause();
    connection.pause();
    assert.equal(connection.isPaused, true);
    peer.send('a');
    peer.end();
    await rounds(20);
    assert.deepEqual(events, ['open']);
    connection.resume();
    assert.equal(connection.isPaused, false);
    await awaitCondition(() => connection.slot < 0, 'the close');
    assert.deepEqual(events, ['open', 'data a', 'end', 'close ended']);
  });

  it('in a hook keeps the rest of the batch for after it', async () => {
    const events: string[] = [];
    const onData = (connection: Connection, bytes: Buffer) => {
      events.push(bytes.toString());
      connection.pause();
    };
    const { peer, connection } = await open({ onData }, { receiveBytes: 64 });
    await peer.sendAll(Buffer.alloc(200, 'x'));
    await rounds(20);
    assert.equal(events.length, 1);
    while (connection.bytesReceived < 200) {
      connection.resume();
      await rounds(3);
    }
    assert.equal(events.join(''), 'x'.repeat(200));
  });

  it('holds until the peer resets: that is told at once', async () => {
    const events: string[] = [];
    const { peer, connection } = await open(hookNotes(events));
    connection.pause();
    await rounds(3);
    peer.reset();
    await awaitCondition(() => connection.slot < 0, 'the close');
    assert.deepEqual(events, ['open', 'close reset']);
  });
});

describe('wake', () => {
  it('calls a push handler once with no bytes, soon', async () => {
    const events: string[] = [];
    const { connection } = await open(hookNotes(events));
    connection.wake();
    connection.wake();
    assert.deepEqual(events, ['open']);
    await awaitCondition(() => events.length > 1, 'the wake');
    await rounds(10);
    assert.deepEqual(events, ['open', 'data ']);
  });

  it('calls a pull handler once though there is nothing to read', async () => {
    let calls = 0;
    const onReadable = () => {
      calls += 1;
    };
    const { connection } = await open({ onReadable });
    connection.wake();
    await awaitCondition(() => calls > 0, 'the wake');
    await rounds(10);
    assert.equal(calls, 1);
  });

  it('from inside the hook comes in a turn of its own', async () => {
    let calls = 0;
    let depth = 0;
    const onData = (connection: Connection) => {
      depth += 1;
      assert.equal(depth, 1);
      calls += 1;
      if (calls < 3) {
        connection.wake();
      }
      depth -= 1;
    };
    const { peer } = await open({ onData });
    peer.send('x');
    await awaitCondition(() => calls === 3, 'the wakes');
    assert.deepEqual(rig.warnings, []);
  });
});
