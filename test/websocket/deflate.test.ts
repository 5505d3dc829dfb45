/** websocket/deflate and inflate: RFC 7692's examples, Node's zlib as the other side, and bombs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';

import fc from 'fast-check';

import { Deflater } from '../../src/websocket/deflate.js';
import { Inflater } from '../../src/websocket/inflate.js';

const MIB = 1 << 20;

function inflated(inflater: Inflater, data: Buffer, max = MIB): Buffer | string {
  const result = inflater.inflate(data, max);
  assert.ok(result !== undefined);
  return result instanceof Uint8Array ? Buffer.from(result) : result.code;
}

/** A message as another endpoint makes it: Node's zlib with a sync flush, without the last four bytes. */
function packed(data: Buffer, windowBits = 15): Buffer {
  const options = { windowBits, finishFlush: constants.Z_SYNC_FLUSH };
  return deflateRawSync(data, options).subarray(0, -4);
}

test("the RFC's examples (section 7.2.3)", () => {
  const keeping = new Inflater(15, true, 100);
  const read = (hex: string) => inflated(keeping, Buffer.from(hex, 'hex')).toString();
  assert.equal(read('f248cdc9c90700'), 'Hello');
  assert.equal(read('f200110000'), 'Hello', 'the second refers to the first');
  assert.equal(read('000500faff48656c6c6f00'), 'Hello', 'a block without compression');
  assert.equal(read('f348cdc9c9070000'), 'Hello', 'a block with BFINAL');
  assert.equal(read('f200110000'), 'Hello', 'the window outlives a final block');
  assert.equal(read('f248050000 00ffff cac9c90700'.replaceAll(' ', '')), 'Hello', 'two blocks');
  assert.equal(read('00'), '', 'an empty message');
  keeping.end();
});

test('what we compress others inflate, message by message or with one window', () => {
  for (const bits of [8, 9, 12, 15]) {
    for (const keeps of [false, true]) {
      const deflater = new Deflater(bits, 6, 8, keeps);
      const inflater = new Inflater(bits, keeps, 1_000);
      const texts = ['', 'a', 'Hello Hello Hello', 'x'.repeat(300_000), 'Hello Hello Hello'];
      const sizes: number[] = [];
      for (const text of texts) {
        const data = Buffer.from(deflater.deflate(Buffer.from(text)));
        sizes.push(data.length);
        assert.equal(inflated(inflater, data).toString(), text);
        if (!keeps) {
          const tail = Buffer.from([0, 0, 0xff, 0xff]);
          const options = { windowBits: bits, finishFlush: constants.Z_SYNC_FLUSH };
          assert.equal(inflateRawSync(Buffer.concat([data, tail]), options).toString(), text);
        }
      }
      if (!keeps) assert.equal(sizes[2], sizes[4], 'each message stands alone');
      deflater.end();
      inflater.end();
    }
  }
});

test('any sequence of messages, of any content and size, with every window', () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 3_000 }),
    fc.tuple(fc.string({ maxLength: 30 }), fc.nat(9_000)).map(([s, n]) => Buffer.from(s.repeat(n))),
  );
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.integer({ min: 8, max: 15 }),
      fc.boolean(),
      (messages, bits, keeps) => {
        const deflater = new Deflater(bits, 6, 8, keeps);
        const inflater = new Inflater(bits, keeps, 2_000);
        try {
          for (const data of messages) {
            const result = inflated(inflater, Buffer.from(deflater.deflate(data)));
            assert.deepEqual(result, Buffer.from(data));
          }
        } finally {
          deflater.end();
          inflater.end();
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('messages of exactly as many bytes as a step puts out', () => {
  const inflater = new Inflater(15, false, 2_000);
  const noise = Buffer.from(
    Array.from({ length: 4 * 65_536 }, (_, i) => (i * i * 31 + (i >> 3)) & 255),
  );
  for (const size of [65_535, 65_536, 65_537, 2 * 65_536, 4 * 65_536]) {
    for (const data of [Buffer.alloc(size, 'ab'), noise.subarray(0, size)]) {
      assert.deepEqual(inflated(inflater, packed(data)), data, `${size}`);
      const final = Buffer.concat([deflateRawSync(data), Buffer.from([0])]);
      assert.deepEqual(inflated(inflater, final), data, `${size}, with BFINAL`);
    }
  }
  inflater.end();
});

test('broken data is a violation and never an exception', () => {
  const inflater = new Inflater(15, false, 100);
  assert.equal(inflated(inflater, Buffer.from('ffffffff', 'hex')), 'ERR_WS_DEFLATE');
  assert.equal(inflated(inflater, Buffer.from('0005000000', 'hex')), 'ERR_WS_DEFLATE');
  const text = Buffer.from('A text that is cut off somewhere in the middle of a block.');
  const whole = packed(text);
  for (let cut = 1; cut < whole.length; cut += 1) {
    const result = inflated(inflater, whole.subarray(0, cut));
    assert.ok(!Buffer.isBuffer(result) || !result.equals(text), `cut at ${cut}`);
  }
  assert.equal(inflated(inflater, whole.subarray(0, 20)), 'ERR_WS_DEFLATE');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      inflated(inflater, Buffer.from(bytes), 10_000);
    }),
    { numRuns: 3_000 },
  );
  assert.equal(inflated(inflater, packed(text)).toString(), text.toString(), 'it goes on');
  inflater.end();
});

test('to look back further than the window that was agreed on is a violation', () => {
  const noise = Buffer.from(Array.from({ length: 900 }, (_, i) => (i * i * 31 + (i >> 3)) & 255));
  const deflater = new Deflater(15, 6, 8, true);
  const messages = [noise, noise].map((data) => Buffer.from(deflater.deflate(data)));
  for (const [bits, outcome] of [
    [10, noise],
    [9, 'ERR_WS_DEFLATE'],
  ] as const) {
    const inflater = new Inflater(bits, true, 1_000);
    assert.deepEqual(inflated(inflater, messages[0]!), noise);
    assert.deepEqual(inflated(inflater, messages[1]!), outcome);
    inflater.end();
  }
  deflater.end();
});

test('bombs stop at the limit, in memory too', () => {
  const bomb = packed(Buffer.alloc(256 * MIB));
  const stored = packed(Buffer.alloc(3 * MIB, 'abcdefghijklmnopqrstuvwxyz'));
  const inflater = new Inflater(15, false, 10_000);
  const before = process.memoryUsage();
  assert.equal(inflated(inflater, bomb), 'ERR_WS_TOO_BIG');
  assert.equal(inflated(inflater, stored), 'ERR_WS_TOO_BIG');
  const after = process.memoryUsage();
  // Some buffers that were outgrown, and not what the bombs would have become.
  assert.ok(after.arrayBuffers - before.arrayBuffers < 16 * MIB);
  assert.ok(after.rss - before.rss < 64 * MIB);
  inflater.end();
  const careful = new Inflater(15, false, 100);
  assert.equal(inflated(careful, packed(Buffer.alloc(900_000))), 'ERR_WS_DEFLATE_RATIO');
  assert.equal(inflated(careful, packed(Buffer.alloc(60_000))).length, 60_000);
  assert.equal(inflated(careful, bomb), 'ERR_WS_TOO_BIG', 'the lower of the two limits');
  const ends = Buffer.alloc(200_000, Buffer.from([3, 0]));
  assert.equal(inflated(careful, ends), 'ERR_WS_DEFLATE', 'a final block for every two bytes');
  careful.end();
});
