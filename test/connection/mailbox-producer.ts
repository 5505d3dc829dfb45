/**
 * A thread of mailbox.test.ts that writes messages (producer, sequence, and a split sum of both): a number of them, or
 * without an end until it is terminated. It wakes the consumer as a reactor would, with `Atomics.notify` for the
 * eventfd.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { highWord, lowWord, Mailbox, WAKE_WORD } from '../../src/connection/mailbox.js';

export interface ProducerData {
  readonly buffer: SharedArrayBuffer;
  readonly producer: number;
  /** How many messages; Infinity until terminated. */
  readonly count: number;
}

const { buffer, producer, count } = workerData as ProducerData;
const mailbox = Mailbox.from(buffer);
const words = new Int32Array(buffer);
const never = new Int32Array(new SharedArrayBuffer(4));

parentPort?.postMessage('started');
for (let i = 0; i < count; i++) {
  const sum = (producer + 1) * 2 ** 40 + i;
  while (!mailbox.push(producer, i, lowWord(sum), highWord(sum), -i, producer, i)) {
    Atomics.wait(never, 0, 0, 0.2);
  }
  if (mailbox.needsSignal()) {
    Atomics.notify(words, WAKE_WORD);
  }
}
