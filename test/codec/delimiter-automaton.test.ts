/** The automaton against a search that looks at every place. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';

import { DelimiterAutomaton } from '../../src/codec/delimiter-automaton.js';

const word = fc.uint8Array({ minLength: 1, maxLength: 5 }).map((b) => b.map((each) => each % 3));

function firstEnd(
  delimiters: readonly Uint8Array[],
  bytes: Buffer,
): [end: number, matched: number] {
  for (let end = 1; end <= bytes.byteLength; end += 1) {
    const matched = delimiters
      .filter(
        (each) =>
          bytes.subarray(0, end).subarray(-each.byteLength).equals(each) && each.byteLength <= end,
      )
      .reduce((most, { byteLength }) => Math.max(most, byteLength), 0);
    if (matched > 0) {
      return [end, matched];
    }
  }
  return [-1, 0];
}

it('finds the first end, and the longest delimiter there', () => {
  const text = fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b.map((each) => each % 3)));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), text, (delimiters, bytes) => {
      const automaton = new DelimiterAutomaton(delimiters);
      const end = automaton.search(bytes, 0, bytes.byteLength);
      assert.deepEqual([end, end < 0 ? 0 : automaton.matched], firstEnd(delimiters, bytes));
    }),
    { numRuns: 2_000 },
  );
});

it('goes on from its state as if nothing had been cut', () => {
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 4 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.nat({ max: 40 }),
      (delimiters, noise, at) => {
        const bytes = Buffer.from(noise.map((each) => each % 3));
        const cut = Math.min(at, bytes.byteLength);
        const automaton = new DelimiterAutomaton(delimiters);
        const whole = automaton.search(bytes, 0, bytes.byteLength);
        if (automaton.search(bytes, 0, cut) < 0) {
          const state = automaton.stateAfter(bytes, 0, cut);
          assert.equal(automaton.pass(bytes, cut, bytes.byteLength, state), whole);
        }
      },
    ),
  );
});
