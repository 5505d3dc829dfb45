/** websocket/mask: against the RFC's formula. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { mask } from '../../src/websocket/mask.js';

test('octet i is XORed with octet i modulo 4 of the key, at any alignment, phase and length, and no other', () => {
  const bytes = fc.uint8Array({ maxLength: 400 });
  const places = [fc.nat(7), fc.nat(9), fc.nat(9), fc.nat(3)] as const;
  fc.assert(
    fc.property(bytes, fc.integer(), ...places, (data, key, skip, before, after, phase) => {
      // A view at any position of a larger memory.
      const buffer = Buffer.from(new ArrayBuffer(skip + before + data.length + after), skip);
      buffer.set(data, before);
      const expected = Buffer.from(buffer);
      const octets = [key & 255, (key >>> 8) & 255, (key >>> 16) & 255, key >>> 24];
      for (let i = 0; i < data.length; i += 1) {
        expected[before + i] ^= octets[(phase + i) % 4]!;
      }
      mask(buffer, before, before + data.length, key, phase);
      assert.deepEqual(buffer, expected);
    }),
    { numRuns: 2_000 },
  );
});
