/** websocket/frame: headers as an independent reader understands them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BINARY, FIN, headerBytes, TEXT, writeHeader } from '../../src/websocket/frame.js';
import { frame, readFrame } from './support/frames.js';

test('headers are in the shortest form, with and without a key', () => {
  for (const length of [0, 125, 126, 65_535, 65_536, 3_000_000]) {
    for (const key of [undefined, 0x3d21fa37]) {
      const bytes = Buffer.alloc(headerBytes(length, key !== undefined) + length, 0xdb);
      assert.equal(writeHeader(bytes, 0, FIN | TEXT, length, key), bytes.length - length);
      const read = readFrame(bytes)!;
      assert.equal(read.size, bytes.length);
      assert.equal(read.frame.isMasked, key !== undefined);
      const mask = key === undefined ? undefined : Buffer.from('37fa213d', 'hex');
      const expected = frame(TEXT, Buffer.alloc(length), { mask });
      const header = bytes.length - length;
      assert.deepEqual(bytes.subarray(0, header), expected.subarray(0, header));
      assert.equal(read.frame.fin, true);
    }
  }
});

test('lengths up to 2^31 - 1 are written in full', () => {
  const bytes = Buffer.alloc(14, 0xff);
  assert.equal(writeHeader(bytes, 0, BINARY, 2 ** 31 - 1, undefined), 10);
  assert.equal(bytes.toString('hex', 0, 10), '027f000000007fffffff');
});
