/** The layouts that Netty's documentation of its length-field decoder goes through, and the edges of each option. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { encodeFrame, type LengthFieldOptions, lengthField } from '../../src/codec/index.js';
import { copyBytes, decodeAll } from './stream-model.js';

const HELLO = Buffer.from('HELLO, WORLD');

function framesOf(options: LengthFieldOptions, stream: Buffer) {
  const { frames, errors } = decodeAll(lengthField(options), [Buffer.from(stream)], copyBytes);
  return errors.length > 0 ? errors : frames.map((frame) => frame.toString('latin1'));
}

function bytes(...parts: (number[] | Buffer)[]): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

describe('layouts', () => {
  const cases: readonly [string, LengthFieldOptions, Buffer, Buffer][] = [
    [
      '2 bytes at 0, header kept',
      { lengthBytes: 2, stripBytes: 0 },
      bytes([0, 12], HELLO),
      bytes([0, 12], HELLO),
    ],
    [
      '2 bytes at 0, header stripped',
      { lengthBytes: 2, stripBytes: 2 },
      bytes([0, 12], HELLO),
      HELLO,
    ],
    [
      'the length counts the field',
      { lengthBytes: 2, lengthAdjustment: -2, stripBytes: 0 },
      bytes([0, 14], HELLO),
      bytes([0, 14], HELLO),
    ],
    [
      '3 bytes after a header of 2',
      { lengthOffset: 2, lengthBytes: 3, stripBytes: 0 },
      bytes([0xca, 0xfe, 0, 0, 12], HELLO),
      bytes([0xca, 0xfe, 0, 0, 12], HELLO),
    ],
    [
      '3 bytes before a header of 2',
      { lengthBytes: 3, lengthAdjustment: 2, stripBytes: 0 },
      bytes([0, 0, 12, 0xca, 0xfe], HELLO),
      bytes([0, 0, 12, 0xca, 0xfe], HELLO),
    ],
    [
      'between two headers, the first and the field stripped',
      {
        lengthOffset: 1,
        lengthBytes: 2,
        lengthAdjustment: 1,
        stripBytes: 3,
        header: Buffer.of(0xca, 0, 0),
      },
      bytes([0xca, 0, 12, 0xfe], HELLO),
      bytes([0xfe], HELLO),
    ],
    [
      'between two headers, the length of all',
      {
        lengthOffset: 1,
        lengthBytes: 2,
        lengthAdjustment: -3,
        stripBytes: 3,
        header: Buffer.of(0xca, 0, 0),
      },
      bytes([0xca, 0, 16, 0xfe], HELLO),
      bytes([0xfe], HELLO),
    ],
  ];
  for (const [name, options, stream, payload] of cases) {
    it(name, () => {
      assert.deepEqual(framesOf(options, stream), [payload.toString('latin1')]);
      // The same options send what they receive.
      assert.deepEqual(encodeFrame(lengthField(options), payload), stream);
    });
  }
});

describe('limits', () => {
  it('the longest frame is taken, one byte more is not', () => {
    const options = { lengthBytes: 1, maxFrameBytes: 13 } as const;
    assert.deepEqual(framesOf(options, bytes([12], HELLO)), [HELLO.toString()]);
    assert.deepEqual(framesOf(options, Buffer.of(13)), ['ERR_FRAME_TOO_LONG']);
  });

  it('without failFast it is told when all of the frame has come, and the next one follows', () => {
    const options = { lengthBytes: 1, maxFrameBytes: 5, failFast: false } as const;
    const codec = lengthField(options);
    const first = bytes([12], HELLO.subarray(0, 11));
    const notes = (pieces: Buffer[]) =>
      decodeAll(codec, pieces, copyBytes, { skips: true, ends: false });
    assert.deepEqual(notes([Buffer.from(first)]).errors, []);
    const { errors, frames } = notes([
      Buffer.from(first),
      bytes(HELLO.subarray(11), [2], Buffer.from('ok')),
    ]);
    assert.deepEqual(errors, ['ERR_FRAME_TOO_LONG']);
    assert.deepEqual(frames, [Buffer.from('ok')]);
  });

  it('lengths that cannot be are corrupt', () => {
    assert.deepEqual(framesOf({ lengthBytes: 8 }, bytes([0x80, 0, 0, 0, 0, 0, 0, 0])), [
      'ERR_FRAME_CORRUPT',
    ]);
    assert.deepEqual(framesOf({ lengthBytes: 1, lengthAdjustment: -2 }, Buffer.of(1)), [
      'ERR_FRAME_CORRUPT',
    ]);
    assert.deepEqual(framesOf({ lengthBytes: 1, stripBytes: 3 }, Buffer.of(1, 0)), [
      'ERR_FRAME_CORRUPT',
    ]);
    assert.deepEqual(framesOf({ lengthBytes: 8 }, bytes([0x7f, 0xff, 0, 0, 0, 0, 0, 0])), [
      'ERR_FRAME_TOO_LONG',
    ]);
  });

  it('a length that the field cannot hold is not sent', () => {
    const codec = lengthField({ lengthBytes: 1 });
    assert.equal(encodeFrame(codec, Buffer.alloc(255)).byteLength, 256);
    assert.throws(() => encodeFrame(codec, Buffer.alloc(256)), /length of 256 in 1 bytes/);
    assert.throws(
      () => encodeFrame(lengthField({ maxFrameBytes: 8 }), 'hello'),
      /frame of 9 bytes/,
    );
    assert.throws(
      () => encodeFrame(lengthField({ lengthBytes: 2, lengthAdjustment: 3 }), 'x'),
      RangeError,
    );
    assert.throws(() => encodeFrame(lengthField({ stripBytes: 0 }), 'x'), RangeError);
  });

  it('lengths of 3 and 8 bytes beyond 2^16 and 2^32 are right', () => {
    for (const byteOrder of ['big', 'little'] as const) {
      const codec = lengthField({ lengthBytes: 3, byteOrder });
      const long = Buffer.alloc(70_000, 7);
      assert.deepEqual(decodeAll(codec, [encodeFrame(codec, long)], copyBytes).frames, [long]);
    }
    const far = lengthField({ lengthBytes: 8, lengthAdjustment: -(2 ** 33) });
    assert.equal(encodeFrame(far, 'x').readBigUInt64BE(), 2n ** 33n + 1n);
    assert.deepEqual(decodeAll(far, [encodeFrame(far, 'x')], copyBytes).frames, [Buffer.from('x')]);
  });
});

it('options that make no sense are refused', () => {
  const bad: readonly [LengthFieldOptions, RegExp][] = [
    [{ lengthBytes: 5 as 4 }, /1, 2, 3, 4 or 8/],
    [{ byteOrder: 'middle' as 'big' }, /big or little/],
    [{ maxFrameBytes: 0 }, /maxFrameBytes/],
    [{ maxFrameBytes: 4, lengthOffset: 1 }, /no room/],
    [{ lengthOffset: -1 }, /lengthOffset/],
    [{ lengthAdjustment: 0.5 }, /lengthAdjustment/],
    [{ stripBytes: 2 ** 20 + 1 }, /stripBytes/],
    [{ header: Buffer.alloc(3) }, /4 bytes/],
  ];
  for (const [options, message] of bad) {
    assert.throws(() => lengthField(options), message);
  }
});
