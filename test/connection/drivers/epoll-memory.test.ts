/** Where the epoll driver receives: its own region, or room that is given, of which no byte more is touched. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, it } from 'node:test';

import { EAGAIN } from '../../../src/base/errno.js';
import { LinuxKernel } from '../../../src/base/linux-kernel.js';
import { socketPair } from '../../../src/base/socket-pair.js';
import { EpollMemory } from '../../../src/connection/drivers/epoll-memory.js';

const REGION_BYTES = 100;
const kernel = new LinuxKernel();
let memory: EpollMemory;
let near: number;
let far: number;

beforeEach(() => {
  memory = new EpollMemory(kernel, REGION_BYTES);
  [near, far] = socketPair();
});
afterEach(() => {
  memory.free();
  kernel.close(near);
  kernel.close(far);
});

it('is its own region where no room is given', () => {
  assert.equal(memory.receive(near, undefined), -EAGAIN);
  kernel.send(far, Buffer.from('hello'));
  assert.equal(memory.receive(near, undefined), 5);
  assert.equal(memory.capacity, REGION_BYTES);
  const bytes = memory.received(5);
  assert.equal(bytes.toString(), 'hello');
  // Straight from where it is.
  assert.equal(memory.send(near, bytes), 5);
  assert.equal(memory.send(near, Buffer.from(' you')), 4);
  assert.equal(memory.receive(far, undefined), 9);
  assert.equal(memory.received(9).toString(), 'hello you');
});

it('is the room that is given, to its last byte and no further', () => {
  const all = new Uint8Array(40).fill(7);
  const room = all.subarray(10, 30);
  kernel.send(far, Buffer.alloc(50, 1));
  assert.equal(memory.receive(near, room), 20);
  assert.equal(memory.capacity, 20);
  const bytes = memory.received(20);
  assert.deepEqual([bytes.buffer, bytes.byteOffset, bytes.byteLength], [all.buffer, 10, 20]);
  assert.deepEqual([...new Set(all.subarray(0, 10)), ...new Set(all.subarray(30))], [7, 7]);
  assert.ok(room.every((byte) => byte === 1));
  assert.equal(memory.receive(near, undefined), 30);
  assert.equal(memory.received(30).byteLength, 30);
});

it('takes no more at once than the region would', () => {
  const room = Buffer.alloc(1_000);
  kernel.send(far, Buffer.alloc(1_000, 2));
  assert.equal(memory.receive(near, room), REGION_BYTES);
  assert.equal(memory.capacity, REGION_BYTES);
  const bytes = memory.received(REGION_BYTES);
  assert.equal(bytes.byteLength, REGION_BYTES);
  assert.equal(room.indexOf(0), REGION_BYTES);
  // What the user changes and sends is his buffer, not the region.
  room[0] = 3;
  assert.equal(memory.send(near, bytes), REGION_BYTES);
  assert.equal(memory.receive(far, undefined), REGION_BYTES);
  assert.equal(memory.received(REGION_BYTES)[0], 3);
});

it('is the buffer itself where it is filled', () => {
  const room = Buffer.alloc(8);
  kernel.send(far, Buffer.from('12345678'));
  assert.equal(memory.receive(near, room), 8);
  assert.equal(memory.received(8), room);
  kernel.shutdown(far, 1);
  assert.equal(memory.receive(near, room), 0);
});
