/** The queue of operations, against an array. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import type { Connection } from '../../src/index.js';
import {
  NO_DEADLINE,
  Operation,
  OperationQueue,
  READ,
  WRITE,
} from '../../src/proactor/operation.js';

const connection = {} as Connection;

describe('OperationQueue', () => {
  it('is first in, first out, also when some are taken out of the middle', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant('push' as const) },
      { weight: 2, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const queue = new OperationQueue();
        let model: number[] = [];
        let count = 0;
        for (const each of steps) {
          if (each === 'push') {
            queue.push(new Operation(READ, connection, undefined, count, NO_DEADLINE));
            model.push(count);
            count += 1;
          } else if (each === 'shift') {
            const operation = queue.shift();
            assert.equal(operation?.context, model.shift());
            assert.equal(operation?.next, undefined);
          } else {
            const isTaken = (n: number) => n % each === 0;
            const taken = queue.extract(({ context }) => isTaken(context as number));
            assert.deepEqual(
              taken.map(({ context }) => context),
              model.filter(isTaken),
            );
            assert.ok(taken.every(({ next }) => next === undefined));
            model = model.filter((n) => !isTaken(n));
          }
          const all: unknown[] = [];
          for (let at = queue.head; at !== undefined; at = at.next) {
            all.push(at.context);
          }
          assert.deepEqual(all, model);
        }
      }),
    );
  });
});

describe('Operation', () => {
  it('is a result from the start', () => {
    const buffer = Buffer.alloc(3);
    const write = new Operation(WRITE, connection, buffer, 'c', 5);
    assert.deepEqual(
      { ...write, connection: undefined },
      {
        operation: 'write',
        connection: undefined,
        context: 'c',
        buffer,
        isShared: false,
        size: 0,
        error: undefined,
        kind: WRITE,
        deadline: 5,
        start: 0,
        next: undefined,
      },
    );
    assert.equal(new Operation(READ, connection, undefined, 1, NO_DEADLINE).isShared, true);
  });
});
