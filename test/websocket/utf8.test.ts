/** websocket/utf8: against Node's decoder, whole and in pieces. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { checkUtf8, isWholeUtf8, UTF8_INVALID, UTF8_START } from '../../src/websocket/utf8.js';

/** By decoding and encoding: what is invalid becomes U+FFFD and does not come back. */
function isValid(bytes: Uint8Array): boolean {
  const given = Buffer.from(bytes);
  return Buffer.from(given.toString()).equals(given);
}

/** Whether some continuation makes it valid, by the definition in RFC 3629: tried, up to three bytes. */
function isPrefix(bytes: Uint8Array): boolean {
  const tails = [[], [0x80], [0xa0], [0x90], [0x80, 0x80], [0xa0, 0x80], [0x90, 0x80]];
  const longer = [...tails, [0x80, 0x80, 0x80], [0x90, 0x80, 0x80]];
  return longer.some((tail) => isValid(Uint8Array.from([...bytes, ...tail])));
}

test('every sequence of up to two bytes, and every lead with every second and border bytes', () => {
  const border = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
  for (let first = 0; first < 256; first += 1) {
    for (let second = 0; second < 256; second += 1) {
      check([first, second]);
      if (first >= 0xc0 && second >= 0x70 && second < 0xd0) {
        for (const third of border) {
          check([first, second, third]);
          if (first >= 0xf0) check([first, second, third, 0x80]);
        }
      }
    }
  }
});

function check(values: number[]): void {
  const bytes = Buffer.from(values);
  const state = checkUtf8(UTF8_START, bytes, 0, bytes.length);
  assert.equal(state === UTF8_START, isValid(bytes), bytes.toString('hex'));
  assert.equal(state !== UTF8_INVALID, isPrefix(bytes), bytes.toString('hex'));
}

test('long texts in pieces: the same as whole, with one wrong byte anywhere', () => {
  const text = fc.string({ unit: 'binary', minLength: 0, maxLength: 200 });
  const wrong = fc.option(fc.tuple(fc.nat(800), fc.nat(255)));
  const cuts = fc.array(fc.nat(800), { maxLength: 6 });
  fc.assert(
    fc.property(text, wrong, cuts, (string, change, places) => {
      const bytes = Buffer.from(string);
      if (change !== null && bytes.length > 0) bytes[change[0] % bytes.length] = change[1];
      const borders = [...places.map((place) => Math.min(place, bytes.length)), 0, bytes.length];
      borders.sort((a, b) => a - b);
      let state = UTF8_START;
      for (let i = 1; i < borders.length && state !== UTF8_INVALID; i += 1) {
        state = checkUtf8(state, bytes, borders[i - 1]!, borders[i]!);
      }
      assert.equal(state === UTF8_START, isValid(bytes));
      assert.equal(isWholeUtf8(bytes), isValid(bytes));
    }),
    { numRuns: 3_000 },
  );
});
