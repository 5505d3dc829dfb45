import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fill } from '../../src/connection/block.js';
import { BlockPool } from '../../src/connection/block-pool.js';
import { MemoryKernel } from '../support/memory-kernel.js';

function makePool(): BlockPool {
  return new BlockPool(new MemoryKernel());
}

describe('Block', () => {
  it('misuse throws: double release, use after release, freeing what is lent', () => {
    const pool = makePool();
    const block = pool.take(1)!;
    pool.lend(block);
    assert.throws(() => pool.lend(block), /lent/);
    assert.throws(() => pool.release(block), /being sent/);
    pool.recall(block);
    assert.throws(() => pool.recall(block), /not lent/);
    pool.release(block);
    assert.throws(() => pool.release(block), /free already/);
    assert.throws(() => pool.retain(block), /free/);
    assert.throws(() => pool.lend(block), /free/);
    assert.throws(() => pool.share(block, 0, 1), /free/);
    assert.equal(pool.usedBlocks, 0);
  });

  it('a block that was retained is freed by the last release', () => {
    const pool = makePool();
    const block = pool.take(1)!;
    pool.retain(block);
    pool.release(block);
    assert.equal(pool.usedBlocks, 1);
    pool.release(block);
    assert.equal(pool.usedBlocks, 0);
  });

  it('a shared node keeps the memory after the block itself was released', () => {
    const pool = makePool();
    const block = pool.take(1)!;
    block.bytes.write('hello');
    block.end = 5;
    const node = pool.share(block, 1, 4);
    const inner = pool.share(node, 2, 3);
    pool.release(block);
    assert.equal(pool.usedBlocks, 1);
    assert.equal(node.bytes.toString('latin1', node.start, node.end), 'ell');
    assert.deepEqual([node.limit, node.address], [4, block.address]);
    pool.release(node);
    assert.equal(inner.bytes.toString('latin1', inner.start, inner.end), 'l');
    assert.notEqual(pool.take(1)!.address, block.address);
    pool.release(inner);
    assert.equal(pool.usedBlocks, 1);
  });

  it('a shared node that is lent keeps the memory, and foreign memory is not shared', () => {
    const pool = makePool();
    const block = pool.take(1)!;
    const node = pool.share(block, 0, 1);
    pool.lend(node);
    pool.release(block);
    assert.throws(() => pool.release(node), /being sent/);
    assert.equal(pool.usedBlocks, 1);
    pool.recall(node);
    pool.release(node);
    assert.equal(pool.usedBlocks, 0);
    const foreign = pool.wrap(Buffer.from('abc'), null);
    assert.throws(() => pool.share(foreign, 0, 1), /not the pool/);
  });

  it('fill() copies behind what is there, and moves the end', () => {
    const block = makePool().take(1)!;
    fill(block, Buffer.from('hello'), 0, 5);
    fill(block, new Uint8Array([0x21, 0x22, 0x23]), 1, 2);
    assert.equal(block.bytes.toString('latin1', block.start, block.end), 'hello"');
  });
});
