/** websocket/close-code: the ranges of RFC 6455 section 7.4. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isWireCloseCode } from '../../src/websocket/close-code.js';

test('1000 to 1014 but the reserved ones, and 3000 to 4999, may travel', () => {
  const valid: number[] = [];
  for (let code = 0; code <= 65_535; code += 1) {
    if (isWireCloseCode(code)) valid.push(code);
  }
  const low = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  const high = Array.from({ length: 2_000 }, (_, i) => 3000 + i);
  assert.deepEqual(valid, [...low, ...high]);
});
