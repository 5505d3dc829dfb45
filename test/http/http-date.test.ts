import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { formatHttpDate, parseHttpDate } from '../../src/http/http-date.js';

const YEAR_10000 = 253_402_300_800_000;

describe('HTTP dates', () => {
  it('are those of Date.toUTCString, and read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: YEAR_10000 - 1 }), (milliseconds) => {
        const text = formatHttpDate(milliseconds);
        assert.equal(text, new Date(milliseconds).toUTCString());
        assert.equal(parseHttpDate(text), Math.floor(milliseconds / 1_000) * 1_000);
      }),
      { numRuns: 20_000 },
    );
  });

  it('are nothing where a part is wrong', () => {
    for (const text of [
      '',
      'Sun, 06 Nov 1994 08:49:37 UTC',
      'Mon, 06 Nov 1994 08:49:37 GMT',
      'Wed, 30 Feb 1994 08:49:37 GMT',
      'Sun, 06 Nov 1994 24:49:37 GMT',
      'Sun, 06 Nov 1994 08:60:37 GMT',
      'Sun, 06 nov 1994 08:49:37 GMT',
      'Sun, +6 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
    ]) {
      assert.equal(parseHttpDate(text), undefined, text);
    }
  });
});
