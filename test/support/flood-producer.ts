/**
 * A thread of the flood (test/support/flood.ts): posts numbered messages to a reactor, again when the mailbox is full;
 * or writes them to a connection; or posts one at a time and waits for each to be acknowledged.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { type RemoteHandle, remote } from '../../src/index.js';

export interface ProducerOrder {
  readonly handle: RemoteHandle;
  readonly sender: number;
  readonly count: number;
  /** The reactor to post to, or the connection to write to. */
  readonly reactor: number;
  readonly connection?: number;
  /** Word `sender` counts what has arrived: with it, one message at a time. */
  readonly acknowledged?: SharedArrayBuffer;
}

export interface ProducerResult {
  readonly sender: number;
  /** How often the mailbox was full. */
  readonly refused: number;
}

const order = workerData as ProducerOrder;
const { sender, count, reactor, connection } = order;
const target = remote(order.handle);
const acknowledged = order.acknowledged && new Int32Array(order.acknowledged);
const never = new Int32Array(new SharedArrayBuffer(4));
let refused = 0;

function send(bytes: Uint8Array): boolean {
  return connection === undefined
    ? target.post(reactor, bytes)
    : target.write(connection, bytes) === 'queued';
}

for (let i = 0; i < count; i += 1) {
  const message = Buffer.alloc(8);
  message.writeUInt32LE(sender, 0);
  message.writeUInt32LE(i, 4);
  while (!send(message)) {
    refused += 1;
    Atomics.wait(never, 0, 0, 0.2);
  }
  if (acknowledged !== undefined) {
    Atomics.wait(acknowledged, sender, i);
  }
}
parentPort!.postMessage({ sender, refused } satisfies ProducerResult);
