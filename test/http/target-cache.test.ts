import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TargetCache } from '../../src/http/target-cache.js';

test('whatever was asked before, the text is that of the bytes', () => {
  const cache = new TargetCache();
  const bytes = fc.uint8Array({ maxLength: 80 });
  fc.assert(
    fc.property(bytes, bytes, fc.boolean(), (before, after, again) => {
      const whole = Buffer.concat([before, after]);
      const start = before.length;
      for (let i = 0; i < (again ? 2 : 1); i += 1) {
        const text = cache.find(whole, start, whole.length).text;
        assert.equal(text, Buffer.from(after).toString('latin1'));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('texts that share a place take each other’s, and both stay right', () => {
  const cache = new TargetCache();
  // Far more than it has places.
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 3_000; i += 1) {
      const text = `/users/${i}/items/${i * 7}`;
      assert.equal(cache.find(Buffer.from(text), 0, text.length).text, text);
    }
  }
});

test('the bytes may change afterwards', () => {
  const cache = new TargetCache();
  const bytes = Buffer.from('/first');
  const first = cache.find(bytes, 0, 6).text;
  bytes.write('/other', 'latin1');
  assert.equal(cache.find(bytes, 0, 6).text, '/other');
  assert.equal(first, '/first');
  bytes.write('/first', 'latin1');
  assert.equal(cache.find(bytes, 0, 6).text, '/first');
});
