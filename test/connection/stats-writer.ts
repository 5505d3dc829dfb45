/** A thread of stats.test.ts that writes two values in turn, whose halves would be seen mixed in a torn read. */

import { parentPort, workerData } from 'node:worker_threads';

import { Counter, ReactorStats } from '../../src/connection/stats.js';

const { buffer, values } = workerData as { buffer: SharedArrayBuffer; values: number[] };
const stats = ReactorStats.from(buffer);

parentPort?.postMessage('started');
for (let i = 0; stats.get(Counter.turns) === 0; i++) {
  stats.set(Counter.bytesSent, values[i & 1]);
}
