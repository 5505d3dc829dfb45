import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { NumberQueue } from '../../src/connection/number-queue.js';

describe('NumberQueue', () => {
  it('is a queue, whatever is done in whatever order', () => {
    const push = fc.record({ push: fc.array(fc.integer(), { maxLength: 40 }) });
    const shift = fc.record({ shift: fc.integer({ min: 1, max: 50 }) });
    fc.assert(
      fc.property(fc.array(fc.oneof(push, shift), { maxLength: 60 }), (steps) => {
        const queue = new NumberQueue();
        const model: number[] = [];
        for (const step of steps) {
          if ('push' in step) {
            for (const value of step.push) {
              queue.push(value);
              model.push(value);
            }
          } else {
            for (let i = 0; i < step.shift; i += 1) {
              assert.equal(queue.shift(), model.shift());
            }
          }
          assert.equal(queue.length, model.length);
        }
      }),
    );
  });

  it('goes on after a storm of a hundred thousand', () => {
    const queue = new NumberQueue();
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 100_000; i += 1) {
        queue.push(2 ** 32 + i);
      }
      for (let i = 0; i < 100_000; i += 1) {
        assert.equal(queue.shift(), 2 ** 32 + i);
      }
      assert.equal(queue.shift(), undefined);
      queue.push(7);
      assert.equal(queue.shift(), 7);
    }
  });
});
