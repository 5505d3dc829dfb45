/** Varints as protobuf writes them, and such as nobody may write. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { encodeFrame, varintLength } from '../../src/codec/index.js';
import { copyBytes, decodeAll } from './stream-model.js';

it('heads are those of protobuf', () => {
  const codec = varintLength();
  for (const [length, head] of [
    [0, '00'],
    [1, '01'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [16_383, 'ff7f'],
    [16_384, '808001'],
    [1_048_576, '808040'],
  ] as const) {
    const frame = encodeFrame(codec, Buffer.alloc(length, 9));
    assert.equal(frame.subarray(0, frame.byteLength - length).toString('hex'), head);
    assert.deepEqual(decodeAll(codec, [frame], copyBytes).frames, [Buffer.alloc(length, 9)]);
  }
  assert.throws(() => encodeFrame(codec, Buffer.alloc(1_048_577)), RangeError);
});

it('what is longer than allowed, or no varint of 31 bits, is an error', () => {
  const errors = (hex: string, maxFrameBytes = 2 ** 31 - 1) =>
    decodeAll(varintLength({ maxFrameBytes }), [Buffer.from(hex, 'hex')], copyBytes, {
      ends: false,
    }).errors;
  assert.deepEqual(errors('ac02', 299), ['ERR_FRAME_TOO_LONG']);
  assert.deepEqual(errors('ac02', 300), []);
  assert.deepEqual(errors('ffffffff07', 1), ['ERR_FRAME_TOO_LONG']);
  assert.deepEqual(errors('ffffffff08'), ['ERR_FRAME_CORRUPT']);
  assert.deepEqual(errors('ffffffff0f'), ['ERR_FRAME_CORRUPT']);
  assert.deepEqual(errors('808080808001'), ['ERR_FRAME_CORRUPT']);
  assert.deepEqual(errors('80808080'), []);
  // Longer than it needs to be, but a number: 1.
  assert.deepEqual(decodeAll(varintLength(), [Buffer.from('818000aa', 'hex')], copyBytes).frames, [
    Buffer.of(0xaa),
  ]);
});
