import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveBuffer, takeBuffer } from '../../src/websocket/message-buffers.js';

const MIB = 1_024 * 1_024;

test('a buffer has room for what is needed and about as much more, in powers of two', () => {
  assert.equal(takeBuffer(0, MIB).byteLength, 1_024);
  assert.equal(takeBuffer(1, MIB).byteLength, 1_024);
  assert.equal(takeBuffer(512, MIB).byteLength, 1_024);
  assert.equal(takeBuffer(513, MIB).byteLength, 2_048);
  assert.equal(takeBuffer(100_000, MIB).byteLength, 262_144);
});

test('no more is taken than may ever be needed', () => {
  assert.equal(takeBuffer(900_000, MIB).byteLength, MIB);
  assert.equal(takeBuffer(600, 1_000).byteLength, 1_000);
  assert.equal(takeBuffer(5 * MIB, 100 * MIB).byteLength, 10 * MIB);
  assert.equal(takeBuffer(60, 50).byteLength, 60);
});

test('what was given back is taken again, once', () => {
  const [a, b] = [takeBuffer(MIB, MIB), takeBuffer(MIB, MIB)];
  assert.notEqual(a, b);
  giveBuffer(a);
  giveBuffer(b);
  const again = [takeBuffer(MIB, MIB), takeBuffer(MIB, MIB), takeBuffer(MIB, MIB)];
  assert.deepEqual(
    again.map((buffer) => buffer === a || buffer === b),
    [true, true, false],
  );
  assert.ok(again[0] !== again[1]);
});

test('a few of each size are kept, and none of other sizes', () => {
  const many: Buffer[] = Array.from({ length: 5 }, () => Buffer.allocUnsafeSlow(4_096));
  for (const buffer of many) giveBuffer(buffer);
  const taken = Array.from({ length: 5 }, () => takeBuffer(2_048, MIB));
  assert.equal(taken.filter((buffer) => many.includes(buffer)).length, 2);
  const odd = Buffer.allocUnsafeSlow(3_000);
  giveBuffer(odd);
  assert.notEqual(takeBuffer(3_000, 3_000), odd);
  const large = Buffer.allocUnsafeSlow(2 * MIB);
  giveBuffer(large);
  assert.notEqual(takeBuffer(MIB + 1, 2 * MIB), large);
});
