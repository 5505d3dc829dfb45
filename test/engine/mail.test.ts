/** Letters between threads, on the senders' side. */

import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';

import fc from 'fast-check';

import { makeId } from '../../src/connection/connection-table.js';
import { Mailbox } from '../../src/connection/mailbox.js';
import {
  ACCEPTED,
  addressFrom,
  LETTER_BYTES_MAX,
  MESSAGE,
  Postbox,
  PostOffice,
  WRITE,
} from '../../src/engine/mail.js';
import { discardLetters } from '../../src/engine/inbox.js';
import type { SimKernel } from '../sim/sim-kernel.js';
import { SimWorld } from '../sim/sim-world.js';

const PENDING_BYTES_MAX = 64 * 1024 * 1024;

let world: SimWorld;
let kernel: SimKernel;
let wakeDescriptor: number;
let pending: Int32Array;
let mailbox: Mailbox;
let box: Postbox;

beforeEach(() => {
  world = new SimWorld({ seed: 1, shape: 'plain' });
  kernel = world.kernel('main');
  wakeDescriptor = kernel.eventfd();
  pending = new Int32Array(new SharedArrayBuffer(4));
  mailbox = Mailbox.create(4);
  box = new Postbox(kernel, mailbox, wakeDescriptor, pending);
});

/** All letters as lists of numbers. */
function letters(): number[][] {
  const list: number[][] = [];
  mailbox.beginDrain();
  mailbox.drain(100, (...letter) => list.push(letter));
  return list;
}

/** Nothing is left when all letters were thrown away. */
function finish(): void {
  discardLetters(kernel, mailbox, pending);
  assert.equal(pending[0], 0);
  kernel.close(wakeDescriptor);
  world.finish();
}

describe('a postbox', () => {
  it('hands over descriptors with their family', () => {
    assert.equal(box.sendDescriptor(77, 10), true);
    assert.deepEqual(letters(), [[ACCEPTED, 77, 10, 0, 0, 0, 0]]);
    finish();
  });

  it('leaves room for descriptors, whatever else is sent', () => {
    mailbox = Mailbox.create(16);
    box = new Postbox(kernel, mailbox, wakeDescriptor, pending);
    for (let i = 0; i < 14; i += 1) {
      assert.equal(box.sendMessage(-1, Buffer.alloc(0)), true);
    }
    assert.equal(box.sendMessage(-1, Buffer.alloc(0)), false);
    assert.equal(box.sendWrite(makeId(0, 0, 1), Buffer.from('x')), 'full');
    assert.equal(box.sendDescriptor(77, 10), true);
    assert.equal(box.sendDescriptor(78, 10), true);
    assert.equal(box.sendDescriptor(79, 10), false);
    assert.deepEqual(
      letters().filter(([kind]) => kind === ACCEPTED),
      [77, 78].map((fd) => [ACCEPTED, fd, 10, 0, 0, 0, 0]),
    );
    assert.equal(box.sendWrite(makeId(0, 0, 1), Buffer.from('x')), 'queued');
    finish();
  });

  it('copies bytes to a block of their own, and counts them as under way', () => {
    const bytes = Buffer.from('some bytes').subarray(5);
    assert.equal(box.sendWrite(makeId(3, 9, 5), bytes), 'queued');
    assert.equal(box.sendMessage(-1, bytes), true);
    assert.equal(pending[0], 10);
    bytes.fill(0);
    for (const [i, [kind, a, b, low, high, byteLength]] of letters().entries()) {
      assert.deepEqual([kind, a, b, byteLength], i === 0 ? [WRITE, 5, 9, 5] : [MESSAGE, -1, 0, 5]);
      const copy = Buffer.alloc(5);
      kernel.copyOut(copy, addressFrom(low, high));
      assert.equal(copy.toString(), 'bytes');
      kernel.releaseBlock(addressFrom(low, high));
      Atomics.sub(pending, 0, 5);
    }
    finish();
  });

  it('sends nothing as no block', () => {
    assert.equal(box.sendMessage(2, new Uint8Array(0)), true);
    assert.deepEqual(letters(), [[MESSAGE, 2, 0, 0, 0, 0, 0]]);
    finish();
  });

  it('that is full takes nothing and keeps nothing', () => {
    for (let i = 0; i < 4; i += 1) {
      assert.equal(box.sendWrite(1, Buffer.from('x')), 'queued');
    }
    assert.equal(box.sendWrite(1, Buffer.from('x')), 'full');
    assert.equal(box.sendMessage(1, Buffer.from('x')), false);
    assert.equal(box.sendDescriptor(5, 2), false);
    assert.deepEqual([pending[0], world.memory.liveBlocks], [4, 4]);
    finish();
  });

  it('bounds one letter, and the bytes of all', () => {
    const { length } = { length: LETTER_BYTES_MAX + 1 };
    assert.throws(() => box.sendMessage(0, new Uint8Array(length)), RangeError);
    pending[0] = PENDING_BYTES_MAX - 10;
    assert.equal(box.sendMessage(0, new Uint8Array(11)), false);
    assert.equal(box.sendMessage(0, new Uint8Array(10)), true);
    assert.equal(box.sendWrite(0, new Uint8Array(1)), 'full');
    pending[0] = 10;
    finish();
  });

  it('is full when there is no memory', () => {
    world.faults.rates.blockNoMemory = 1;
    assert.equal(box.sendWrite(0, new Uint8Array(1)), 'full');
    assert.deepEqual([pending[0], letters()], [0, []]);
    finish();
  });

  it('that is closed is full for ever', () => {
    mailbox.close();
    assert.equal(box.sendWrite(0, new Uint8Array(1)), 'full');
    finish();
  });

  it('wakes its reader with the first letter, and again only after it looked', () => {
    assert.equal(kernel.drain(wakeDescriptor) < 0, true);
    box.sendMessage(0, new Uint8Array(0));
    assert.equal(kernel.drain(wakeDescriptor), 8);
    box.sendMessage(0, new Uint8Array(0));
    assert.equal(kernel.drain(wakeDescriptor) < 0, true);
    letters();
    box.sendMessage(0, new Uint8Array(0));
    assert.equal(kernel.drain(wakeDescriptor), 8);
    finish();
  });
});

describe('a post office', () => {
  it('finds the box by the id, and knows which there are not', () => {
    const office = new PostOffice([box], 4);
    assert.equal(office.count, 1);
    assert.equal(office.write(makeId(0, 1, 2), Buffer.from('x')), 'queued');
    assert.equal(office.write(makeId(1, 1, 2), Buffer.from('x')), 'closed');
    assert.throws(() => office.write(-1, Buffer.from('x')), TypeError);
    assert.equal(office.post(0, Buffer.from('x')), true);
    for (const wrong of [1, -1, 0.5, Number.NaN]) {
      assert.throws(() => office.post(wrong, Buffer.from('x')), RangeError, String(wrong));
    }
    finish();
  });

  it('sends to all boxes, also when one is full, and says so', () => {
    const other = Mailbox.create(4);
    const office = new PostOffice([box, new Postbox(kernel, other, wakeDescriptor, pending)], 4);
    assert.equal(office.broadcast(Buffer.from('x')), true);
    mailbox.close();
    assert.equal(office.broadcast(Buffer.from('x')), false);
    const senders: number[] = [];
    other.beginDrain();
    other.drain(10, (_kind, a, _b, low, high) => {
      senders.push(a);
      kernel.releaseBlock(addressFrom(low, high));
    });
    assert.deepEqual(senders, [4, 4]);
    Atomics.sub(pending, 0, 2);
    finish();
  });
});

it('addressFrom() puts an address together again', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (address) => {
      const low = (address % 2 ** 32) | 0;
      const high = (address / 2 ** 32) | 0;
      assert.equal(addressFrom(low, high), address);
    }),
  );
});
