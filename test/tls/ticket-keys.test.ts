/** Ticket keys: shared, rotated in time by whoever is first, and forgotten. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { TICKET_KEY_BYTES, TicketKeys } from '../../src/tls/index.js';

const HOUR = 3_600_000;

function keyOf(fill: number): Uint8Array {
  return new Uint8Array(TICKET_KEY_BYTES).fill(fill);
}

function current(keys: TicketKeys): string {
  keys.refresh(1);
  return keys.current.toString('hex');
}

it('keys are random, and the same for whoever has the handle', () => {
  const keys = TicketKeys.create();
  const other = TicketKeys.from(keys.handle);
  assert.equal(current(keys), current(other));
  assert.notEqual(current(keys), current(TicketKeys.create()));
  assert.notEqual(keys.current.toString('hex'), keys.previous.toString('hex'));
  assert.ok(keys.isCurrent(keys.current.subarray(0, 16)));
  assert.ok(keys.isPrevious(keys.previous.subarray(0, 16)));
  assert.ok(!keys.isCurrent(keys.previous.subarray(0, 16)));
});

it('the interval begins with the first look at the clock, and each one moves the keys on by one', () => {
  const keys = TicketKeys.create({ rotateAfterMs: HOUR });
  const other = TicketKeys.from(keys.handle);
  const start = 50 * HOUR;
  const version = keys.refresh(start);
  const first = keys.current.toString('hex');
  assert.equal(keys.refresh(start + HOUR - 1), version);
  assert.notEqual(other.refresh(start + HOUR), version);
  const second = other.current.toString('hex');
  assert.equal(other.previous.toString('hex'), first);
  keys.refresh(start + HOUR + 1);
  assert.equal(keys.current.toString('hex'), second);
  keys.refresh(start + 2 * HOUR);
  assert.equal(keys.previous.toString('hex'), second);
});

it('after two intervals of silence both keys are new', () => {
  const keys = TicketKeys.create({ rotateAfterMs: HOUR });
  keys.refresh(HOUR);
  const before = [keys.current.toString('hex'), keys.previous.toString('hex')];
  keys.refresh(9 * HOUR);
  for (const key of [keys.current, keys.previous]) {
    assert.ok(!before.includes(key.toString('hex')));
  }
});

it('given keys stay until the program rotates them', () => {
  const keys = TicketKeys.create({ rotateAfterMs: 0, keys: [keyOf(1), keyOf(2)] });
  keys.refresh(1);
  keys.refresh(1_000 * HOUR);
  assert.deepEqual([keys.current[0], keys.previous[79]], [1, 2]);
  keys.rotate(keyOf(3));
  keys.refresh(1);
  assert.deepEqual([keys.current[0], keys.previous[0]], [3, 1]);
  keys.rotate();
  keys.refresh(1);
  assert.equal(keys.previous[0], 3);
});

it('wrong arguments say what was expected', () => {
  assert.throws(() => TicketKeys.create({ keys: [new Uint8Array(48)] }), /ticket key of 80 bytes/);
  assert.throws(() => TicketKeys.create({ keys: [keyOf(1), keyOf(2), keyOf(3)] }), /at most two/);
  assert.throws(() => TicketKeys.create({ rotateAfterMs: -1 }), RangeError);
  assert.throws(() => TicketKeys.from(new SharedArrayBuffer(8)), /handle of a TicketKeys/);
  assert.throws(() => TicketKeys.create().rotate(keyOf(1).subarray(1)), /80 bytes/);
});

it('a reader on another thread never sees half of a key', async () => {
  const keys = TicketKeys.create({ rotateAfterMs: 0, keys: [keyOf(1), keyOf(0)] });
  const url = JSON.stringify(new URL('../../src/tls/index.js', import.meta.url).href);
  const code = `import(${url}).then(({ TicketKeys }) => {
    const { workerData, parentPort } = require('node:worker_threads');
    const keys = TicketKeys.from(workerData);
    parentPort.postMessage('ready');
    let torn = 0, changes = 0, last = -1;
    while (keys.current[0] !== 255) {
      const version = keys.refresh(1);
      changes += version !== last;
      last = version;
      torn += new Set(keys.current).size + new Set(keys.previous).size - 2;
    }
    parentPort.postMessage({ torn, changes });
  });`;
  const worker = new Worker(code, { eval: true, workerData: keys.handle });
  const next = () => new Promise<unknown>((resolve) => worker.once('message', resolve));
  await next();
  const answer = next();
  for (let i = 0; i < 20_000; i += 1) {
    keys.rotate(keyOf(i % 250));
  }
  keys.rotate(keyOf(255));
  const { torn, changes } = (await answer) as { torn: number; changes: number };
  assert.equal(torn, 0);
  assert.ok(changes > 1);
  await worker.terminate();
});
