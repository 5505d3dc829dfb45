/** base/zlib: raw DEFLATE against Node's own zlib. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, inflateRawSync } from 'node:zlib';

import {
  hasZlib,
  RawDeflate,
  RawInflate,
  STEP_BYTES,
  Z_NO_FLUSH,
  Z_OK,
  Z_STREAM_END,
  Z_SYNC_FLUSH,
  zlibVersion,
} from '../../src/base/zlib.js';

test("it is the zlib of Node's own", () => {
  assert.equal(hasZlib(), true);
  assert.equal(zlibVersion()?.split('-')[0], process.versions.zlib!.split('-')[0]);
});

test('steps of a stream are what Node inflates, and the other way round', () => {
  const text = Buffer.from('some text, some more text, and some more. '.repeat(4_000));
  const deflate = new RawDeflate(15, 6, 8);
  const pieces: Buffer[] = [];
  for (let at = 0; at < text.length; ) {
    const flush = text.length - at <= STEP_BYTES ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    assert.equal(deflate.step(text, at, flush), Z_OK);
    at += deflate.consumed;
    pieces.push(Buffer.from(deflate.output));
  }
  deflate.end();
  const packed = Buffer.concat([...pieces, Buffer.from([3, 0])]);
  assert.deepEqual(inflateRawSync(packed), text);
  const inflate = new RawInflate(15);
  const whole = deflateRawSync(text);
  let length = 0;
  let status = Z_OK;
  for (let at = 0; status !== Z_STREAM_END; at += inflate.consumed) {
    status = inflate.step(whole, at);
    assert.deepEqual(Buffer.from(inflate.output), text.subarray(length, length + inflate.produced));
    length += inflate.produced;
  }
  inflate.end();
  assert.equal(length, text.length);
});

test('a context that was ended refuses, and ends only once', () => {
  const inflate = new RawInflate(8);
  inflate.end();
  inflate.end();
  assert.throws(() => inflate.step(Buffer.from([3, 0]), 0), /was ended/);
});

test('a context that zlib does not make is an error', () => {
  assert.throws(() => new RawDeflate(15, 17, 8), RangeError);
  assert.throws(() => new RawInflate(99), RangeError);
});
