import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { checkConditions, rangeOf } from '../../src/http/conditions.js';
import { formatHttpDate } from '../../src/http/http-date.js';

const MODIFIED = Date.UTC(2026, 0, 1, 12, 0, 0) + 500;
const FILE = { etag: '"a"', modifiedMs: MODIFIED, byteLength: 1_000 };
const NOW = formatHttpDate(MODIFIED);
const BEFORE = formatHttpDate(MODIFIED - 1_000);

const fieldsOf = (fields: Record<string, string>) => ({ header: (name: string) => fields[name] });

describe('checkConditions', () => {
  for (const [fields, expected] of [
    [{}, undefined],
    [{ 'if-match': '"a"' }, undefined],
    [{ 'if-match': '*' }, undefined],
    [{ 'if-match': '"b", "a"' }, undefined],
    [{ 'if-match': '"b"' }, 412],
    [{ 'if-match': 'W/"a"' }, 412],
    [{ 'if-match': '"b"', 'if-unmodified-since': NOW }, 412],
    [{ 'if-unmodified-since': NOW }, undefined],
    [{ 'if-unmodified-since': BEFORE }, 412],
    [{ 'if-unmodified-since': 'never' }, undefined],
    [{ 'if-none-match': '"a"' }, 304],
    [{ 'if-none-match': 'W/"a"' }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"x,y", "a"' }, 304],
    [{ 'if-none-match': '"b"' }, undefined],
    [{ 'if-none-match': '"b"', 'if-modified-since': NOW }, undefined],
    [{ 'if-none-match': 'a' }, undefined],
    [{ 'if-none-match': '"' }, undefined],
    [{ 'if-modified-since': NOW }, 304],
    [{ 'if-modified-since': BEFORE }, undefined],
    [{ 'if-modified-since': 'Thu' }, undefined],
    [{ 'if-match': '"a"', 'if-none-match': '"a"' }, 304],
  ] as [Record<string, string>, number | undefined][]) {
    it(`${JSON.stringify(fields)} is ${expected}`, () => {
      assert.equal(checkConditions(fieldsOf(fields), FILE), expected);
    });
  }
});

describe('rangeOf', () => {
  it('If-Range asks for the same file', () => {
    for (const [condition, isRange] of [
      ['"a"', true],
      ['W/"a"', false],
      ['"b"', false],
      [NOW, true],
      [BEFORE, false],
    ] as const) {
      const found = rangeOf(fieldsOf({ range: 'bytes=0-1', 'if-range': condition }), FILE);
      assert.equal(found !== undefined, isRange, condition);
    }
  });
});
