/** The iovecs of a send: what the kernel would read of them. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import fc from 'fast-check';

import { IOV_MAX } from '../../../src/base/linux.js';
import { LinuxKernel } from '../../../src/base/linux-kernel.js';
import { IovecVector } from '../../../src/connection/drivers/iovec-vector.js';
import { MemoryKernel } from '../../support/memory-kernel.js';

const FD = 5;

/** A vector on a kernel that notes what it is to send. */
function createVector(sends: unknown[][] = []): IovecVector {
  const memory = new MemoryKernel();
  const kernel: ConstructorParameters<typeof IovecVector>[0] = {
    allocate: (byteLength) => memory.allocate(byteLength),
    release: (region) => memory.release(region),
    addressOf: () => 0xabc_dead_beef,
    sendAt: (...call) => sends.push(['sendAt', ...call]),
    sendVector: (...call) => sends.push(['sendVector', ...call]),
    sendFile: (...call) => sends.push(['sendFile', ...call]) - 1,
  };
  return new IovecVector(kernel);
}

function iovecsOf({ region, count }: IovecVector): [number, number][] {
  return Array.from({ length: count }, (_, i) => [
    Number(region.bytes.readBigUInt64LE(i * 16)),
    Number(region.bytes.readBigUInt64LE(i * 16 + 8)),
  ]);
}

it('append() writes addresses and lengths of 53 bits, and counts them', () => {
  const word = fc.oneof(
    fc.maxSafeNat(),
    fc.constantFrom(1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 47),
  );
  const range = fc.tuple(word, word);
  fc.assert(
    fc.property(fc.array(range, { maxLength: 4 }), (ranges) => {
      const vector = createVector();
      for (const [start, byteLength] of ranges) {
        assert.equal(vector.append(start, byteLength), true);
      }
      assert.deepEqual(iovecsOf(vector), ranges);
      assert.equal(
        vector.byteLength,
        ranges.reduce((sum, [, byteLength]) => sum + byteLength, 0),
      );
    }),
    { numRuns: 50 },
  );
});

it('a full vector takes nothing more, until it is reset', () => {
  const vector = createVector();
  for (let i = 0; i < IOV_MAX; i += 1) {
    assert.equal(vector.append(i + 1, 2), true);
  }
  assert.equal(vector.append(1, 1), false);
  assert.equal(vector.appendBytes(new Uint8Array(1)), false);
  assert.deepEqual([vector.count, vector.byteLength], [IOV_MAX, IOV_MAX * 2]);
  vector.reset();
  assert.deepEqual([vector.count, vector.byteLength], [0, 0]);
  assert.equal(vector.appendBytes(new Uint8Array(7)), true);
  assert.deepEqual(iovecsOf(vector), [[0xabc_dead_beef, 7]]);
});

it('send() needs no iovecs for one range', () => {
  const sends: unknown[][] = [];
  const vector = createVector(sends);
  vector.append(2 ** 47 + 5, 10);
  vector.send(FD);
  vector.append(3, 4);
  vector.send(FD);
  assert.deepEqual(sends, [
    ['sendAt', FD, 2 ** 47 + 5, 10],
    ['sendVector', FD, vector.region, 2],
  ]);
});

it('appendBytes() points at the view’s own bytes', () => {
  const kernel = new LinuxKernel();
  const vector = new IovecVector(kernel);
  const bytes = Buffer.from('before, bytes, behind');
  vector.appendBytes(bytes.subarray(8, 13));
  const copy = Buffer.alloc(5);
  kernel.copyOut(copy, iovecsOf(vector)[0][0]);
  assert.equal(copy.toString(), 'bytes');
  kernel.release(vector.region);
});
