/** Any way to cut a stream gives the same frames: those of a model that has the whole stream. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import {
  type Codec,
  delimited,
  encodeFrame,
  fixedLength,
  FrameDecoder,
  type FrameError,
  lengthField,
  lines,
  varintLength,
} from '../../src/codec/index.js';
import { copyBytes, cuts, decodeAll, piecesOf } from './stream-model.js';

const payloads = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 30 });

/** Payloads of letters: none has a delimiter of those below in it. */
const texts = fc.array(
  fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é', '-'), maxLength: 60 }),
  { maxLength: 30 },
);

const BYTE_CODECS: readonly [name: string, codec: Codec<Buffer, Uint8Array | string>][] = [
  ['length field of 1 byte', lengthField({ lengthBytes: 1 })],
  ['length field of 2, little', lengthField({ lengthBytes: 2, byteOrder: 'little' })],
  ['length field of 3', lengthField({ lengthBytes: 3 })],
  ['length field of 4', lengthField()],
  ['length field of 8, little', lengthField({ lengthBytes: 8, byteOrder: 'little' })],
  ['length field that counts itself', lengthField({ includesLength: true, lengthBytes: 2 })],
  [
    'length field within a header',
    lengthField({ lengthOffset: 3, lengthAdjustment: -2, stripBytes: 7, lengthBytes: 4 }),
  ],
  [
    'length field before more header',
    lengthField({
      lengthBytes: 2,
      lengthAdjustment: 3,
      stripBytes: 5,
      header: Buffer.from('ab123'),
    }),
  ],
  ['varint', varintLength()],
];

const TEXT_CODECS: readonly [name: string, codec: Codec<Buffer, Uint8Array | string>][] = [
  ['one delimiter', delimited('\0')],
  ['a long delimiter that overlaps itself', delimited('zazaz')],
  ['delimiters with a common end', delimited(['\r\n', '\n'])],
  ['delimiters without', delimited(['xyx', 'yy', 'END'])],
];

function same(
  codec: Codec<Buffer, Uint8Array | string>,
  sent: readonly Uint8Array[],
  cut: number[],
  stopEvery?: number,
) {
  const stream = Buffer.concat(sent.map((each) => encodeFrame(codec, each)));
  const habits = stopEvery === undefined ? {} : { stopEvery };
  const { frames, errors, keptBytes } = decodeAll(codec, piecesOf(stream, cut), copyBytes, habits);
  assert.deepEqual(errors, []);
  assert.equal(keptBytes, 0);
  assert.deepEqual(
    frames.map((each) => each.toString('hex')),
    sent.map((each) => Buffer.from(each).toString('hex')),
  );
}

describe('what was sent is received, however the stream is cut', () => {
  for (const [name, codec] of BYTE_CODECS) {
    it(name, () => {
      fc.assert(fc.property(payloads, cuts(), (sent, cut) => same(codec, sent, cut)));
      fc.assert(
        fc.property(payloads, cuts(), fc.integer({ min: 1, max: 4 }), (sent, cut, every) =>
          same(codec, sent, cut, every),
        ),
      );
    });
  }
  for (const [name, codec] of TEXT_CODECS) {
    it(name, () => {
      const bytesOf = (list: string[]) => list.map((text) => Buffer.from(text));
      fc.assert(fc.property(texts, cuts(), (sent, cut) => same(codec, bytesOf(sent), cut)));
      fc.assert(
        fc.property(texts, cuts(), fc.integer({ min: 1, max: 4 }), (sent, cut, every) =>
          same(codec, bytesOf(sent), cut, every),
        ),
      );
    });
  }
  it('fixed length', () => {
    const exact = fc.array(fc.uint8Array({ minLength: 7, maxLength: 7 }), { maxLength: 40 });
    fc.assert(fc.property(exact, cuts(), (sent, cut) => same(fixedLength(7), sent, cut)));
  });
});

describe('any bytes at all', () => {
  /** Streams of few values, in which delimiters and short lengths are frequent. */
  const noise = fc
    .uint8Array({ maxLength: 400 })
    .map((bytes) => Buffer.from(bytes.map((b) => b % 5)));
  const codecs: readonly [string, Codec<Buffer, Uint8Array | string>][] = [
    ['length field', lengthField({ lengthBytes: 1, maxFrameBytes: 4 })],
    [
      'length field, slow to fail',
      lengthField({ lengthBytes: 1, maxFrameBytes: 4, failFast: false }),
    ],
    [
      'length field, corrupt',
      lengthField({ lengthBytes: 2, lengthAdjustment: -3, maxFrameBytes: 600, stripBytes: 3 }),
    ],
    ['varint', varintLength({ maxFrameBytes: 3 })],
    [
      'delimiters',
      delimited([Buffer.of(1, 2), Buffer.of(2, 3, 4), Buffer.of(0)], { maxFrameBytes: 6 }),
    ],
    [
      'delimiters, slow to fail',
      delimited([Buffer.of(1, 2, 1)], { maxFrameBytes: 6, failFast: false }),
    ],
    [
      'common end',
      delimited([Buffer.of(1, 2), Buffer.of(2)], { maxFrameBytes: 6, keepDelimiter: true }),
    ],
    ['fixed', fixedLength(3)],
  ];
  for (const [name, codec] of codecs) {
    it(`${name}: frames and errors do not depend on the cuts`, () => {
      fc.assert(
        fc.property(noise, cuts(), fc.boolean(), (stream, cut, skips) => {
          const whole = decodeAll(codec, piecesOf(stream, []), copyBytes, { skips });
          const cutUp = decodeAll(codec, piecesOf(stream, cut), copyBytes, { skips });
          assert.deepEqual([cutUp.frames, cutUp.errors], [whole.frames, whole.errors]);
          assert.deepEqual(
            decodeAll(codec, piecesOf(stream, cut), copyBytes, { skips, stopEvery: 2 }).frames,
            whole.frames,
          );
        }),
        { numRuns: 400 },
      );
    });
  }
});

describe('a model that has the whole stream', () => {
  /** A length of one byte, at most 3 bytes after it. */
  function byLength(stream: Buffer): { frames: string[]; errors: string[] } {
    const frames: string[] = [];
    let at = 0;
    while (at < stream.byteLength) {
      const length = stream[at]!;
      if (length > 3) {
        return { frames, errors: ['ERR_FRAME_TOO_LONG'] };
      }
      if (at + 1 + length > stream.byteLength) {
        return { frames, errors: ['ERR_FRAME_TRUNCATED'] };
      }
      frames.push(stream.toString('hex', at + 1, at + 1 + length));
      at += 1 + length;
    }
    return { frames, errors: [] };
  }

  /** Delimiters 1 2 and 0, at most 5 bytes before them. */
  function byDelimiter(stream: Buffer): { frames: string[]; errors: string[] } {
    const frames: string[] = [];
    let begin = 0;
    for (let end = 1; end <= stream.byteLength; end += 1) {
      const length =
        stream[end - 1] === 0
          ? 1
          : end - begin >= 2 && stream[end - 1] === 2 && stream[end - 2] === 1
            ? 2
            : 0;
      if (length > 0 && end - length - begin <= 5) {
        frames.push(stream.toString('hex', begin, end - length));
        begin = end;
      } else if (length > 0 || end - begin >= 7) {
        return { frames, errors: ['ERR_FRAME_TOO_LONG'] };
      }
    }
    return { frames, errors: begin === stream.byteLength ? [] : ['ERR_FRAME_TRUNCATED'] };
  }

  const noise = fc
    .uint8Array({ maxLength: 200 })
    .map((b) => Buffer.from(b.map((each) => each % 5)));
  const cases = [
    ['length', lengthField({ lengthBytes: 1, maxFrameBytes: 4 }), byLength],
    ['delimiters', delimited([Buffer.of(1, 2), Buffer.of(0)], { maxFrameBytes: 5 }), byDelimiter],
  ] as const;
  for (const [name, codec, model] of cases) {
    it(`${name}: the same frames and the same error`, () => {
      fc.assert(
        fc.property(noise, cuts(), (stream, cut) => {
          const { frames, errors } = decodeAll(codec, piecesOf(stream, cut), copyBytes);
          assert.deepEqual(
            { frames: frames.map((each) => each.toString('hex')), errors },
            model(stream),
          );
        }),
        { numRuns: 1_000 },
      );
    });
  }
});

describe('FrameDecoder', () => {
  const quiet = { onFrame: () => true, onFrameError: () => false };

  it('gives a frame within one piece as a view of it, and keeps nothing', () => {
    const piece = Buffer.concat(['one', 'two'].map((text) => encodeFrame(lengthField(), text)));
    const decoder = new FrameDecoder(lengthField());
    decoder.push(piece, {
      ...quiet,
      onFrame(frame) {
        assert.equal(frame.buffer, piece.buffer);
        return true;
      },
    });
    assert.ok(decoder.isIdle);
    assert.equal(decoder.keptBytes, 0);
  });

  it('takes memory for what came, not for what was announced', () => {
    const decoder = new FrameDecoder(lengthField({ maxFrameBytes: 2 ** 30 }));
    const before = process.memoryUsage().arrayBuffers;
    decoder.push(Buffer.of(0x3f, 0, 0, 0, 1), quiet);
    assert.equal(decoder.keptBytes, 5);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  });

  it('tells of a frame that the end cuts off, once', () => {
    const decoder = new FrameDecoder(lines());
    const errors: string[] = [];
    const consumer = {
      onFrame: () => true,
      onFrameError(error: FrameError) {
        errors.push(error.code);
        return true;
      },
    };
    decoder.push(Buffer.from('whole\nhal'), consumer);
    decoder.end(consumer);
    decoder.end(consumer);
    decoder.push(Buffer.from('f\n'), consumer);
    assert.deepEqual(errors, ['ERR_FRAME_TRUNCATED']);
    assert.equal(decoder.keptBytes, 0);
  });

  it('does not let itself be called from within', () => {
    const decoder = new FrameDecoder(lines());
    let calls = 0;
    const consumer = {
      onFrame(): boolean {
        calls += 1;
        assert.throws(() => decoder.push(Buffer.from('x\n'), consumer), TypeError);
        return true;
      },
      onFrameError: () => false,
    };
    decoder.push(Buffer.from('a\nb\n'), consumer);
    assert.equal(calls, 2);
  });

  it('throws what the consumer throws, and takes nothing afterwards', () => {
    const decoder = new FrameDecoder(lines());
    let calls = 0;
    const consumer = {
      onFrame(): boolean {
        calls += 1;
        throw new Error('mine');
      },
      onFrameError: () => false,
    };
    assert.throws(() => decoder.push(Buffer.from('a\nb\n'), consumer), /mine/);
    decoder.push(Buffer.from('c\n'), consumer);
    assert.equal(calls, 1);
  });

  it('takes linear time for a frame that comes byte by byte', () => {
    // One pass over what is kept for each byte would be 2 * 10^10 steps: far beyond the limit of a test.
    const decoder = new FrameDecoder(delimited(['\r\n', '\n']));
    let length = 0;
    const consumer = {
      onFrame(frame: Buffer) {
        length = frame.byteLength;
        return true;
      },
      onFrameError: () => false,
    };
    const one = Buffer.from('x');
    for (let i = 0; i < 200_000; i += 1) {
      decoder.push(one, consumer);
    }
    decoder.push(Buffer.from('\n'), consumer);
    assert.equal(length, 200_000);
  });
});
