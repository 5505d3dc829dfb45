import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BlockPool } from '../../src/connection/block-pool.js';
import { takeBuffer } from '../../src/connection/linked-buffer.js';
import { WriteQueue } from '../../src/connection/write-queue.js';
import { MemoryKernel } from '../support/memory-kernel.js';
import { FakeVector } from '../support/send-vector.js';

interface Options {
  asynchronous?: boolean;
  bytesMax?: number;
}

function make(options: Options = {}) {
  const { asynchronous = false, bytesMax = 1 << 28 } = options;
  const kernel = new MemoryKernel();
  const pool = new BlockPool(kernel, { slabBytes: 65536, guard: true, bytesMax });
  const errors: unknown[] = [];
  const queue = new WriteQueue(pool, { onError: (error) => errors.push(error), asynchronous });
  /** Gathers, and consumes `n` bytes or all that was gathered. */
  function send(n = Number.POSITIVE_INFINITY): string {
    const vector = new FakeVector(kernel);
    queue.gather(vector);
    const sent = vector.bytes.subarray(0, n).toString('latin1');
    queue.consume(sent.length);
    return sent;
  }
  return { kernel, pool, errors, queue, send };
}

describe('WriteQueue', () => {
  it('sends copies in order, and small ones share a block', () => {
    const { pool, queue, send } = make();
    const bytes = Buffer.from('--hello');
    assert.equal(queue.appendCopy(bytes, 2), true);
    bytes.fill(0);
    queue.appendString(' wörld ');
    queue.appendCopy(new Uint8Array([0x21]), 0);
    assert.deepEqual([queue.byteLength, pool.usedBlocks, queue.sizes.nodes], [14, 1, 1]);
    assert.equal(send(3), 'hel');
    assert.equal(send(), 'lo w\xc3\xb6rld !');
    assert.deepEqual([queue.byteLength, pool.usedBlocks, queue.isIdle], [0, 0, true]);
  });

  it('a text is encoded wherever the block ends, and however long it is', () => {
    for (const byteLength of [1, 1000, 1023, 1024, 1025, 70_000, 200_000]) {
      const { queue, send, pool } = make();
      queue.appendCopy(Buffer.alloc(1000, 'x'), 0);
      const text = 'ä€😀\ud800'.repeat(Math.ceil(byteLength / 12));
      assert.equal(queue.appendString(text), true);
      assert.equal(queue.appendString(''), true);
      assert.equal(
        Buffer.from(send(), 'latin1').toString().slice(1000),
        Buffer.from(text).toString(),
      );
      assert.equal(pool.usedBlocks, 0);
    }
  });

  it('appending is all or nothing when the pool has no room', () => {
    const { pool, queue, send } = make({ bytesMax: 3072 });
    assert.equal(queue.appendCopy(Buffer.alloc(1000, 'a'), 0), true);
    assert.equal(queue.appendCopy(Buffer.alloc(3000, 'b'), 0), false);
    assert.equal(queue.appendString('c'.repeat(3000)), false);
    assert.equal(queue.appendString('d'.repeat(24)), true);
    assert.deepEqual([queue.byteLength, pool.usedBlocks], [1024, 1]);
    assert.equal(send(), 'a'.repeat(1000) + 'd'.repeat(24));
  });

  it('an append that is refused half way gives its blocks back', () => {
    const { pool, queue } = make({ bytesMax: 100_000 });
    assert.equal(queue.appendCopy(Buffer.alloc(130_000), 0), false);
    assert.deepEqual([pool.usedBlocks, queue.byteLength], [0, 0]);
    assert.equal(queue.appendCopy(Buffer.alloc(65_536), 0), true);
  });

  it('owned arrays are sent from their own memory and freed when all of them is sent', () => {
    const { pool, kernel, queue, send } = make();
    const owned = new Uint8Array(5000).fill(0x61);
    let freed = 0;
    queue.appendOwned(owned.subarray(1000), () => {
      freed += 1;
    });
    assert.deepEqual([pool.usedBlocks, queue.sizes.ownedBytes], [0, 4000]);
    const vector = new FakeVector(kernel);
    queue.gather(vector);
    assert.equal(vector.ranges[0]!.buffer, owned.buffer);
    send(3999);
    assert.equal(freed, 0);
    send();
    assert.deepEqual([freed, queue.isIdle], [1, true]);
  });

  it('small owned arrays are copied and free at once', () => {
    const { queue, send } = make();
    const owned = Buffer.alloc(2047, 'a');
    let freed = 0;
    queue.appendOwned(owned, () => {
      freed += 1;
      owned.fill(0);
    });
    queue.appendOwned(new Uint8Array(0), () => {
      freed += 1;
    });
    queue.appendOwned(Buffer.from('b'), undefined);
    assert.equal(freed, 2);
    assert.equal(send(), `${'a'.repeat(2047)}b`);
  });

  it('small owned arrays are kept when the pool has no room for a copy', () => {
    const { queue, send } = make({ bytesMax: 0 });
    let freed = 0;
    queue.appendOwned(new Uint8Array([0x61]), () => {
      freed += 1;
    });
    assert.deepEqual([freed, queue.byteLength], [0, 1]);
    assert.equal(send(), 'a');
    assert.equal(freed, 1);
  });

  it('an owned array that was transferred stops the queue with an error, after what comes before', () => {
    const { queue, send, errors, kernel } = make();
    queue.appendString('before');
    const owned = new Uint8Array(4096);
    queue.appendOwned(owned, undefined);
    structuredClone(owned.buffer, { transfer: [owned.buffer] });
    assert.equal(send(), 'before');
    errors.length = 0;
    const vector = new FakeVector(kernel);
    assert.equal(queue.gather(vector), 0);
    assert.match(String(errors[0]), /transferred/);
    queue.clear();
    assert.equal(queue.isIdle, true);
  });

  it('linked buffers are moved: large ones with their blocks, small ones into the tail', () => {
    const { pool, queue, send } = make();
    const buffer = takeBuffer(pool);
    buffer.appendCopy(Buffer.alloc(3000, 'a'));
    buffer.skip(1);
    const block = buffer.head!;
    queue.appendLinked(buffer);
    assert.deepEqual([queue.head, buffer.length, buffer.head], [block, 0, null]);
    const { nodes } = queue.sizes;
    buffer.appendCopy(Buffer.alloc(10, 'b'));
    queue.appendLinked(buffer);
    assert.equal(queue.sizes.nodes, nodes);
    assert.equal(send(), 'a'.repeat(2999) + 'b'.repeat(10));
    assert.equal(pool.usedBlocks, 0);
  });

  it('borrowed bytes cannot be queued', () => {
    const { pool, queue } = make();
    const buffer = takeBuffer(pool);
    buffer.borrow(Buffer.from('abc'));
    assert.throws(() => queue.appendLinked(buffer), /borrowed/);
    assert.equal(queue.byteLength, 0);
  });

  it('gather() stops when the vector is full, and goes on where consume() ended', () => {
    const { kernel, queue } = make();
    for (let i = 0; i < 10; i++) {
      queue.appendOwned(Buffer.alloc(3000, 0x61 + i), undefined);
    }
    const vector = new FakeVector(kernel, 4);
    assert.equal(queue.gather(vector), 4);
    queue.consume(9001);
    const next = new FakeVector(kernel, 2);
    queue.gather(next);
    assert.deepEqual([next.byteLength, next.bytes[0], next.bytes[2999]], [5999, 0x64, 0x65]);
  });

  it('consume() of more than is queued throws and changes nothing', () => {
    const { queue, send } = make();
    queue.appendString('abc');
    assert.throws(() => queue.consume(4), RangeError);
    assert.throws(() => queue.consume(-1), RangeError);
    assert.equal(send(), 'abc');
  });
});

describe('WriteQueue with an asynchronous driver', () => {
  it('gathered blocks are lent until consume(), and what is appended meanwhile is not in their range', () => {
    const { pool, kernel, queue, send } = make({ asynchronous: true });
    queue.appendString('hello ');
    const block = queue.head!;
    const vector = new FakeVector(kernel);
    queue.gather(vector);
    queue.appendString('world');
    assert.equal(queue.head, block);
    assert.throws(() => pool.release(block), /being sent/);
    assert.equal(vector.bytes.toString(), 'hello ');
    // The driver made nothing of it, and asks again.
    const again = new FakeVector(kernel);
    queue.gather(again);
    assert.equal(again.bytes.toString(), 'hello world');
    assert.throws(() => pool.release(block), /being sent/);
    queue.consume(5);
    assert.equal(send(), ' world');
    assert.equal(pool.usedBlocks, 0);
  });

  it('clear() takes the lent blocks back', () => {
    const { pool, kernel, queue } = make({ asynchronous: true });
    queue.appendCopy(Buffer.alloc(10_000), 0);
    queue.gather(new FakeVector(kernel, 1));
    queue.clear();
    assert.deepEqual([pool.usedBlocks, queue.isIdle], [0, true]);
  });
});

describe('WriteQueue callbacks', () => {
  it('a receipt is called once everything queued before it is consumed', () => {
    const { queue } = make();
    const log: string[] = [];
    queue.appendString('abc');
    queue.addReceipt((handedOver) => log.push(`1 ${handedOver}`));
    queue.appendString('de');
    queue.addReceipt((handedOver) => log.push(`2 ${handedOver}`));
    queue.consume(2);
    assert.deepEqual([log, queue.hasReceipts], [[], true]);
    queue.consume(1);
    assert.deepEqual(log, ['1 true']);
    queue.consume(2);
    assert.deepEqual([log, queue.hasReceipts], [['1 true', '2 true'], false]);
    queue.addReceipt((handedOver) => log.push(`3 ${handedOver}`));
    assert.deepEqual(log.slice(2), ['3 true']);
  });

  it('clear() frees what is owned, says false to receipts and releases all blocks', () => {
    const { pool, queue } = make();
    const log: unknown[] = [];
    queue.appendString('abc');
    queue.appendOwned(Buffer.alloc(4000), (...args: unknown[]) => log.push('freed', ...args));
    queue.addReceipt((handedOver) => log.push(handedOver));
    queue.clear();
    assert.deepEqual(log, ['freed', false]);
    assert.deepEqual([pool.usedBlocks, queue.byteLength, queue.isIdle], [0, 0, true]);
    queue.clear();
    assert.equal(log.length, 2);
  });

  it('a callback that throws is reported and stops nothing', () => {
    const { queue, errors, pool } = make();
    let called = 0;
    for (let i = 0; i < 3; i++) {
      queue.appendOwned(Buffer.alloc(3000), () => {
        called += 1;
        throw new Error(`owned ${i}`);
      });
      queue.addReceipt(() => {
        called += 1;
        throw new Error(`receipt ${i}`);
      });
    }
    queue.consume(6500);
    queue.clear();
    assert.equal(called, 6);
    assert.equal(errors.length, 6);
    assert.deepEqual([pool.usedBlocks, queue.isIdle], [0, true]);
  });

  it('callbacks see a consistent queue, may append and consume, and are called in order', () => {
    const { queue, send } = make();
    const log: string[] = [];
    queue.appendString('a');
    queue.addReceipt(() => {
      log.push('1');
      assert.deepEqual([queue.byteLength, queue.head, queue.hasReceipts], [0, null, true]);
      assert.equal(queue.isIdle, false);
      queue.appendString('b');
      queue.addReceipt(() => log.push('3'));
      assert.equal(send(), 'b');
      assert.equal(queue.isIdle, false);
      log.push('1 returns');
    });
    queue.addReceipt(() => log.push('2'));
    queue.consume(1);
    assert.deepEqual(log, ['1', '1 returns', '2', '3']);
    assert.equal(queue.isIdle, true);
  });

  it('a callback may clear the queue', () => {
    const { queue, pool } = make();
    const log: string[] = [];
    queue.appendString('ab');
    queue.addReceipt(() => queue.clear());
    queue.appendString('cd');
    queue.addReceipt((handedOver) => log.push(`2 ${handedOver}`));
    queue.consume(2);
    assert.deepEqual(log, ['2 false']);
    assert.deepEqual([queue.isIdle, pool.usedBlocks], [true, 0]);
  });

  it('many receipts on a queue that never empties are called in order', () => {
    const { queue } = make();
    const log: number[] = [];
    queue.appendString('x');
    for (let i = 0; i < 1000; i++) {
      queue.appendString('x');
      queue.addReceipt(() => log.push(i));
      if (i >= 100) {
        queue.consume(1);
      }
      // The first byte has no receipt: the one of step i is called when i + 2 bytes are consumed.
      assert.equal(log.length, Math.max(0, i - 100));
    }
    assert.ok(log.every((value, i) => value === i));
  });
});
