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

// The model: unread bytes, views that must not change until release, and slices with bytes of their own.

interface Step {
  readonly kind: number;
  readonly size: number;
  readonly seed: number;
}

const DELIMITERS = [0x0a, 0x0d, 0x7a, '\n', '\r\n', 'ab\r', '\r\n\r\n', 'abababab', 'zz'];

class Model {
  readonly pool: BlockPool;
  readonly kernel: MemoryKernel;
  readonly buffer: LinkedBuffer;
  unread: Buffer = Buffer.alloc(0);
  views: [Buffer, Buffer][] = [];
  slices: [LinkedBuffer, Buffer][] = [];
  driver: Buffer | undefined;

  constructor(guard: boolean, bytesMax: number) {
    const { pool, kernel, buffer } = make({ guard, bytesMax });
    this.pool = pool;
    this.kernel = kernel;
    this.buffer = buffer;
  }

  settle(): void {
    this.views = [];
    assert.equal(this.buffer.settle() || this.pool.isOverdrawn, true);
    this.driver?.fill(0x5a);
    this.driver = undefined;
  }

  take(n: number): Buffer {
    const bytes = this.unread.subarray(0, n);
    this.unread = this.unread.subarray(n);
    return bytes;
  }

  expectView(view: Buffer | undefined, expected: Buffer | undefined): void {
    assert.deepEqual(view, expected);
    if (view !== undefined && expected !== undefined) {
      this.views.push([view, expected]);
    }
  }

  run({ kind, size, seed }: Step): void {
    const { buffer, unread } = this;
    const has = size <= unread.length;
    if (kind < 4) {
      this.receive(kind, seededBytes(size, seed));
    } else if (kind === 4) {
      this.expectView(buffer.peek(size), has ? unread.subarray(0, size) : undefined);
    } else if (kind === 5) {
      this.expectView(buffer.next(size), has ? this.take(size) : undefined);
    } else if (kind === 6) {
      assert.equal(buffer.skip(size), has);
      this.take(has ? size : 0);
    } else if (kind < 9) {
      this.until(DELIMITERS[seed % DELIMITERS.length]!);
    } else if (kind === 9) {
      const byte = 0x0a + (seed % 4);
      const found = unread.subarray(0, size).indexOf(byte);
      assert.equal(buffer.indexOf(byte, size), found);
    } else if (kind === 10) {
      const slice = buffer.slice(size);
      assert.equal(slice !== undefined, has);
      if (slice !== undefined) {
        this.slices.push([slice, this.take(size)]);
      }
    } else if (kind === 11) {
      this.views = this.views.filter(([view]) => this.driver?.buffer === view.buffer);
      buffer.release();
    } else if (kind === 12) {
      this.settle();
    } else {
      this.useSlice(kind, size, seed);
    }
  }

  receive(kind: number, bytes: Buffer): void {
    this.settle();
    this.unread = Buffer.concat([this.unread, bytes]);
    if (kind === 0) {
      this.buffer.appendCopy(bytes);
    } else {
      this.driver = Buffer.from(bytes);
      this.buffer.borrow(this.driver);
    }
  }

  until(delimiter: number | string): void {
    const at = this.unread.indexOf(delimiter);
    const length = typeof delimiter === 'string' ? delimiter.length : 1;
    this.expectView(this.buffer.until(delimiter), at < 0 ? undefined : this.take(at + length));
  }

  useSlice(kind: number, size: number, seed: number): void {
    if (this.slices.length === 0) {
      return;
    }
    const index = seed % this.slices.length;
    const [slice, expected] = this.slices[index]!;
    const n = Math.min(size, expected.length);
    assert.deepEqual(slice.next(n), expected.subarray(0, n));
    this.slices[index] = [slice, expected.subarray(n)];
    if (kind === 14) {
      giveBuffer(slice);
      this.slices.splice(index, 1);
    }
  }

  check(): void {
    assert.equal(this.buffer.length, this.unread.length);
    for (const [view, expected] of this.views) {
      assert.ok(view.equals(expected), 'a view changed before release');
    }
    for (const [slice, expected] of this.slices) {
      assert.equal(slice.length, expected.length);
    }
  }

  end(): void {
    this.settle();
    assert.deepEqual(this.buffer.next(this.unread.length), this.unread);
    this.buffer.release();
    assert.equal(this.buffer.head, null);
    for (const [slice, expected] of this.slices) {
      assert.deepEqual(slice.peek(expected.length), expected);
      giveBuffer(slice);
    }
    giveBuffer(this.buffer);
    assert.deepEqual([this.pool.usedBytes, this.pool.counters.heapBytes], [0, 0]);
    assert.equal(this.pool.close(), 0);
    this.kernel.check();
  }
}

describe('LinkedBuffer against a plain array', () => {
  const size = fc.oneof(
    { weight: 6, arbitrary: fc.nat(40) },
    { weight: 3, arbitrary: fc.nat(3000) },
    { weight: 1, arbitrary: fc.nat(90_000) },
  );
  const step = fc.record({ kind: fc.nat(14), size, seed: fc.nat(0xffff) });

  for (const [name, guard, bytesMax] of [
    ['pooled', false, 1 << 28],
    ['in guard mode', true, 1 << 28],
    ['with a small budget', false, 20_000],
  ] as const) {
    it(`any sequence of calls, ${name}`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
          const model = new Model(guard, bytesMax);
          for (const item of steps) {
            model.run(item);
            model.check();
          }
          model.end();
        }),
        { numRuns: 300 },
      );
    });
  }
});
