import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { type Coding, negotiateCoding } from '../../src/http/accept-encoding.js';

describe('negotiateCoding', () => {
  for (const [accepted, expected] of [
    [undefined, undefined],
    ['', undefined],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip;q=1, br;q=0.5', 'gzip'],
    ['gzip; q=0.8 , br ;q=0.9', 'br'],
    ['*', 'br'],
    ['*;q=0.1', 'br'],
    ['br;q=0, *', 'zstd'],
    ['br;q=0, zstd;q=0, gzip;q=0', undefined],
    ['identity', undefined],
    ['identity;q=1, gzip;q=0.5', undefined],
    ['identity;q=0.5, gzip;q=1', 'gzip'],
    ['gzip;q=2', undefined],
    ['gzip;q=', undefined],
    ['gzip;level=9', undefined],
    ['gzip;q=1e-9999', undefined],
    ['deflate', undefined],
    [',,;q=1,(,gzip', 'gzip'],
    ['__proto__, constructor, gzip;q=0.1', 'gzip'],
  ] as const) {
    it(`${accepted} gives ${expected}`, () => {
      assert.equal(negotiateCoding(accepted, ['br', 'zstd', 'gzip']), expected);
    });
  }

  it('gives nothing that is not offered, and throws for no text', () => {
    const text = fc.array(fc.constantFrom('gzip', 'br', ';', 'q=', '0.5', ',', '*', ' ', 'x'));
    fc.assert(
      fc.property(text, fc.subarray<Coding>(['br', 'gzip']), (parts, offered) => {
        const coding = negotiateCoding(parts.join(''), offered);
        assert.ok(coding === undefined || offered.includes(coding));
      }),
    );
  });
});
