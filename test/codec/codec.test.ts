/** Codecs of messages. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { encodeFrame, jsonCodec, lengthField, lines, mapCodec } from '../../src/codec/index.js';
import { decodeAll } from './stream-model.js';

it('JSON goes over any framing', () => {
  const message = { id: 1, text: 'grün' };
  for (const codec of [
    jsonCodec<typeof message>(lengthField()),
    jsonCodec<typeof message>(lines()),
  ]) {
    const frame = encodeFrame(codec, message);
    assert.deepEqual(decodeAll(codec, [frame], (each) => each).frames, [message]);
  }
  assert.equal(encodeFrame(jsonCodec(lines()), [1]).toString(), '[1]\n');
});

it('what JSON does not have is not sent; what is none is an error with its cause', () => {
  const codec = jsonCodec(lines());
  assert.throws(() => encodeFrame(codec, undefined), TypeError);
  assert.deepEqual(
    decodeAll(codec, [Buffer.from('{\n1\n')], (each) => each, { skips: true }),
    {
      frames: [1],
      errors: ['ERR_FRAME_DECODE'],
      keptBytes: 0,
    },
  );
});

it('codecs compose', () => {
  const numbers = mapCodec(lengthField({ lengthBytes: 1 }), {
    decode: (frame) => frame.readInt32BE(),
    encode(value: number) {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(value);
      return bytes;
    },
  });
  const signs = mapCodec(numbers, {
    decode: (n) => n < 0,
    encode: (isNegative: boolean) => (isNegative ? -1 : 1),
  });
  const stream = Buffer.concat([encodeFrame(signs, true), encodeFrame(signs, false)]);
  assert.deepEqual(decodeAll(signs, [stream], (each) => each).frames, [true, false]);
});
