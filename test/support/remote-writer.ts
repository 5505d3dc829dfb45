/**
 * A thread that writes to a server's connections through a remote handle. It gets orders by message, one stream each,
 * and answers each with what it wrote; `exit` ends it.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { type RemoteHandle, remote } from '../../src/index.js';
import { noiseAt } from './noise.js';

export interface WriteOrder {
  readonly id: number;
  readonly seed: number;
  /** The lengths of the pieces. */
  readonly cuts: readonly number[];
}

export interface WriteAnswer {
  readonly id: number;
  /** What the last write said. */
  readonly result: string;
  readonly byteLength: number;
}

const office = remote(workerData as RemoteHandle);
/** Nobody notifies it: a way to wait without spinning. */
const clock = new Int32Array(new SharedArrayBuffer(4));

parentPort?.on('message', (order: WriteOrder | 'exit') => {
  if (order === 'exit') {
    parentPort?.close();
  } else {
    write(order);
  }
});

function write({ id, seed, cuts }: WriteOrder): void {
  let at = 0;
  let result = 'queued';
  for (const size of cuts) {
    const piece = noiseAt(seed, at, size);
    result = office.write(id, piece);
    while (result === 'full') {
      Atomics.wait(clock, 0, 0, 1);
      result = office.write(id, piece);
    }
    if (result === 'closed') {
      break;
    }
    at += size;
  }
  parentPort?.postMessage({ id, result, byteLength: at } satisfies WriteAnswer);
}
