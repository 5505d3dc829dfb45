/** What a Content-Encoding field means. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as zlib from 'node:zlib';

import { ACCEPTED, readCodings } from '../../src/http/content-coding.js';

const hasZstd = 'createZstdDecompress' in zlib;

describe('readCodings', () => {
  it('gives the codings that can be undone, the last one first', () => {
    for (const [field, codings] of [
      [undefined, []],
      ['', []],
      ['gzip', ['gzip']],
      [' GZip ', ['gzip']],
      ['x-gzip', ['gzip']],
      ['deflate, gzip,br', ['br', 'gzip', 'deflate']],
      ['identity', []],
      ['identity, gzip', ['gzip']],
      [',gzip,,', ['gzip']],
      // All or nothing.
      ['compress', []],
      ['x-compress, gzip', []],
      ['gzip, foo', []],
      ['gzip;q=1', []],
      ['__proto__', []],
      ['gzip, gzip, gzip, gzip, gzip', ['gzip', 'gzip', 'gzip', 'gzip', 'gzip']],
      ['gzip, gzip, gzip, gzip, gzip, gzip', undefined],
      ['zstd', hasZstd ? ['zstd'] : []],
    ] as const) {
      assert.deepEqual(readCodings(field), codings, field);
    }
    assert.equal(ACCEPTED, hasZstd ? 'gzip, deflate, br, zstd' : 'gzip, deflate, br');
  });
});
