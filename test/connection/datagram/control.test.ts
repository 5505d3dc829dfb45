/** Ancillary data: what was written is found, and what is malformed is not read beyond its end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { findControl, putControl } from '../../../src/connection/datagram/control.js';

test('finds each of several messages, and none that is not there', () => {
  const words = new Int32Array(64);
  let at = 16;
  const starts: number[] = [];
  for (const [type, bytes] of [
    [1, 2],
    [2, 12],
    [3, 20],
  ] as const) {
    starts.push(at + 16);
    at = putControl(words, at, 17, type, bytes);
    assert.equal(at % 8, 0);
  }
  const length = at - 16;
  for (const [i, start] of starts.entries()) {
    assert.equal(findControl(words, 16, length, 17, i + 1), start);
  }
  assert.equal(findControl(words, 16, length, 17, 4), -1);
  assert.equal(findControl(words, 16, length, 0, 1), -1);
  assert.equal(findControl(words, 16, 0, 17, 1), -1);
});

test('whatever the memory holds, the search ends inside of it', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { maxLength: 32 }), fc.nat(128), (values, length) => {
      const words = Int32Array.from([...values, ...new Array<number>(32).fill(0)]).subarray(0, 32);
      const found = findControl(words, 0, length, values[2] ?? 0, values[3] ?? 0);
      assert.ok(found === -1 || (found >= 16 && found <= length));
    }),
  );
});
