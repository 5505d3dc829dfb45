/** Ranges of bytes, and several of them as one body. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { multipartOf, readRanges } from '../../src/http/ranges.js';

const found = (field: string, byteLength = 1_000, max = 16) => {
  const ranges = readRanges(field, byteLength, max);
  return typeof ranges === 'object' ? ranges.map(({ start, end }) => [start, end]) : ranges;
};

describe('readRanges', () => {
  for (const [field, expected] of [
    ['bytes=0-0', [[0, 1]]],
    ['BYTES=0-0', [[0, 1]]],
    ['bytes=0-499', [[0, 500]]],
    ['bytes=0-999', [[0, 1_000]]],
    ['bytes=500-', [[500, 1_000]]],
    ['bytes=900-2000', [[900, 1_000]]],
    ['bytes=-1', [[999, 1_000]]],
    ['bytes=-2000', [[0, 1_000]]],
    ['bytes=1000-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=1000-,-0', 'unsatisfiable'],
    ['bytes=5-4', undefined],
    ['bytes=a-b', undefined],
    ['bytes=-', undefined],
    ['bytes=', undefined],
    ['bytes=,', undefined],
    ['bytes=--1', undefined],
    ['bytes=1e2-', undefined],
    ['bytes=1 -2', undefined],
    ['bytes=99999999999999999999-', undefined],
    ['bytes=0-1,x', undefined],
    ['lines=0-1', undefined],
    // Several.
    [
      'bytes=0-1,500-501',
      [
        [0, 2],
        [500, 502],
      ],
    ],
    [
      'bytes=500-501 , 0-1,',
      [
        [500, 502],
        [0, 2],
      ],
    ],
    ['bytes=0-1,5000-', [[0, 2]]],
    [
      'bytes=0-1,-2',
      [
        [0, 2],
        [998, 1_000],
      ],
    ],
    // Overlapping, touching, and closer together than a head is long.
    ['bytes=0-9,5-19', [[0, 20]]],
    ['bytes=5-19,0-9', [[0, 20]]],
    ['bytes=0-9,10-19', [[0, 20]]],
    ['bytes=0-9,100-109', [[0, 110]]],
    ['bytes=0-9,0-9,0-9,0-9', [[0, 10]]],
    [
      'bytes=500-509,0-9,505-',
      [
        [500, 1_000],
        [0, 10],
      ],
    ],
    // As long as all of it.
    ['bytes=0-400,600-', undefined],
    ['bytes=0-,0-,0-,0-', [[0, 1_000]]],
  ] as [string, number[][] | string | undefined][]) {
    it(`${field} is ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(found(field), expected);
    });
  }

  it('more than the bound are ignored, however many and long they are', () => {
    const many = (count: number) =>
      `bytes=${Array.from({ length: count }, (_, i) => `${i * 200}-${i * 200}`).join(',')}`;
    assert.equal(found(many(16), 1e6)?.length, 16);
    assert.equal(found(many(17), 1e6), undefined);
    assert.equal(found(many(100_000), 1e9), undefined);
    assert.equal(found('bytes=0-1,500-501', 1_000, 1), undefined);
    assert.deepEqual(found('bytes=0-1', 1_000, 1), [[0, 2]]);
  });

  it('gives all bytes that are asked for, within the file, apart from each other', () => {
    const part = fc.tuple(fc.nat(2_500), fc.nat(300), fc.constantFrom('both', 'first', 'last'));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), fc.nat(2_000), (parts, size) => {
        const wanted = new Set<number>();
        const items = parts.map(([start, length, kind]) => {
          const last = start + length;
          const from = kind === 'last' ? Math.max(size - start, 0) : start;
          const to = kind === 'both' ? Math.min(last + 1, size) : size;
          for (let at = from; at < to; at += 1) {
            wanted.add(at);
          }
          return kind === 'both'
            ? `${start}-${last}`
            : kind === 'first'
              ? `${start}-`
              : `-${start}`;
        });
        const ranges = readRanges(`bytes=${items.join(', ')}`, size, 16);
        if (ranges === undefined) {
          return;
        }
        if (ranges === 'unsatisfiable') {
          assert.equal(wanted.size, 0);
          return;
        }
        const inOrder = [...ranges].sort((a, b) => a.start - b.start);
        let sum = 0;
        for (const [i, { start, end }] of inOrder.entries()) {
          assert.ok(start >= 0 && start < end && end <= size);
          assert.ok(i === 0 || start - inOrder[i - 1]!.end >= 128);
          sum += end - start;
          for (let at = start; at < end; at += 1) {
            wanted.delete(at);
          }
        }
        assert.equal(wanted.size, 0);
        assert.ok(sum <= size);
      }),
    );
  });

  it('never throws, whatever the field holds', () => {
    const text = fc.array(fc.constantFrom('0', '1', '9', '-', ',', ' ', '=', 'x'), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, fc.nat({ max: 100 }), (characters, byteLength) => {
        const ranges = readRanges(`bytes=${characters.join('')}`, byteLength, 4);
        if (typeof ranges === 'object') {
          for (const { start, end } of ranges) {
            assert.ok(start >= 0 && start < end && end <= byteLength);
          }
        }
      }),
    );
  });
});

describe('multipartOf', () => {
  it('declares the length that it has', () => {
    const ranges = [
      { start: 0, end: 5 },
      { start: 500, end: 501 },
      { start: 200, end: 300 },
    ];
    const { heads, tail, byteLength, contentType } = multipartOf(ranges, {
      type: 'text/plain',
      byteLength: 1_000,
      boundary: 'x-1',
    });
    const body = heads.map((head, i) => head + '.'.repeat(ranges[i]!.end - ranges[i]!.start));
    assert.equal(`${body.join('')}${tail}`.length, byteLength);
    assert.equal(contentType, 'multipart/byteranges; boundary=x-1');
    assert.equal(
      heads[1],
      '\r\n--x-1\r\nContent-Type: text/plain\r\nContent-Range: bytes 500-500/1000\r\n\r\n',
    );
    assert.ok(heads[0]!.startsWith('--x-1\r\n'));
    assert.equal(tail, '\r\n--x-1--\r\n');
  });
});
