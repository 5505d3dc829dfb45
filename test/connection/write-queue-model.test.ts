import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BlockPool } from '../../src/connection/block-pool.js';
import { takeBuffer } from '../../src/connection/linked-buffer.js';
import { WriteQueue } from '../../src/connection/write-queue.js';
import { seededBytes } from '../support/bytes.js';
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
  return { kernel, pool, errors, queue };
}

describe('WriteQueue against a plain text', () => {
  const step = fc.record({
    kind: fc.nat(9),
    size: fc.oneof(fc.nat(50), fc.nat(5000), fc.nat(100_000)),
    seed: fc.nat(0xffff),
  });

  /** Everything that is appended comes out in order, whatever is consumed when; callbacks come when they should. */
  function run(steps: readonly { kind: number; size: number; seed: number }[], options: Options) {
    const { kernel, pool, errors, queue } = make(options);
    let queued = '';
    let total = 0;
    const expected: { at: number; name: string }[] = [];
    const called: string[] = [];
    let pending: FakeVector | undefined;
    let gathered = '';
    for (const [i, { kind, size, seed }] of steps.entries()) {
      const bytes = seededBytes(size, seed);
      const text = bytes.toString('latin1');
      let isTaken = false;
      if (kind < 2) {
        isTaken = queue.appendCopy(Buffer.concat([Buffer.alloc(kind), bytes]), kind);
      } else if (kind === 2) {
        isTaken = queue.appendString(text);
      } else if (kind === 3) {
        const before = called.length;
        queue.appendOwned(bytes, () => {
          called.push(`owned ${i}`);
          bytes.fill(0);
        });
        isTaken = true;
        if (called.length === before) {
          expected.push({ at: total + size, name: `owned ${i}` });
        } else {
          called.pop();
          assert.ok(size < 2048);
        }
      } else if (kind === 4) {
        const buffer = takeBuffer(pool);
        buffer.appendCopy(bytes);
        buffer.appendCopy(bytes);
        buffer.skip(size);
        queue.appendLinked(buffer);
        isTaken = true;
      } else if (kind === 5 && queued.length > 0) {
        queue.addReceipt((handedOver) => called.push(`receipt ${i} ${handedOver}`));
        expected.push({ at: total, name: `receipt ${i} true` });
      } else if (kind > 6 && pending === undefined && queued.length > 0) {
        pending = new FakeVector(kernel, 1 + (seed % 5));
        assert.equal(queue.gather(pending), pending.count);
        gathered = pending.bytes.toString('latin1');
        assert.ok(gathered.length > 0 && queued.startsWith(gathered));
      }
      if (isTaken) {
        queued += text;
        total += size;
      }
      if (pending !== undefined && (kind > 7 || !options.asynchronous)) {
        // Unchanged until the send completes, whatever was appended or freed meanwhile.
        assert.equal(pending.bytes.toString('latin1'), gathered);
        const n = kind === 9 ? gathered.length : Math.min(gathered.length, size + 1);
        pending = undefined;
        queue.consume(n);
        queued = queued.slice(n);
      }
      const due = expected.filter(({ at }) => at <= total - queued.length);
      assert.deepEqual(called.toSorted(), due.map(({ name }) => name).toSorted());
      assert.equal(queue.byteLength, queued.length);
    }
    queue.clear();
    assert.equal(called.length, expected.length);
    assert.deepEqual([pool.usedBytes, pool.close(), errors.length], [0, 0, 0]);
    kernel.check();
  }

  for (const [name, options] of [
    ['with a driver that answers at once', {}],
    ['with an asynchronous driver', { asynchronous: true }],
    ['with a small budget', { asynchronous: true, bytesMax: 90_000 }],
  ] as const) {
    it(`any sequence of calls, ${name}`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 50, size: 'max' }), (steps) => run(steps, options)),
        { numRuns: 100 },
      );
    });
  }
});
