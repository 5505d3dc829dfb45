/** Values of socket options as bytes; the checks and their messages are tested through socket-options.test.ts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import {
  checkInteger,
  DEVICE_BYTES,
  decodeDevice,
  decodeInteger,
  decodeLinger,
  describeValue,
  encodeDevice,
  encodeFlag,
  encodeInteger,
  encodeLinger,
  INT_MAX,
} from '../../src/connection/option-values.js';

test('integers and lingers survive to bytes and back, also in a view of a larger buffer', () => {
  const seconds = fc.option(fc.integer({ min: 0, max: INT_MAX }));
  fc.assert(
    fc.property(fc.integer(), seconds, fc.nat(7), (n, linger, offset) => {
      assert.equal(decodeInteger(encodeInteger(n)), n);
      const storage = new Uint8Array(16);
      storage.set(encodeLinger('linger', linger), offset);
      assert.equal(decodeLinger(storage.subarray(offset, offset + 8)), linger);
    }),
  );
});

test('flags are the integers 1 and 0', () => {
  assert.equal(decodeInteger(encodeFlag('flag', true)), 1);
  assert.equal(decodeInteger(encodeFlag('flag', false)), 0);
});

test('a device is read up to its NUL or to the length the kernel wrote', () => {
  assert.deepEqual([...encodeDevice('device', 'lo')], [108, 111, 0]);
  const value = new Uint8Array(DEVICE_BYTES).fill(0x61);
  value.set([108, 111, 0]);
  assert.equal(decodeDevice(value, 3), 'lo');
  assert.equal(decodeDevice(value, 0), '');
  assert.equal(decodeDevice(value.fill(0x61), 99), 'a'.repeat(DEVICE_BYTES));
});

test('checkInteger() gives the value back or says what was expected', () => {
  assert.equal(checkInteger('count', 3, 1, 3), 3);
  assert.throws(() => checkInteger('count', 4, 1, 3, ' or null'), {
    name: 'RangeError',
    message: 'count is 4; expected an integer from 1 to 3 or null',
  });
  assert.throws(() => checkInteger('count', 1n, 1, 3), TypeError);
});

test('describeValue() quotes strings only', () => {
  assert.equal(describeValue('1'), '"1"');
  assert.equal(describeValue(1), '1');
  assert.equal(describeValue(undefined), 'undefined');
  assert.equal(describeValue(Symbol('a')), 'Symbol(a)');
});
