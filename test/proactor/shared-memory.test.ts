/** The memory of reads without a buffer, against a model: what was copied stays until the next turn but one. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { SharedMemory } from '../../src/proactor/shared-memory.js';

const SIZE = 1_000;

describe('SharedMemory', () => {
  it('gives all, or nothing but in an empty piece, and overwrites nothing of this batch or the last', () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ length: fc.integer({ min: 1, max: 2 * SIZE }), at: fc.nat(50) }),
      },
      { weight: 1, arbitrary: fc.constant('turn' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new SharedMemory(SIZE);
        let batch: { copy: Buffer; expected: Buffer }[] = [];
        let last: typeof batch = [];
        let used = 0;
        for (const [i, each] of steps.entries()) {
          if (each === 'turn') {
            memory.turn();
            // Nothing was copied: the user still has the batch before.
            last = used > 0 ? batch : last;
            batch = [];
            used = 0;
            continue;
          }
          const bytes = Buffer.alloc(each.at + each.length, i + 1);
          bytes.fill(0, 0, each.at);
          const copy = memory.copy(bytes, each.at);
          const fits = each.length <= SIZE - used;
          assert.equal(copy !== undefined, fits || used === 0);
          if (copy !== undefined) {
            const n = Math.min(each.length, SIZE - used);
            assert.equal(copy.byteLength, n);
            batch.push({ copy, expected: Buffer.alloc(n, i + 1) });
            used += n;
          }
          for (const { copy: had, expected } of [...batch, ...last]) {
            assert.ok(had.equals(expected));
          }
        }
      }),
    );
  });

  it('takes no memory before it is used', () => {
    const before = process.memoryUsage().arrayBuffers;
    const memory = new SharedMemory(64 * 1_048_576);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_048_576);
    memory.turn();
    assert.equal(memory.copy(Buffer.from('x'), 0)?.toString(), 'x');
  });
});
