import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BlockChain } from '../../src/connection/block-chain.js';
import { BlockPool } from '../../src/connection/block-pool.js';
import { seededBytes } from '../support/bytes.js';
import { MemoryKernel } from '../support/memory-kernel.js';

function makeChain(bytesMax = 1 << 28): BlockChain {
  return new BlockChain(new BlockPool(new MemoryKernel(), { bytesMax }));
}

/** The sizes of the chain's blocks and its bytes; checks that no node is empty. */
function look(chain: BlockChain): { blocks: number[]; bytes: Buffer } {
  const blocks: number[] = [];
  const pieces: Buffer[] = [];
  for (let node = chain.head; node !== null; node = node.next) {
    assert.ok(node.end > node.start);
    blocks.push(node.limit);
    pieces.push(node.bytes.subarray(node.start, node.end));
    assert.equal(node.next === null, node === chain.tail);
  }
  const bytes = Buffer.concat(pieces);
  assert.equal(bytes.length, chain.byteLength);
  return { blocks, bytes };
}

describe('BlockChain', () => {
  it('each block is twice as large as the one before, up to 64 KiB', () => {
    const chain = makeChain();
    const bytes = seededBytes(300_000, 1);
    for (let from = 0; from < bytes.length; from += 100) {
      chain.append(bytes, from, from + 100, false);
    }
    const { blocks, bytes: found } = look(chain);
    assert.deepEqual(
      blocks.map((size) => size / 1024),
      [1, 2, 4, 8, 16, 32, 64, 64, 64, 64],
    );
    assert.ok(found.equals(bytes));
  });

  it('a large append fills the tail first and takes large blocks', () => {
    const chain = makeChain();
    const bytes = seededBytes(100_000, 2);
    chain.append(bytes, 0, 1000, false);
    chain.append(bytes, 1000, bytes.length, false);
    const { blocks, bytes: found } = look(chain);
    assert.deepEqual(blocks, [1024, 65_536, 65_536]);
    assert.ok(found.equals(bytes));
  });

  it('appending nothing takes nothing', () => {
    const chain = makeChain(0);
    assert.equal(chain.append(Buffer.alloc(0), 0, 0, false), true);
    assert.equal(chain.appendEncoded('', 'utf8', false), true);
    assert.deepEqual(look(chain).blocks, []);
  });

  it('a refused append changes nothing, with `anyway` it is taken', () => {
    const chain = makeChain(70_000);
    const bytes = seededBytes(80_000, 3);
    assert.equal(chain.append(bytes, 0, bytes.length, false), false);
    assert.deepEqual([look(chain).blocks, chain.pool.usedBlocks], [[], 0]);
    assert.equal(chain.append(bytes, 0, bytes.length, true), true);
    assert.ok(look(chain).bytes.equals(bytes));
    assert.equal(chain.pool.isOverdrawn, true);
  });

  it('texts of every encoding are written in one piece', () => {
    const chain = makeChain();
    chain.appendEncoded('x'.repeat(1020), 'latin1', false);
    chain.appendEncoded('äöü€', 'utf8', false);
    chain.appendEncoded('0a0b', 'hex', false);
    chain.appendEncoded('zz', 'hex', false);
    chain.appendEncoded('aGk=', 'base64', false);
    chain.appendEncoded('é', 'utf16le', false);
    const expected = Buffer.concat([
      Buffer.from(`${'x'.repeat(1020)}äöü€`),
      Buffer.from([0x0a, 0x0b]),
      Buffer.from('hi'),
      Buffer.from('é', 'utf16le'),
    ]);
    const { blocks, bytes } = look(chain);
    assert.deepEqual(bytes, expected);
    assert.deepEqual(blocks, [1024, 2048]);
  });

  it('a text that makes no bytes takes no block', () => {
    const chain = makeChain();
    assert.equal(chain.appendEncoded('zz', 'hex', false), true);
    assert.deepEqual([look(chain).blocks, chain.pool.usedBlocks], [[], 0]);
  });

  it('appendChain() moves all nodes; chains of two pools do not mix', () => {
    const chain = makeChain();
    const other = new BlockChain(chain.pool);
    other.append(Buffer.from('abc'), 0, 3, false);
    chain.appendChain(other);
    other.append(Buffer.from('def'), 0, 3, false);
    chain.appendChain(other);
    chain.appendChain(other);
    assert.equal(look(chain).bytes.toString(), 'abcdef');
    assert.deepEqual(look(other).blocks, []);
    assert.throws(() => makeChain().appendChain(chain), /another pool/);
  });

  it('roomFor() is the tail while it has the room', () => {
    const chain = makeChain();
    chain.append(Buffer.alloc(1000), 0, 1000, false);
    assert.equal(chain.roomFor(24), chain.tail);
    const fresh = chain.roomFor(200_000);
    assert.ok(fresh.limit >= 200_000);
    assert.equal(look(chain).blocks.length, 1);
  });
});
