/** The pipe: what is loaded is read, what is written is taken, at all sizes and in any order. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import fc from 'fast-check';
import { threadKernel } from '../../src/engine/thread-kernel.js';
import { FEED_BYTES, Pipe, PLAIN_BYTES, pipeAt } from '../../src/tls/pipe.js';

const pipe = new Pipe(threadKernel());
const { calls } = pipe;

function read(byteLength: number): Buffer {
  const n = calls.BIO_read(pipe.rbio, pipe.plain.address, byteLength);
  return Buffer.from(pipe.plain.bytes.subarray(0, Math.max(0, n)));
}

it('load() gives at most FEED_BYTES, and says how many', () => {
  const bytes = Buffer.alloc(FEED_BYTES + 10, 'abc');
  assert.equal(pipe.load(bytes, 0), FEED_BYTES);
  assert.equal(pipe.unread, FEED_BYTES);
  assert.ok(read(PLAIN_BYTES).equals(bytes.subarray(0, FEED_BYTES)));
  assert.equal(pipe.load(bytes, FEED_BYTES), 10);
  assert.ok(read(PLAIN_BYTES).equals(bytes.subarray(FEED_BYTES)));
  assert.equal(pipe.unread, 0);
  assert.equal(calls.BIO_read(pipe.rbio, pipe.plain.address, 1), -1, 'try again, not the end');
});

it('whatever is loaded, read in parts, put aside and written comes out as it went in', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.nat(3_000), (bytes, part) => {
      pipe.load(bytes, 0);
      const first = read(part);
      const left = pipe.putAside();
      assert.equal(pipe.unread, 0);
      assert.ok(Buffer.concat([first, left ?? Buffer.alloc(0)]).equals(bytes));
      assert.equal(left === undefined, first.length === bytes.length);
      pipe.plain.bytes.set(bytes);
      for (const size of [part, bytes.length]) {
        const n = Math.min(size, bytes.length);
        assert.equal(pipe.written, 0);
        if (n > 0) {
          calls.BIO_write(pipe.wbio, pipe.plain.address, n);
          assert.equal(pipe.written, n);
          assert.ok(pipe.take().equals(bytes.subarray(0, n)));
        }
      }
    }),
  );
});

it('more than ever before moves the buffer, and is taken all the same', () => {
  for (const count of [1, 3, 20, 2]) {
    for (let i = 0; i < count; i += 1) {
      pipe.plain.bytes.fill(65 + i);
      calls.BIO_write(pipe.wbio, pipe.plain.address, PLAIN_BYTES);
    }
    const taken = pipe.take();
    assert.equal(taken.length, count * PLAIN_BYTES);
    for (let i = 0; i < count; i += 1) {
      assert.equal(taken[i * PLAIN_BYTES], 65 + i);
      assert.equal(taken[(i + 1) * PLAIN_BYTES - 1], 65 + i);
    }
  }
});

it('received() views the plaintext', () => {
  pipe.plain.bytes.write('plaintext');
  assert.equal(pipe.received(5).toString(), 'plain');
  assert.equal(pipe.received(9).toString(), 'plaintext');
});

it('pipeAt() has one for each depth', () => {
  assert.equal(pipeAt(0), pipeAt(0));
  assert.notEqual(pipeAt(0), pipeAt(1));
});
