/** A handler module for several reactors: each has its own pool and queue. */

import { Piscina } from 'piscina';

import { framed, lines } from '../../src/codec/index.js';
import { WorkQueue } from '../../src/work/index.js';
import type { GatedTask } from './gated-task.js';

const pool = new Piscina({
  filename: new URL('./gated-task.js', import.meta.url).href,
  maxThreads: 1,
});
const queue = new WorkQueue<GatedTask, string>(pool);

export const handler = framed(lines(), {
  onFrame(connection, name) {
    queue.submit(connection, { name }, (_connection, { value }) => {
      connection.send(`${value} on ${connection.reactor.index}`);
    });
  },
  onClose: (connection) => queue.forget(connection),
  async onShutdown() {
    await queue.close();
    await pool.destroy();
  },
});
