/** Delimiters and lines; how streams are cut is in frame-decoder.test.ts. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { delimited, encodeFrame, lines } from '../../src/codec/index.js';
import { copyBytes, decodeAll } from './stream-model.js';

function split(codec: ReturnType<typeof delimited>, text: string, skips = false) {
  const { frames, errors } = decodeAll(codec, [Buffer.from(text)], copyBytes, {
    skips,
    ends: false,
  });
  return [...frames.map(String), ...errors];
}

describe('delimited', () => {
  it('takes the delimiter off, or leaves it', () => {
    assert.deepEqual(split(delimited(';'), 'a;;b;c'), ['a', '', 'b']);
    assert.deepEqual(split(delimited(';', { keepDelimiter: true }), 'a;;b;c'), ['a;', ';', 'b;']);
  });

  it('takes the one of several that ends first, and the longest that ends there', () => {
    assert.deepEqual(split(delimited(['\r\n', '\n']), 'a\r\nb\nc\r\r\n'), ['a', 'b', 'c\r']);
    assert.deepEqual(split(delimited(['b', 'cd']), 'acdxb'), ['a', 'x']);
    assert.deepEqual(split(delimited(['ab', 'b', 'xxab']), '1xxab2ab3b'), ['1', '2', '3']);
  });

  it('refuses delimiters of which one could never be met', () => {
    assert.throws(() => delimited(['\r', '\r\n']), /can never end a frame/);
    assert.throws(() => delimited(['abc', 'b']), /can never end a frame/);
    assert.throws(() => delimited([]), RangeError);
    assert.throws(() => delimited(''), RangeError);
    assert.throws(() => delimited('x'.repeat(65)), RangeError);
    assert.throws(() => delimited(5 as never), TypeError);
  });

  it('limits the frame without its delimiter', () => {
    const codec = delimited('--', { maxFrameBytes: 3 });
    assert.deepEqual(split(codec, 'abc--'), ['abc']);
    assert.deepEqual(split(codec, 'abc-'), []);
    assert.deepEqual(split(codec, 'abcd'), []);
    assert.deepEqual(split(codec, 'abcde'), ['ERR_FRAME_TOO_LONG']);
    assert.deepEqual(split(codec, 'abcd--'), ['ERR_FRAME_TOO_LONG']);
    assert.deepEqual(split(codec, 'abcdefgh-ij---kl--', true), ['-kl', 'ERR_FRAME_TOO_LONG']);
  });

  it('sends no payload that would be two frames', () => {
    assert.equal(encodeFrame(delimited(['\n', '\0']), 'a').toString(), 'a\n');
    assert.throws(() => encodeFrame(delimited(['\n', '\0']), 'a\0b'), /two frames/);
    assert.throws(() => encodeFrame(lines(), 'injected\nline'), /two frames/);
    assert.throws(() => encodeFrame(delimited('\n', { maxFrameBytes: 2 }), 'abc'), /at most 2/);
  });
});

describe('lines', () => {
  const read = (options: Parameters<typeof lines>[0], bytes: Buffer) =>
    decodeAll(lines(options), [bytes], (line) => line).frames;

  it('are text in the encoding asked for, with either ending', () => {
    assert.deepEqual(read({}, Buffer.from('grün\r\nÜ\n')), ['grün', 'Ü']);
    assert.deepEqual(read({ encoding: 'latin1' }, Buffer.from([0xe9, 10])), ['é']);
    assert.deepEqual(read({}, Buffer.from([0xff, 10])), ['\ufffd']);
    assert.deepEqual(read({ keepDelimiter: true }, Buffer.from('a\r\nb\n')), ['a\r\n', 'b\n']);
  });

  it('are sent with the newline asked for', () => {
    assert.deepEqual(encodeFrame(lines(), 'é'), Buffer.from('é\n'));
    assert.deepEqual(encodeFrame(lines({ newline: '\r\n' }), 'x'), Buffer.from('x\r\n'));
    assert.deepEqual(encodeFrame(lines({ encoding: 'latin1' }), 'é'), Buffer.from([0xe9, 10]));
    assert.throws(() => lines({ newline: '\r' as '\n' }), TypeError);
  });
});
