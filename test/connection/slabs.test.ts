import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Block, BlockPool, releaseCachedSlabs } from '../../src/connection/block-pool.js';
import { MemoryKernel } from '../support/memory-kernel.js';

const SLAB = 65536;

/** A pool with small slabs, so that few blocks fill one. */
function smallPool(options: { slabsReserve?: number } = {}) {
  const kernel = new MemoryKernel();
  return { kernel, pool: new BlockPool(kernel, { slabBytes: SLAB, slabsReserve: 1, ...options }) };
}

function takeMany(pool: BlockPool, count: number, byteLength: number): Block[] {
  return Array.from({ length: count }, () => pool.take(byteLength)!);
}

describe('Slabs', () => {
  it('idle slabs above the reserve give their pages back, stay mapped and are used first', () => {
    const { kernel, pool } = smallPool();
    const blocks = takeMany(pool, 256, 1024);
    assert.equal(kernel.allocateCalls, 4);
    assert.equal(pool.freeBytes, 0);
    for (const block of blocks) {
      pool.release(block);
    }
    assert.equal(kernel.discardCalls, 3);
    assert.deepEqual([pool.mappedBytes, pool.freeBytes], [4 * SLAB, SLAB]);
    takeMany(pool, 16, 16_384);
    assert.deepEqual([kernel.allocateCalls, kernel.releaseCalls, pool.freeBytes], [4, 0, 0]);
    kernel.check();
  });

  it('a block that comes back to a full slab is used before a new slab is mapped', () => {
    const { kernel, pool } = smallPool();
    const blocks = takeMany(pool, 3 * 64, 1024);
    for (const i of [5, 100, 101, 191]) {
      pool.release(blocks[i]!);
    }
    takeMany(pool, 4, 1024);
    assert.equal(kernel.allocateCalls, 3);
  });

  it('trim() gives the reserve back too', () => {
    const { kernel, pool } = smallPool({ slabsReserve: 8 });
    for (const block of takeMany(pool, 3 * 64, 1024)) {
      pool.release(block);
    }
    assert.equal(kernel.discardCalls, 0);
    assert.equal(pool.trim(), 3 * SLAB);
    assert.equal(pool.freeBytes, 0);
  });

  it('an idle slab serves another size before a new slab is mapped', () => {
    const { kernel, pool } = smallPool();
    pool.release(pool.take(1024)!);
    pool.take(65_536);
    assert.equal(kernel.allocateCalls, 1);
  });

  it('close() leaves the slabs to the next pool on the same kernel', () => {
    const kernel = new MemoryKernel();
    for (let i = 0; i < 5; i++) {
      const pool = new BlockPool(kernel, { slabBytes: SLAB });
      pool.releaseList(pool.take(1));
      pool.release(pool.take(65_536)!);
      assert.equal(pool.close(), 0);
      assert.throws(() => pool.take(1), /closed/);
    }
    assert.equal(kernel.allocateCalls, 1);
    assert.equal(releaseCachedSlabs(kernel), SLAB);
    assert.equal(kernel.allocatedBytes, 0);
  });

  it('close() counts leaked blocks, whose slab comes back with the last of them', () => {
    const { kernel, pool } = smallPool();
    const blocks = takeMany(pool, 3, 1024);
    const node = pool.share(blocks[0]!, 0, 1);
    assert.equal(pool.close(), 3);
    assert.equal(releaseCachedSlabs(kernel), 0);
    pool.releaseList(blocks[0]!);
    pool.release(blocks[1]!);
    pool.release(blocks[2]!);
    assert.equal(pool.close(), 1);
    pool.release(node);
    assert.equal(pool.close(), 0);
    assert.equal(releaseCachedSlabs(kernel), SLAB);
  });
});
