/** cli/figures: numbers as the command line prints them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatBytes, formatCount, formatDuration, formatNoun } from '../../src/cli/figures.js';

test('counts have a comma before each three digits', () => {
  const cases = new Map([
    [0, '0'],
    [999, '999'],
    [1_000, '1,000'],
    [1_234_567.4, '1,234,567'],
    [9_007_199_254_740_991, '9,007,199,254,740,991'],
  ]);
  for (const [n, text] of cases) assert.equal(formatCount(n), text);
});

test('one is singular and everything else is plural', () => {
  assert.equal(formatNoun(0, 'message'), '0 messages');
  assert.equal(formatNoun(1, 'message'), '1 message');
  assert.equal(formatNoun(12_345, 'message'), '12,345 messages');
});

test('bytes get the unit that suits them, and never 1,000.0 of one', () => {
  const cases = new Map([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [999_949, '999.9 kB'],
    [999_950, '1.0 MB'],
    [1_250_000, '1.3 MB'],
    [1_234_567_890, '1,234.6 MB'],
  ]);
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
});

test('durations go from seconds to minutes to hours without a 60', () => {
  const cases = new Map([
    [0, '0.0 s'],
    [12_345, '12.3 s'],
    [59_949, '59.9 s'],
    [59_960, '1 min 0 s'],
    [125_400, '2 min 5 s'],
    [3_599_700, '1 h 0 min'],
    [93_780_000, '26 h 3 min'],
  ]);
  for (const [milliseconds, text] of cases) assert.equal(formatDuration(milliseconds), text);
});
