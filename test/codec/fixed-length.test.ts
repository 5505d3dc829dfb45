import assert from 'node:assert/strict';
import { it } from 'node:test';

import { encodeFrame, fixedLength } from '../../src/codec/index.js';
import { decodeAll } from './stream-model.js';

it('frames of one length, neither shorter nor longer', () => {
  const { frames, errors } = decodeAll(fixedLength(3), [Buffer.from('abcdefg')], (frame) =>
    Buffer.from(frame),
  );
  assert.deepEqual(frames.map(String), ['abc', 'def']);
  assert.deepEqual(errors, ['ERR_FRAME_TRUNCATED']);
  assert.equal(encodeFrame(fixedLength(3), 'abc').toString(), 'abc');
  assert.throws(() => encodeFrame(fixedLength(3), 'ab'), /2 bytes: expected 3/);
  assert.throws(() => fixedLength(0), RangeError);
  assert.throws(() => fixedLength(1.5), RangeError);
});
