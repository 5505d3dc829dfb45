/** The simulated memory: what the code under test must not do is found, and nothing else. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Region } from '../../src/base/kernel.js';
import { SimViolation } from './sim-violation.js';
import { SimWorld } from './sim-world.js';

function world(): SimWorld {
  return new SimWorld({ seed: 1, shape: 'plain' });
}

describe('simulated memory', () => {
  test('a region is zeroed, aligned and can be copied to and from', () => {
    const kernel = world().kernel('a');
    const region = kernel.allocate(100);
    assert.equal(region.address % 64, 0);
    assert.ok(region.address > 2 ** 32);
    assert.ok(region.bytes.every((byte) => byte === 0));
    kernel.copyIn(region.address + 10, Buffer.from('hello'));
    assert.equal(region.bytes.toString('latin1', 10, 15), 'hello');
    const target = Buffer.alloc(5);
    kernel.copyOut(target, region.address + 10);
    assert.equal(target.toString(), 'hello');
  });

  test('a range that passes the end of its allocation throws', () => {
    const kernel = world().kernel('a');
    const region = kernel.allocate(64);
    const next = kernel.allocate(64);
    assert.throws(() => kernel.copyIn(region.address + 60, Buffer.alloc(5)), SimViolation);
    assert.throws(() => kernel.copyIn(region.address - 1, Buffer.alloc(2)), SimViolation);
    assert.throws(() => kernel.copyOut(Buffer.alloc(1), next.address + 64), SimViolation);
    assert.throws(() => kernel.copyOut(Buffer.alloc(1), 4096), SimViolation);
    assert.throws(() => kernel.copyOut(Buffer.alloc(1), Number.NaN), SimViolation);
  });

  test('released memory is poisoned and may not be used or released again', () => {
    const one = world();
    const kernel = one.kernel('a');
    const region = kernel.allocate(64);
    kernel.release(region);
    assert.ok(region.bytes.every((byte) => byte === 0xdb));
    assert.throws(() => kernel.copyIn(region.address, Buffer.alloc(1)), SimViolation);
    assert.throws(() => kernel.release(region), SimViolation);
    const block = kernel.allocateBlock(8);
    assert.throws(() => kernel.release({ address: block, bytes: Buffer.alloc(8) }), SimViolation);
    kernel.releaseBlock(block);
    assert.throws(() => kernel.releaseBlock(block), SimViolation);
  });

  test('a write into released memory is found at the end', () => {
    const one = world();
    const kernel = one.kernel('a');
    const region = kernel.allocate(64);
    kernel.release(region);
    region.bytes[5] = 1;
    assert.throws(() => one.finish(), /written after release: byte 5/);
  });

  test('blocks go from thread to thread', () => {
    const one = world();
    const block = one.kernel('a').allocateBlock(16);
    one.kernel('b').copyIn(block, Buffer.from('for b'));
    one.kernel('b').releaseBlock(block);
    one.finish();
  });

  test('leaks are reported', () => {
    const one = world();
    one.kernel('a').allocate(64);
    one.kernel('a').allocateBlock(10);
    assert.equal(one.memory.liveBytes, 74);
    assert.throws(() => one.finish(), /1 regions, 1 blocks, 74 bytes/);
  });

  test('the address of an array is valid until the next allocation or step', () => {
    const one = world();
    const kernel = one.kernel('a');
    const array = Uint8Array.of(1, 2, 3);
    const address = kernel.addressOf(array);
    const target = Buffer.alloc(2);
    kernel.copyOut(target, address + 1);
    assert.deepEqual([...target], [2, 3]);
    assert.throws(() => kernel.copyOut(Buffer.alloc(4), address), SimViolation);
    kernel.allocate(1);
    assert.throws(() => kernel.copyOut(target, address), /expired/);
    one.violations.take();
    const second = kernel.addressOf(array);
    one.step();
    assert.throws(() => kernel.copyOut(target, second), /expired/);
  });

  test('a region whose view is of other memory is refused', () => {
    const kernel = world().kernel('a');
    const first = kernel.allocate(64);
    const second = kernel.allocate(64);
    const epfd = kernel.epollCreate();
    const mixed: Region = { address: first.address, bytes: second.bytes };
    assert.throws(() => kernel.epollWait(epfd, mixed), SimViolation);
    const moved: Region = { address: first.address + 12, bytes: first.bytes.subarray(0, 12) };
    assert.throws(() => kernel.epollWait(epfd, moved), SimViolation);
    const part: Region = { address: first.address + 12, bytes: first.bytes.subarray(12, 24) };
    assert.equal(kernel.epollWait(epfd, part), 0);
  });

  test('what was discarded reads as anything', () => {
    const kernel = world().kernel('a');
    const region = kernel.allocate(64);
    region.bytes.fill(7);
    kernel.discard({ address: region.address, bytes: region.bytes.subarray(0, 32) });
    assert.notEqual(region.bytes[0], 7);
    assert.equal(region.bytes[32], 7);
  });

  test('an allocation larger than a slot is one piece', () => {
    const kernel = world().kernel('a');
    const region = kernel.allocate(20_000_000);
    kernel.copyIn(region.address + 19_999_999, Uint8Array.of(9));
    assert.equal(region.bytes[19_999_999], 9);
    assert.throws(() => kernel.copyIn(region.address + 20_000_000, Uint8Array.of(9)), SimViolation);
    kernel.release(region);
    assert.throws(() => kernel.copyIn(region.address + 19_000_000, Uint8Array.of(9)), SimViolation);
  });
});
