/**
 * The corpus: each case whole, byte by byte, cut at every place, and cut at random; and limits other than the defaults.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { LIMIT_DEFAULTS } from '../../src/http/limits.js';
import { READ_REJECTED } from '../../src/http/message-reader.js';
import { RequestReader } from '../../src/http/request-reader.js';
import { readCases } from './case-file.js';
import { logOf } from './event-log.js';
import { mutatedCases } from './mutated-cases.js';

const CASES = readCases();
/** Longer ones are cut at every n-th place only: what they are about is their length. */
const EVERY_CUT_BYTES = 1_500;

function cutsOf({ byteLength }: Buffer): number[] {
  const step = byteLength <= EVERY_CUT_BYTES ? 1 : Math.ceil(byteLength / 40);
  return Array.from({ length: Math.floor((byteLength - 1) / step) }, (_, i) => (i + 1) * step);
}

describe('RequestReader', () => {
  it('has a corpus', () => assert.ok(CASES.length > 200, `${CASES.length} cases`));

  for (const { name, bytes, events } of CASES) {
    it(name, () => {
      assert.deepEqual(logOf(bytes), events, 'whole');
      assert.deepEqual(logOf(bytes, cutsOf(bytes)), events, 'in the smallest pieces');
      for (const cut of cutsOf(bytes)) {
        assert.deepEqual(logOf(bytes, [cut]), events, `cut at ${cut}`);
      }
    });
  }

  it('nothing is read after a reject', () => {
    const rejected = CASES.filter(({ events }) => /^reject/.test(events.at(-1) ?? ''));
    assert.ok(rejected.length > 130, `${rejected.length} rejects`);
    for (const { name, bytes } of rejected) {
      const reader = new RequestReader(LIMIT_DEFAULTS);
      let pos = 0;
      while (reader.next(bytes, pos, bytes.length) !== READ_REJECTED) {
        pos = reader.pos;
      }
      const canary = Buffer.from('GET /canary HTTP/1.1\r\nHost: a\r\n\r\n');
      for (let i = 0; i < 3; i += 1) {
        assert.equal(reader.next(canary, 0, canary.length), READ_REJECTED, name);
      }
    }
  });

  it('the outcome does not depend on the cuts, for mutations of the corpus', () => {
    fc.assert(
      fc.property(mutatedCases(), fc.array(fc.nat(), { maxLength: 8 }), (bytes, places) => {
        const cuts = places.map((place) => place % (bytes.byteLength + 1)).sort((a, b) => a - b);
        assert.deepEqual(logOf(bytes, cuts), logOf(bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  it('the outcome does not depend on the cuts at limits that are reached everywhere', () => {
    const limits = {
      ...LIMIT_DEFAULTS,
      headBytesMax: 90,
      lineBytesMax: 40,
      fieldsMax: 3,
      bodyBytesMax: 20,
      trailerBytesMax: 20,
      trailersMax: 1,
      chunkExtensionBytesMax: 4,
    };
    fc.assert(
      fc.property(mutatedCases(), (bytes) => {
        const whole = logOf(bytes, [], limits);
        const every = Array.from({ length: bytes.byteLength }, (_, i) => i);
        assert.deepEqual(logOf(bytes, every, limits), whole);
      }),
      { numRuns: 2_000 },
    );
  });

  it('bytes at random are never accepted and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const log = logOf(Buffer.from(bytes));
        assert.ok(log.length === 0 || /^(reject|more)/.test(log[0]!), log.join('\n'));
      }),
      { numRuns: 2_000 },
    );
  });
});
