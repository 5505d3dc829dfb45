import assert from 'node:assert/strict';
import { it } from 'node:test';

import { Columns } from '../../src/base/columns.js';

it('columns lie side by side in one memory, and keep what is asked for of the former ones', () => {
  const columns = new Columns(3, 8 + 4 + 1);
  const times = columns.cut(Float64Array);
  const words = columns.cut(Uint32Array, Uint32Array.of(7, 8, 9), 2);
  const kinds = columns.cut(Uint8Array, Uint8Array.of(5, 5, 5));
  times.fill(0.5);
  kinds.fill(1);
  assert.deepEqual([...times, ...words, ...kinds], [0.5, 0.5, 0.5, 7, 8, 0, 1, 1, 1]);
  assert.equal(times.buffer.byteLength, 39);
  assert.equal(kinds.buffer, times.buffer);
});

it('more columns than there is memory for are a mistake', () => {
  const columns = new Columns(4, 4);
  columns.cut(Uint32Array);
  assert.throws(() => columns.cut(Uint8Array), RangeError);
});
