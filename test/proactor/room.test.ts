/** Reads with a buffer get its bytes where they belong, whatever memory that is, and touch nothing else. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { settled } from '../support/await-condition.js';
import { noise } from '../support/noise.js';
import { WatcherRig } from '../support/watcher-rig.js';

const BYTES = 200_000;

let rig: WatcherRig;
beforeEach(async () => {
  rig = await WatcherRig.open();
});
afterEach(() => rig.close());

const MEMORY: Record<string, () => Uint8Array> = {
  'a buffer of its own': () => Buffer.allocUnsafeSlow(BYTES),
  'a part of a larger array': () => new Uint8Array(BYTES + 2_000).subarray(1_000, BYTES + 1_000),
  'shared memory': () => new Uint8Array(new SharedArrayBuffer(BYTES)),
};

describe('readFull into', () => {
  for (const [what, make] of Object.entries(MEMORY)) {
    it(what, async () => {
      const { connection, peer } = await rig.pair();
      const target = make();
      const around = new Uint8Array(target.buffer);
      around.fill(7);
      const sent = noise(1, BYTES + 10);
      rig.watcher.readFull(connection, target);
      const [{ result }] = await Promise.all([rig.one(), peer.send(sent)]);
      assert.equal(result.error, undefined);
      assert.equal(result.size, BYTES);
      assert.ok(sent.subarray(0, BYTES).equals(target));
      const { byteOffset } = target;
      assert.ok(around.subarray(0, byteOffset).every((byte) => byte === 7));
      assert.ok(around.subarray(byteOffset + BYTES).every((byte) => byte === 7));
      rig.watcher.readFull(connection, Buffer.alloc(10), { context: 'rest' });
      const { bytes } = await rig.one();
      assert.ok(bytes.equals(sent.subarray(BYTES)));
    });
  }
});

it('many reads in a row, small and large, with and without a buffer, miss nothing', async () => {
  const { connection, peer } = await rig.pair();
  const total = 1_500_000;
  const sent = noise(2, total);
  const sending = peer.send(sent);
  const sizes = [4_096, 100, 65_536, 0, 5_000, 70_000, 1, 20_000];
  let at = 0;
  for (let i = 0; at < total; i += 1) {
    const size = sizes[i % sizes.length]!;
    rig.watcher.read(connection, size === 0 ? undefined : Buffer.alloc(size));
    const { bytes, result } = await rig.one();
    assert.equal(result.error, undefined);
    const read = bytes.subarray(0, result.size);
    assert.ok(read.equals(sent.subarray(at, at + result.size)), `from byte ${at} on`);
    at += result.size;
  }
  await sending;
  assert.equal(at, total);
});

it('a buffer that its user has given away meanwhile', async () => {
  const { connection, peer } = await rig.pair();
  const target = new Uint8Array(10_000);
  rig.watcher.read(connection, target, { context: 'gone' });
  structuredClone(target.buffer, { transfer: [target.buffer] });
  assert.equal(target.byteLength, 0);
  await peer.send(Buffer.from('hello'));
  rig.watcher.free(connection);
  const [result] = (await settled(rig.watcher.waitIo(), 'the result'))!;
  assert.equal(result!.error?.code, 'ERR_FREED');
});
