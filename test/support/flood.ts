/** A flood of messages from several threads, and the account of what arrived. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import type { ProducerOrder, ProducerResult } from './flood-producer.js';

/** How a receiver keeps count: the next number expected of each sender. */
export class FloodAccount {
  readonly next: number[] = [];
  received = 0;
  /** Messages that were not the next one of their sender. */
  disorders = 0;

  note(message: Buffer): number {
    const sender = message.readUInt32LE(0);
    const number = message.readUInt32LE(4);
    const expected = this.next[sender] ?? 0;
    if (number !== expected) {
      this.disorders += 1;
    }
    this.next[sender] = number + 1;
    this.received += 1;
    return sender;
  }
}

export type FloodOrder = Omit<ProducerOrder, 'sender'> & {
  readonly senders: number;
  readonly firstSender?: number;
};

/** Runs the producers to their end; resolves with what each says. */
export async function flood(order: FloodOrder): Promise<ProducerResult[]> {
  const { senders, firstSender = 0, ...rest } = order;
  const workers = Array.from({ length: senders }, (_, i) => {
    const workerData: ProducerOrder = { ...rest, sender: firstSender + i };
    const worker = new Worker(new URL('./flood-producer.js', import.meta.url), { workerData });
    // A test that failed meanwhile must not wait for those who have nobody left to post to.
    worker.unref();
    return worker;
  });
  try {
    return await Promise.all(
      workers.map(async (worker) => {
        const [result] = (await once(worker, 'message')) as [ProducerResult];
        return result;
      }),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
