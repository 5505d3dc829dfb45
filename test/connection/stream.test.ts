import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { WriteResult } from '../../src/api.js';
import { BlockPool } from '../../src/connection/block-pool.js';
import type { LinkedBuffer } from '../../src/connection/linked-buffer.js';
import { ConnectionReader, ConnectionWriter } from '../../src/connection/stream.js';
import type { Reader } from '../../src/streams.js';
import { seededBytes } from '../support/bytes.js';
import { MemoryKernel } from '../support/memory-kernel.js';

function makePool(bytesMax = 1 << 28): BlockPool {
  return new BlockPool(new MemoryKernel(), { slabBytes: 65536, guard: true, bytesMax });
}

/** A writer whose flushes are answered by `answer`, and collected unless they are refused. */
class Collector {
  sent = '';
  flushes = 0;
  answer: WriteResult = 'sent';
  readonly pool: BlockPool;
  readonly writer: ConnectionWriter;

  constructor() {
    this.pool = makePool();
    this.writer = new ConnectionWriter(this.pool, (buffer) => this.take(buffer));
  }

  take(buffer: LinkedBuffer): WriteResult {
    this.flushes += 1;
    if (this.answer === 'sent' || this.answer === 'queued') {
      this.sent += buffer.next(buffer.length)!.toString('latin1');
    }
    return this.answer;
  }
}

function makeReader(pieces: readonly string[] = [], pool = makePool()): ConnectionReader {
  const reader = new ConnectionReader(pool);
  for (const piece of pieces) {
    reader.append(Buffer.from(piece, 'latin1'));
  }
  return reader;
}

describe('ConnectionReader', () => {
  it('an empty reader answers every call', () => {
    const reader = makeReader();
    assert.equal(reader.length, 0);
    assert.equal(reader.next(1), undefined);
    assert.equal(reader.next(0)?.length, 0);
    assert.equal(reader.peek(1), undefined);
    assert.deepEqual([reader.skip(0), reader.skip(1)], [true, false]);
    assert.deepEqual(
      [reader.until(10), reader.until('\r\n'), reader.indexOf(1)],
      [undefined, undefined, -1],
    );
    assert.deepEqual(
      [reader.readByte(), reader.readUint16(), reader.readUint32()],
      Array(3).fill(undefined),
    );
    assert.deepEqual([reader.readUint16LE(), reader.readUint32LE()], [undefined, undefined]);
    assert.deepEqual([reader.readString(0), reader.readString(1)], ['', undefined]);
    assert.deepEqual([reader.readCopy(0)?.length, reader.readCopy(1)], [0, undefined]);
    assert.deepEqual([reader.slice(0)?.length, reader.slice(1)], [0, undefined]);
    reader.release();
    assert.equal(reader.settle(), true);
  });

  it('reads numbers in both orders, unsigned, wherever they are split', () => {
    const bytes = Buffer.from('fffefdfcfbfaf9f8f7f6f5f4f3', 'hex');
    for (let split = 0; split <= bytes.length; split++) {
      const reader = makeReader();
      reader.append(bytes.subarray(0, split));
      reader.borrow(bytes.subarray(split));
      assert.equal(reader.readUint16(), 0xfffe);
      assert.equal(reader.readUint32(), 0xfdfcfbfa);
      assert.equal(reader.readUint16LE(), 0xf8f9);
      assert.equal(reader.readUint32LE(), 0xf4f5f6f7);
      assert.deepEqual(
        [reader.readUint16(), reader.readUint16LE(), reader.length],
        [undefined, undefined, 1],
      );
      assert.deepEqual([reader.readByte(), reader.readByte()], [0xf3, undefined]);
      reader.settle();
      assert.equal(reader.pool.usedBlocks, 0);
    }
  });

  it('readString() decodes characters that are split between blocks', () => {
    const bytes = Buffer.from('häß€😀');
    for (let split = 0; split <= bytes.length; split++) {
      const reader = makeReader();
      reader.append(bytes.subarray(0, split));
      reader.borrow(bytes.subarray(split));
      assert.equal(reader.readString(bytes.length), 'häß€😀');
    }
    assert.equal(makeReader(['\xff\xfe']).readString(2, 'hex'), 'fffe');
  });

  it('readCopy() is the caller’s: it outlives everything', () => {
    const reader = makeReader();
    reader.append(seededBytes(3000, 1));
    reader.borrow(seededBytes(3000, 2));
    const copy = reader.readCopy(5000);
    reader.settle();
    reader.close();
    assert.deepEqual(copy, Buffer.concat([seededBytes(3000, 1), seededBytes(2000, 2)]));
    assert.equal(reader.pool.usedBlocks, 0);
  });

  it('a slice outlives its reader, and release() ends it', () => {
    const reader = makeReader(['x'.repeat(2000)]);
    const slice = reader.slice(1500)!;
    const inner = slice.slice(1000)!;
    reader.close();
    assert.deepEqual([slice.length, inner.length], [500, 1000]);
    assert.equal(slice.readString(100), 'x'.repeat(100));
    slice.release();
    slice.release();
    assert.deepEqual([slice.length, slice.next(1)], [0, undefined]);
    assert.equal(inner.readString(1000), 'x'.repeat(1000));
    assert.notEqual(reader.pool.usedBlocks, 0);
    inner.release();
    assert.equal(reader.pool.usedBlocks, 0);
  });

  it('after close() it is empty and takes nothing', () => {
    const reader = makeReader(['abc']);
    reader.borrow(Buffer.from('def'));
    reader.close();
    reader.borrow(Buffer.from('def'));
    assert.deepEqual(
      [reader.length, reader.append(Buffer.from('ghi')), reader.next(1)],
      [0, true, undefined],
    );
    assert.deepEqual([reader.settle(), reader.pool.usedBlocks], [true, 0]);
  });

  it('append() and settle() say when the pool is overdrawn', () => {
    const reader = makeReader([], makePool(1024));
    assert.equal(reader.append(Buffer.alloc(1024)), true);
    assert.equal(reader.append(Buffer.alloc(1)), false);
    reader.borrow(Buffer.alloc(1));
    assert.equal(reader.settle(), false);
    assert.equal(reader.length, 1026);
    reader.close();
    assert.equal(reader.pool.isOverdrawn, false);
  });

  it('rejects bad arguments', () => {
    const reader = makeReader(['abc']);
    for (const n of [-1, 1.5, Number.NaN, 2 ** 32, '1' as never]) {
      assert.throws(() => reader.next(n), RangeError);
      assert.throws(() => reader.peek(n), RangeError);
      assert.throws(() => reader.skip(n), RangeError);
      assert.throws(() => reader.slice(n), RangeError);
      assert.throws(() => reader.readString(n), RangeError);
      assert.throws(() => reader.readCopy(n), RangeError);
    }
    assert.throws(() => reader.until(''), TypeError);
    assert.throws(() => reader.until(undefined as never), TypeError);
    assert.throws(() => reader.until(256), RangeError);
    assert.throws(() => reader.indexOf(-1), RangeError);
    assert.equal(reader.length, 3);
  });
});

describe('ConnectionWriter', () => {
  it('sends what was committed, in order and together', () => {
    const out = new Collector();
    const { writer } = out;
    writer.writeUint32(0x61626364);
    writer.writeByte(0x65);
    writer.writeUint16(0x6667);
    writer.writeString('hï', 'latin1');
    writer.writeBytes(Buffer.from('j'));
    writer.writeString('');
    const room = writer.reserve(5);
    room.write('kl');
    writer.commit(2);
    assert.equal(writer.length, 12);
    assert.equal(writer.flush(), 'sent');
    assert.deepEqual([out.sent, out.flushes, writer.length], ['abcdefghïjkl', 1, 0]);
    assert.equal(writer.flush(), 'sent');
    assert.equal(out.flushes, 1);
    assert.equal(out.pool.usedBlocks, 0);
  });

  it('numbers and texts may fill and straddle blocks', () => {
    const out = new Collector();
    let expected = '';
    for (let i = 0; i < 3000; i++) {
      out.writer.writeUint16(0x6161);
      out.writer.writeByte(0x62);
      out.writer.writeString('cc');
      expected += 'aabcc';
    }
    out.writer.flush();
    assert.ok(out.sent === expected);
  });

  it('what was reserved and not committed is not sent, and keeps no block', () => {
    const out = new Collector();
    out.writer.reserve(5000);
    out.writer.reserve(100).fill(0x61);
    out.writer.commit(1);
    assert.throws(() => out.writer.commit(1), /0 are reserved/);
    out.writer.reserve(3000);
    assert.throws(() => out.writer.commit(3001), RangeError);
    out.writer.writeByte(0x62);
    assert.throws(() => out.writer.commit(1), RangeError);
    out.writer.reserve(9000);
    out.writer.flush();
    assert.deepEqual([out.sent, out.pool.usedBlocks], ['ab', 0]);
    assert.equal(out.writer.reserve(0).length, 0);
    out.writer.commit(0);
    out.writer.reserve(1 << 20);
    out.writer.close();
    assert.equal(out.pool.usedBlocks, 0);
  });

  it('a pool without room does not keep a writer from being filled', () => {
    const pool = makePool(0);
    let sent = '';
    const writer = new ConnectionWriter(pool, (buffer) => {
      sent += buffer.next(buffer.length)!.toString();
      return 'queued';
    });
    writer.reserve(3).write('abc');
    writer.commit(3);
    writer.writeByte(0x64);
    writer.writeString('e'.repeat(3000));
    writer.writeBytes(Buffer.from('f'));
    assert.equal(pool.isOverdrawn, true);
    writer.flush();
    assert.deepEqual([sent, pool.usedBytes], [`abcd${'e'.repeat(3000)}f`, 0]);
  });

  it('full keeps the bytes for the next flush; closed drops them', () => {
    const out = new Collector();
    out.answer = 'full';
    out.writer.writeString('abc');
    assert.equal(out.writer.flush(), 'full');
    assert.equal(out.writer.length, 3);
    out.writer.writeString('def');
    out.answer = 'queued';
    assert.equal(out.writer.flush(), 'queued');
    assert.equal(out.sent, 'abcdef');
    out.answer = 'closed';
    out.writer.writeString('ghi');
    assert.equal(out.writer.flush(), 'closed');
    assert.deepEqual([out.writer.length, out.pool.usedBlocks], [0, 0]);
  });

  it('what callbacks write during a flush is sent by the next one', () => {
    for (const answer of ['sent', 'full'] as const) {
      const pool = makePool();
      let sent = '';
      let isFirst = true;
      const writer: ConnectionWriter = new ConnectionWriter(pool, (buffer) => {
        if (isFirst) {
          isFirst = false;
          writer.writeString('later');
          if (answer === 'full') {
            return 'full';
          }
        }
        sent += buffer.next(buffer.length)!.toString();
        return 'sent';
      });
      writer.writeString('first ');
      assert.equal(writer.flush(), answer);
      assert.equal(writer.flush(), 'sent');
      assert.deepEqual([sent, pool.usedBlocks], ['first later', 0]);
    }
  });

  it('after close() it takes nothing, and flush() says closed', () => {
    const out = new Collector();
    out.writer.writeString('abc');
    out.writer.close();
    out.writer.reserve(10).fill(1);
    out.writer.commit(10);
    out.writer.writeString('abc');
    out.writer.writeUint32(1);
    out.writer.append(makeReader(['abc'], out.pool));
    assert.deepEqual([out.writer.length, out.writer.flush(), out.flushes], [0, 'closed', 0]);
  });

  it('append() moves a reader’s bytes: large pieces without a copy, and borrowed ones copied', () => {
    const out = new Collector();
    const reader = makeReader(['a'.repeat(1000)], out.pool);
    const driver = Buffer.from('b'.repeat(1000));
    reader.borrow(driver);
    reader.skip(10);
    out.writer.writeString('<');
    const before = out.pool.usedBlocks;
    out.writer.append(reader);
    assert.equal(out.pool.usedBlocks, before + 1);
    out.writer.writeString('>');
    driver.fill(0);
    assert.equal(reader.settle(), true);
    assert.equal(reader.length, 0);
    out.writer.flush();
    assert.equal(out.sent, `<${'a'.repeat(990)}${'b'.repeat(1000)}>`);
    assert.equal(out.pool.usedBlocks, 0);
  });

  it('rejects bad arguments', () => {
    const { writer } = new Collector();
    assert.throws(() => writer.reserve(-1), RangeError);
    assert.throws(() => writer.writeByte(256), RangeError);
    assert.throws(() => writer.writeUint16(-1), RangeError);
    assert.throws(() => writer.writeUint16(1.5), RangeError);
    assert.throws(() => writer.writeUint32(2 ** 32), RangeError);
    assert.throws(() => writer.writeBytes('abc' as never), TypeError);
    assert.throws(() => writer.writeString(1 as never), TypeError);
    assert.throws(() => writer.append({} as Reader), TypeError);
    assert.throws(() => writer.append(makeReader(['abc'])), TypeError);
    assert.equal(writer.length, 0);
  });
});

describe('reader and writer against plain texts', () => {
  it('whatever way bytes go through readers, slices and a writer, they stay what they are', () => {
    const step = fc.record({
      kind: fc.nat(7),
      size: fc.oneof(fc.nat(30), fc.nat(5000)),
      seed: fc.nat(999),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50, size: 'max' }), (steps) => {
        const out = new Collector();
        const reader = new ConnectionReader(out.pool);
        let unread = '';
        let written = '';
        for (const { kind, size, seed } of steps) {
          const bytes = seededBytes(size, seed);
          const n = Math.min(size, unread.length);
          if (kind < 2) {
            reader.settle();
            unread += bytes.toString('latin1');
            if (kind === 0) {
              reader.append(bytes);
            } else {
              reader.borrow(bytes);
            }
          } else if (kind === 2) {
            out.writer.writeBytes(bytes);
            written += bytes.toString('latin1');
          } else if (kind === 3) {
            out.writer.reserve(size + 5).set(bytes);
            out.writer.commit(size);
            written += bytes.toString('latin1');
          } else if (kind === 4) {
            const slice = reader.slice(n)!;
            out.writer.append(slice);
            slice.release();
            written += unread.slice(0, n);
            unread = unread.slice(n);
          } else if (kind === 5) {
            out.writer.append(reader);
            written += unread;
            unread = '';
          } else if (kind === 6) {
            assert.equal(reader.readString(n, 'latin1'), unread.slice(0, n));
            unread = unread.slice(n);
          } else {
            out.writer.flush();
            assert.equal(out.sent, written);
          }
          assert.deepEqual(
            [reader.length, out.sent.length + out.writer.length],
            [unread.length, written.length],
          );
        }
        reader.settle();
        assert.equal(reader.readString(unread.length, 'latin1'), unread);
        reader.close();
        out.writer.flush();
        assert.equal(out.sent, written);
        assert.deepEqual([out.pool.usedBytes, out.pool.close()], [0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});
