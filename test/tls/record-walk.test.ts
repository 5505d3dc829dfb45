/** The walk over records: the same however the bytes are cut. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import fc from 'fast-check';

import { type RecordWalk, walkRecords } from '../../src/tls/record-walk.js';

function record(length: number): Buffer {
  return Buffer.concat([
    Buffer.from([23, 3, 3, length >> 8, length & 0xff]),
    Buffer.alloc(length, 9),
  ]);
}

it('ends after so many records, and at the end of the bytes', () => {
  const bytes = Buffer.concat([
    record(10),
    record(300),
    record(0),
    record(7),
    record(9).subarray(0, 8),
  ]);
  const walk: RecordWalk = { recordRest: 0, recordsEnded: 0 };
  const ends: [number, number][] = [];
  for (let at = 0; at < bytes.length; ) {
    at = walkRecords(walk, bytes, at, 2);
    ends.push([at, walk.recordsEnded]);
  }
  assert.deepEqual(ends, [
    [15 + 305, 2],
    [15 + 305 + 5 + 12, 2],
    [bytes.length, 0],
  ]);
  assert.equal(walk.recordRest, 6);
});

it('counts the same, whatever the cuts and batches', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 12 });
  const cuts = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(lengths, cuts, fc.integer({ min: 1, max: 5 }), (sizes, pieces, recordsMax) => {
      const bytes = Buffer.concat(sizes.map(record));
      const walk: RecordWalk = { recordRest: 0, recordsEnded: 0 };
      let ended = 0;
      let from = 0;
      for (let i = 0; from < bytes.length; i += 1) {
        const piece = bytes.subarray(from, from + pieces[i % pieces.length]!);
        for (let at = 0; at < piece.length; ) {
          const next = walkRecords(walk, piece, at, recordsMax);
          assert.ok(next > at);
          assert.ok(walk.recordsEnded <= recordsMax);
          ended += walk.recordsEnded;
          at = next;
        }
        from += piece.length;
      }
      assert.equal(ended, sizes.length);
      assert.equal(walk.recordRest, 0);
    }),
  );
});
