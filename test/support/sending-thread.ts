/** A thread beside a server's reactors that sends datagrams by id, through a remote handle. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import type { Server } from '../../src/index.js';
import type { SendOrder } from './engine-handlers/datagrams.js';

const CODE = `const { workerData, parentPort } = require('node:worker_threads');
  import(workerData.url).then(({ remote }) => {
    const office = remote(workerData.handle);
    parentPort.on('message', (orders) => parentPort.postMessage(
      orders.map(({ id, text, to }) => office.send(id, Buffer.from(text), to))));
  });`;

export class SendingThread {
  readonly #worker: Worker;

  constructor(server: Server) {
    const url = new URL('../../src/engine/remote.js', import.meta.url).href;
    const workerData = { url, handle: server.remoteHandle() };
    this.#worker = new Worker(CODE, { eval: true, workerData });
  }

  /** The result of each. */
  async send(...orders: SendOrder[]): Promise<string[]> {
    const answer = once(this.#worker, 'message');
    this.#worker.postMessage(orders);
    return (await answer)[0] as string[];
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
