import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BlockPool } from '../../src/connection/block-pool.js';
import { giveBuffer, type LinkedBuffer, takeBuffer } from '../../src/connection/linked-buffer.js';
import { seededBytes } from '../support/bytes.js';
import { MemoryKernel } from '../support/memory-kernel.js';

function make(options: { guard?: boolean; bytesMax?: number } = {}) {
  const kernel = new MemoryKernel();
  const pool = new BlockPool(kernel, { slabBytes: 65536, ...options });
  return { kernel, pool, buffer: takeBuffer(pool) };
}

function appendText(buffer: LinkedBuffer, ...texts: string[]): void {
  for (const text of texts) {
    // A block for each text, so that tests say where the bytes are split.
    const block = buffer.pool.take(text.length)!;
    block.end = block.bytes.write(text, 'latin1');
    block.limit = block.end;
    buffer.appendBlock(block);
  }
}

function text(bytes: Buffer | undefined): string | undefined {
  return bytes?.toString('latin1');
}

describe('LinkedBuffer', () => {
  it('an empty buffer holds no block', () => {
    const { pool, buffer } = make();
    buffer.appendCopy(Buffer.alloc(5000));
    assert.equal(buffer.next(5000)?.length, 5000);
    assert.notEqual(pool.usedBlocks, 0);
    buffer.release();
    assert.deepEqual([buffer.length, pool.usedBlocks, buffer.head], [0, 0, null]);
  });

  it('peek() in one block is a view, next() takes it, and both refuse more than there is', () => {
    const { buffer } = make();
    appendText(buffer, 'hello world');
    const { buffer: memory } = buffer.head!.bytes;
    assert.equal(text(buffer.peek(5)), 'hello');
    assert.equal(buffer.peek(5)?.buffer, memory);
    assert.equal(text(buffer.next(6)), 'hello ');
    assert.deepEqual(
      [buffer.peek(6), buffer.next(6), buffer.skip(6)],
      [undefined, undefined, false],
    );
    assert.equal(buffer.skip(1), true);
    assert.equal(text(buffer.next(4)), 'orld');
    assert.equal(buffer.next(0)?.length, 0);
  });

  it('a peek that straddles blocks copies once, and later peeks see the same memory', () => {
    const { buffer } = make();
    appendText(buffer, 'abc', 'def', 'ghi');
    const first = buffer.peek(5)!;
    const again = buffer.peek(5)!;
    assert.equal(text(first), 'abcde');
    assert.deepEqual([again.buffer, again.byteOffset], [first.buffer, first.byteOffset]);
    const longer = buffer.peek(9)!;
    assert.equal(text(longer), 'abcdefghi');
    assert.deepEqual([longer.buffer, longer.byteOffset], [first.buffer, first.byteOffset]);
    assert.equal(buffer.length, 9);
    assert.equal(text(buffer.next(9)), 'abcdefghi');
  });

  it('views stay true until release(), whatever is read meanwhile', () => {
    const { buffer } = make({ guard: true });
    appendText(buffer, 'abc', 'def', 'ghi');
    const views = [buffer.next(1), buffer.peek(4), buffer.next(3), buffer.next(5)];
    assert.deepEqual(views.map(text), ['a', 'bcde', 'bcd', 'efghi']);
    buffer.release();
    assert.ok(views.every((view) => view?.every((byte) => byte === 0xdb)));
  });

  it('release() keeps what was peeked at and not taken', () => {
    const { buffer } = make({ guard: true });
    appendText(buffer, 'abc', 'def');
    const view = buffer.peek(5);
    buffer.release();
    assert.equal(text(view), 'abcde');
  });

  it('until() finds a byte or a text across blocks', () => {
    const { buffer } = make();
    appendText(buffer, 'GET /\r', '\nHost: a\r', '\n', '\r\nrest\n');
    assert.equal(text(buffer.until('\r\n')), 'GET /\r\n');
    assert.equal(text(buffer.until('\r\n\r\n')), 'Host: a\r\n\r\n');
    assert.equal(buffer.until('\r\n'), undefined);
    assert.equal(text(buffer.until(0x0a)), 'rest\n');
    assert.equal(buffer.until(0x0a), undefined);
  });

  it('until() is not fooled by a delimiter in stale memory behind the bytes', () => {
    const { buffer } = make();
    buffer.appendCopy(Buffer.from('x'.repeat(40) + '\n'.repeat(40)));
    buffer.skip(80);
    buffer.release();
    buffer.appendCopy(Buffer.from('y'.repeat(50)));
    assert.equal(buffer.until(0x0a), undefined);
    assert.equal(buffer.until('\n\n'), undefined);
    buffer.appendCopy(Buffer.from('\n'));
    assert.equal(buffer.until(0x0a)?.length, 51);
  });

  it('what was searched once is not searched again', () => {
    const { buffer } = make();
    buffer.appendCopy(Buffer.from('x'.repeat(100)));
    assert.equal(buffer.until(0x0a), undefined);
    // Only a second look could see these.
    buffer.head!.bytes.fill('\n', 0, 100);
    buffer.appendCopy(Buffer.from('y'));
    assert.equal(buffer.indexOf(0x0a, 101), -1);
  });

  it('a buffer that is used again has forgotten what was searched in it', () => {
    const { pool, buffer } = make();
    buffer.appendCopy(Buffer.from('no end of line'));
    assert.equal(buffer.until(0x0a), undefined);
    giveBuffer(buffer);
    const again = takeBuffer(pool);
    assert.equal(again, buffer);
    again.appendCopy(Buffer.from('a\nbcdefghijklmn'));
    assert.equal(text(again.until(0x0a)), 'a\n');
  });

  it('indexOf() looks at `limit` bytes at most', () => {
    const { buffer } = make();
    appendText(buffer, 'x'.repeat(30), `${'x'.repeat(30)}:${'x'.repeat(30)}`);
    assert.equal(buffer.indexOf(0x3a, 60), -1);
    assert.equal(buffer.indexOf(0x3a, 10), -1);
    assert.equal(buffer.indexOf(0x3a, 61), 60);
    assert.equal(buffer.indexOf(0x3a, Number.POSITIVE_INFINITY), 60);
  });

  it('a slice outlives its parent and does not keep it from growing', () => {
    const { pool, buffer } = make({ guard: true });
    buffer.appendCopy(seededBytes(3000, 1));
    buffer.skip(100);
    const slice = buffer.slice(2000)!;
    buffer.appendCopy(seededBytes(500, 2));
    buffer.skip(buffer.length);
    buffer.release();
    assert.deepEqual(slice.next(2000), seededBytes(3000, 1).subarray(100, 2100));
    giveBuffer(slice);
    assert.equal(pool.usedBlocks, 0);
  });

  it('small slices are copied, so that they do not keep a large block', () => {
    const { pool, buffer } = make();
    buffer.appendCopy(Buffer.alloc(60_000));
    const slice = buffer.slice(100)!;
    buffer.clear();
    assert.equal(pool.usedBytes, 1024);
    giveBuffer(slice);
  });

  it('blocks grow with many small pieces and start small again after the buffer was empty', () => {
    const { pool, buffer } = make();
    for (let i = 0; i < 1000; i++) {
      buffer.appendCopy(Buffer.alloc(100));
    }
    assert.ok(pool.usedBlocks <= 8, `${pool.usedBlocks} blocks`);
    buffer.skip(buffer.length);
    buffer.release();
    buffer.appendCopy(Buffer.alloc(100));
    assert.equal(pool.usedBytes, 1024);
  });

  it('repeated peeks at a growing buffer copy each byte a bounded number of times', () => {
    const { buffer } = make({ bytesMax: 1 << 30 });
    const driver = Buffer.alloc(16);
    let copies = 0;
    let last: ArrayBufferLike | undefined;
    for (let i = 0; i < 20_000; i++) {
      buffer.borrow(driver);
      const view = buffer.peek(buffer.length)!;
      if (i > 0 && view.buffer !== last) {
        copies += 1;
      }
      last = view.buffer;
      buffer.settle();
    }
    assert.ok(copies < 100, `${copies} times`);
    buffer.clear();
  });

  it('appending while something is borrowed throws', () => {
    const { buffer } = make();
    buffer.borrow(Buffer.from('abc'));
    assert.throws(() => buffer.borrow(Buffer.from('abc')), /borrowed/);
    assert.throws(() => buffer.appendCopy(Buffer.from('abc')), /borrowed/);
    buffer.clear();
  });
});

describe('LinkedBuffer borrowing', () => {
  it('borrowed bytes are seen without a copy and take no block when all are read', () => {
    const { pool, kernel, buffer } = make();
    const driver = Buffer.from('hello');
    buffer.borrow(driver);
    assert.equal(buffer.next(5)?.buffer, driver.buffer);
    assert.equal(buffer.settle(), true);
    assert.deepEqual([pool.usedBlocks, kernel.allocateCalls, buffer.length], [0, 0, 0]);
  });

  it('settle() keeps the unread rest, which the next bytes follow', () => {
    const { buffer } = make();
    const driver = Buffer.from('hello');
    buffer.borrow(driver);
    buffer.skip(2);
    assert.equal(buffer.settle(), true);
    driver.write('world');
    buffer.borrow(driver);
    assert.equal(text(buffer.peek(8)), 'lloworld');
    buffer.settle();
    driver.fill(0);
    assert.equal(text(buffer.next(8)), 'lloworld');
  });

  it('settle() says when keeping the rest passed the budget, and loses nothing', () => {
    const { pool, buffer } = make({ bytesMax: 1024 });
    buffer.borrow(seededBytes(5000, 3));
    assert.equal(buffer.settle(), false);
    assert.deepEqual(buffer.next(5000), seededBytes(5000, 3));
    buffer.release();
    assert.equal(pool.isOverdrawn, false);
  });

  it('a text sent byte by byte is found wherever it was split', () => {
    const bytes = fc.array(fc.constantFrom(...Buffer.from('\r\n')), { maxLength: 40, size: 'max' });
    fc.assert(
      fc.property(bytes, (list) => {
        const { buffer } = make();
        let unread = '';
        for (const byte of list) {
          const piece = Buffer.of(byte);
          unread += piece.toString('latin1');
          buffer.borrow(piece);
          const at = unread.indexOf('\r\n\r\n');
          assert.equal(
            text(buffer.until('\r\n\r\n')),
            at < 0 ? undefined : unread.slice(0, at + 4),
          );
          unread = at < 0 ? unread : unread.slice(at + 4);
          buffer.settle();
        }
        assert.equal(buffer.length, unread.length);
      }),
    );
  });
});
