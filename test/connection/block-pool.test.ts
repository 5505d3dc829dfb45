import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import {
  BLOCK_BYTES_MAX,
  type Block,
  BlockPool,
  releaseCachedSlabs,
} from '../../src/connection/block-pool.js';
import { MemoryKernel } from '../support/memory-kernel.js';

const SLAB = 65536;

/** A pool with small slabs, so that few blocks fill one. */
function smallPool(options: { bytesMax?: number; slabsReserve?: number; guard?: boolean } = {}) {
  const kernel = new MemoryKernel();
  return { kernel, pool: new BlockPool(kernel, { slabBytes: SLAB, slabsReserve: 1, ...options }) };
}

function takeMany(pool: BlockPool, count: number, byteLength: number): Block[] {
  return Array.from({ length: count }, () => pool.take(byteLength)!);
}

describe('BlockPool', () => {
  it('take() gives the smallest power of two that fits, from 1 KiB to 64 KiB', () => {
    const pool = new BlockPool(new MemoryKernel());
    const cases = [
      [0, 1024],
      [1, 1024],
      [1024, 1024],
      [1025, 2048],
      [4096, 4096],
      [40_000, BLOCK_BYTES_MAX],
      [1 << 20, BLOCK_BYTES_MAX],
    ] as const;
    for (const [wanted, size] of cases) {
      const block = pool.take(wanted)!;
      assert.deepEqual(
        [block.bytes.length, block.limit, block.start, block.end, block.references],
        [size, size, 0, 0, 1],
      );
      pool.release(block);
    }
    assert.equal(pool.usedBytes, 0);
  });

  it('takeWhole() gives one piece: of a slab up to its size, of the heap above', () => {
    const { pool } = smallPool();
    const slab = pool.takeWhole(SLAB)!;
    const heap = pool.takeWhole(SLAB + 1)!;
    assert.notEqual(slab.address, 0);
    assert.equal(heap.address, 0);
    assert.ok(heap.limit > SLAB);
    assert.equal(pool.counters.heapBytes, heap.limit);
    pool.release(slab);
    pool.release(heap);
    assert.deepEqual([pool.usedBytes, pool.counters.heapBytes], [0, 0]);
  });

  it('blocks that are out never overlap', () => {
    const { kernel, pool } = smallPool();
    const blocks = [...takeMany(pool, 100, 1024), ...takeMany(pool, 40, 5000)];
    for (const [i, block] of blocks.entries()) {
      block.bytes.fill(i);
      assert.equal(kernel.bytesAt(block.address, block.limit)[0], i);
    }
    for (const [i, block] of blocks.entries()) {
      assert.ok(block.bytes.every((byte) => byte === i));
    }
    kernel.check();
  });

  it('allocates nothing before the first take', () => {
    const { kernel } = smallPool();
    assert.equal(kernel.allocateCalls, 0);
  });

  it('take() is null above bytesMax, and works again after a release', () => {
    const { pool } = smallPool({ bytesMax: 4096 });
    const blocks = takeMany(pool, 4, 1024);
    assert.equal(pool.take(1), null);
    assert.equal(pool.counters.refused, 1);
    pool.release(blocks[0]!);
    assert.notEqual(pool.take(1), null);
  });

  it('takeAnyway() passes bytesMax with heap memory, which takes refuse until it is back', () => {
    const { pool } = smallPool({ bytesMax: 1024 });
    const first = pool.takeAnyway(1000);
    const second = pool.takeAnyway(1000);
    assert.deepEqual([first.address > 0, second.address, pool.isOverdrawn], [true, 0, true]);
    assert.equal(pool.counters.overdrafts, 1);
    pool.release(first);
    assert.equal(pool.take(1), null);
    pool.release(second);
    assert.equal(pool.isOverdrawn, false);
    assert.notEqual(pool.take(1), null);
  });

  it('a system without memory refuses blocks, it does not throw', () => {
    const { kernel, pool } = smallPool();
    kernel.failures = 2;
    assert.equal(pool.take(1), null);
    const block = pool.takeAnyway(1);
    assert.equal(block.address, 0);
    assert.notEqual(pool.take(1), null);
  });

  it('rejects options that are out of range', () => {
    const kernel = new MemoryKernel();
    assert.throws(() => new BlockPool(kernel, { slabBytes: 65537 }), RangeError);
    assert.throws(() => new BlockPool(kernel, { slabBytes: 1024 }), RangeError);
    assert.throws(() => new BlockPool(kernel, { bytesMax: -1 }), RangeError);
  });

  it('the accounts are right after any sequence of calls, and return to zero', () => {
    const sizes = fc.constantFrom(1, 1024, 1500, 4096, 9000, 65_536, 70_000);
    const step = fc.record({ release: fc.boolean(), size: sizes, pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), fc.boolean(), (steps, guard) => {
        const { kernel, pool } = smallPool({ bytesMax: 400_000, guard });
        const out: Block[] = [];
        for (const { release, size, pick } of steps) {
          if (release && out.length > 0) {
            const block = out.splice(pick % out.length, 1)[0]!;
            assert.ok(block.bytes.every((byte) => byte === block.end));
            pool.release(block);
          } else {
            const block = pick % 5 === 0 ? pool.takeAnyway(size) : pool.takeWhole(size);
            if (block !== null) {
              block.end = 1 + (pick % 250);
              block.bytes.fill(block.end);
              out.push(block);
            }
          }
          const usedBytes = out.reduce((sum, block) => sum + block.bytes.length, 0);
          assert.deepEqual([pool.usedBytes, pool.usedBlocks], [usedBytes, out.length]);
          assert.ok(pool.freeBytes >= 0);
        }
        for (const block of out) {
          pool.release(block);
        }
        assert.deepEqual([pool.usedBytes, pool.counters.heapBytes], [0, 0]);
        assert.equal(pool.close(), 0);
        releaseCachedSlabs(kernel);
        assert.equal(kernel.allocatedBytes, 0);
      }),
      { numRuns: 60 },
    );
  });
});

describe('BlockPool guard mode', () => {
  it('allocates and releases each block on its own', () => {
    const { kernel, pool } = smallPool({ guard: true });
    const blocks = takeMany(pool, 40, 1000);
    assert.equal(kernel.allocateCalls, 40);
    for (const block of blocks) {
      pool.release(block);
    }
    assert.equal(kernel.releaseCalls, 24);
    assert.equal(pool.close(), 0);
    assert.equal(kernel.allocatedBytes, 0);
  });

  it('a freed block is poisoned, and a write to it is found at the next take', () => {
    const { pool } = smallPool({ guard: true });
    const block = pool.take(1000)!;
    const stale = block.bytes.subarray(0, 100);
    pool.release(block);
    assert.equal(stale[0], 0xdb);
    pool.releaseList(pool.take(1));
    stale[7] = 1;
    assert.throws(() => pool.take(1), /written to at 7: a view was kept too long/);
  });

  it('a write to a freed block is found at the close', () => {
    const { pool } = smallPool({ guard: true });
    const block = pool.take(1000)!;
    pool.release(block);
    block.bytes[1023] = 0;
    assert.throws(() => pool.close(), /written to at 1023/);
  });

  it('a write past the end of a block is seen by the allocator when the block is released', () => {
    const { kernel, pool } = smallPool({ guard: true });
    const block = pool.take(1000)!;
    kernel.overflow(block.address);
    assert.throws(() => kernel.check(), /passed the bounds/);
    pool.release(block);
    assert.throws(() => pool.close(), /passed the bounds/);
  });
});

describe('BlockPool on the real kernel', () => {
  it('a block’s address is where its bytes are', () => {
    for (const guard of [false, true]) {
      const kernel = new LinuxKernel();
      const pool = new BlockPool(kernel, { guard });
      const blocks = [100, 5000, 65_536, 100].map((byteLength) => pool.take(byteLength)!);
      const copy = Buffer.alloc(3);
      for (const [i, block] of blocks.entries()) {
        block.bytes.fill(i + 1);
        kernel.copyOut(copy, block.address + block.limit - 3);
        assert.deepEqual(copy, Buffer.alloc(3, i + 1));
        pool.release(block);
      }
      assert.equal(pool.close(), 0);
      releaseCachedSlabs(kernel);
    }
  });

  it('a stale view of memory that was given back reads something and does not fault', () => {
    const kernel = new LinuxKernel();
    const pool = new BlockPool(kernel);
    const block = pool.take(65_536)!;
    const stale = block.bytes.subarray(0, 4096);
    stale.fill(1);
    pool.release(block);
    assert.equal(pool.trim(), 1 << 20);
    assert.equal(stale.length, 4096);
    assert.ok(stale.every((byte) => byte >= 0));
    stale.fill(2);
    pool.close();
  });
});
