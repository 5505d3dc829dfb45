/** The mailbox between real threads: load, wake-ups, closing, and threads that are terminated while they write. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { joinWords, Mailbox, WAKE_WORD } from '../../src/connection/mailbox.js';
import type { ProducerData } from './mailbox-producer.js';

const ALL = Number.POSITIVE_INFINITY;

function startProducer(workerData: ProducerData): Worker {
  return new Worker(new URL('./mailbox-producer.js', import.meta.url), { workerData });
}

test('a million messages of four threads: each once, in order of its producer, none asleep', async () => {
  const producers = 4;
  const each = 250_000;
  const mailbox = Mailbox.create(1024);
  const words = new Int32Array(mailbox.buffer);
  const workers = Array.from({ length: producers }, (_, producer) =>
    startProducer({ buffer: mailbox.buffer, producer, count: each }),
  );
  const exits = workers.map((worker) => once(worker, 'exit'));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const next = new Array<number>(producers).fill(0);
  let wrong = 0;
  const check = (...[kind, a, b, c, d, e, f]: number[]): void => {
    const i = next[kind]++;
    const sum = (kind + 1) * 2 ** 40 + i;
    wrong += a === i && joinWords(b, c) === sum && d === -i && e === kind && f === i ? 0 : 1;
  };
  let total = 0;
  let sleeps = 0;
  while (total < producers * each) {
    mailbox.beginDrain();
    const n = mailbox.drain(512, check);
    total += n;
    if (n < 512 && total < producers * each) {
      sleeps++;
      // Producers wait for room at most 0.2 ms: after five seconds of silence a wake-up was lost.
      assert.notEqual(Atomics.wait(words, WAKE_WORD, 0, 5000), 'timed-out', 'a lost wake-up');
    }
  }
  await Promise.all(exits);
  assert.equal(wrong, 0);
  assert.deepEqual(next, new Array(producers).fill(each));
  assert.equal(mailbox.pushed, producers * each);
  assert.equal(mailbox.depth, 0);
  assert.ok(mailbox.highWater <= 1024);
  assert.ok(sleeps > 0);
});

test('a producer that is terminated while it writes does not block the others', async () => {
  const mailbox = Mailbox.create(64);
  let sum = 0;
  for (let round = 0; round < 12; round++) {
    const next = [0, 0];
    const check = (kind: number, a: number): void => {
      assert.equal(a, next[kind]++);
      sum++;
    };
    const workers = [0, 1].map((producer) =>
      startProducer({ buffer: mailbox.buffer, producer, count: ALL }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const end = sum + 500 + round * 37;
    while (sum < end) {
      mailbox.drain(16, check);
    }
    const gone = Promise.all(workers.map((worker) => worker.terminate()));
    // Termination happens on other threads: the ring is kept from being full meanwhile.
    for (let i = 0; i < 2000; i++) {
      mailbox.drain(16, check);
    }
    await gone;
    mailbox.drain(ALL, check);
    assert.equal(mailbox.depth, 0);
    assert.ok(mailbox.lost <= 2 * (round + 1), `${mailbox.lost} nodes lost`);
  }
  assert.equal(mailbox.pushed, sum);
});

test('nothing is pushed after close has returned, from any thread', async () => {
  const mailbox = Mailbox.create(64);
  const workers = [0, 1].map((producer) =>
    startProducer({ buffer: mailbox.buffer, producer, count: ALL }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  for (let i = 0; i < 5000; i++) {
    mailbox.drain(16, () => {});
  }
  mailbox.close();
  const pushed = mailbox.pushed;
  while (mailbox.depth > 0) {
    mailbox.drain(16, () => {});
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(mailbox.pushed, pushed);
  assert.equal(mailbox.depth, 0);
  await Promise.all(workers.map((worker) => worker.terminate()));
});
