/**
 * A thread that writes to connections by ids that it got from elsewhere, as if it did not know that most of them are
 * closed. Each write says whom it is meant for. The ids come in a ring of shared memory, the last ones known.
 */

import { parentPort, workerData } from 'node:worker_threads';

import { type RemoteHandle, remote } from '../../src/index.js';
import { Random } from '../sim/random.js';
import { encodeRecord, STRAY } from './handlers/nonce-layout.js';

export interface StrayOrder {
  readonly handle: RemoteHandle;
  /** Doubles. */
  readonly ids: SharedArrayBuffer;
  /** Two words: how many ids were ever put into the ring; 1 when the thread is to end. */
  readonly control: SharedArrayBuffer;
}

/** What the thread has done when it ends. */
export interface StrayAnswer {
  readonly queued: number;
}

/** Writes between two rests: the thread should disturb the others, not starve them. */
const BURST = 32;

const { handle, ids, control } = workerData as StrayOrder;
const office = remote(handle);
const ring = new Float64Array(ids);
const words = new Int32Array(control);
const random = new Random(4);
let queued = 0;

while (Atomics.load(words, 1) === 0) {
  const known = Math.min(Atomics.load(words, 0), ring.length);
  for (let i = 0; i < BURST && known > 0; i += 1) {
    const id = ring[random.below(known)]!;
    queued += office.write(id, encodeRecord(id, STRAY)) === 'queued' ? 1 : 0;
  }
  Atomics.wait(words, 1, 0, 1);
}
parentPort?.postMessage({ queued } satisfies StrayAnswer);
