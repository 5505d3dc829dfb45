/** The queue with piscina's threads behind real connections. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Piscina } from 'piscina';

import { type FramedConnection, framed, lines } from '../../src/codec/index.js';
import { serve } from '../../src/index.js';
import { WorkQueue, type WorkQueueOptions } from '../../src/work/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import type { GatedTask } from './gated-task.js';

interface Scope {
  after(callback: () => Promise<void>): void;
}

async function rig(t: Scope, options: WorkQueueOptions = {}) {
  const gate = new SharedArrayBuffer(4);
  const pool = new Piscina({
    filename: new URL('./gated-task.js', import.meta.url).href,
    maxThreads: 1,
  });
  const queue = new WorkQueue<GatedTask, string>(pool, options);
  const warnings: Error[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    onWarning: (warning) => warnings.push(warning),
    handler: framed(lines(), {
      onFrame(connection: FramedConnection<string>, line) {
        const [word, name = ''] = line.split(' ');
        if (word === 'ping') {
          connection.send('pong');
          return;
        }
        const task = { name, throws: word === 'throw', ...(word === 'wait' ? { gate } : {}) };
        const taken = queue.submit(connection, task, (_connection, { error, value }) => {
          connection.send(
            error === undefined
              ? value
              : `${error.name} ${(error as NodeJS.ErrnoException).code ?? error.message}`,
          );
        });
        if (taken !== 'queued') {
          connection.send(taken);
        }
      },
      onClose: (connection) => queue.forget(connection),
    }),
  });
  const open = () => {
    Atomics.store(new Int32Array(gate), 0, 1);
    Atomics.notify(new Int32Array(gate), 0);
  };
  t.after(async () => {
    open();
    await server.close({ deadlineMs: 0 });
    await queue.close();
    await pool.destroy();
    assert.deepEqual(warnings, []);
  });
  return {
    server,
    queue,
    open,
    connect: () => NetClient.connect(t as never, server.addresses[0]!),
  };
}

describe('piscina', () => {
  it('while its thread is busy the reactor serves others, and what waits is answered in order', async (t) => {
    const { connect, open } = await rig(t);
    const [a, b] = [await connect(), await connect()];
    a.write('wait 1\nrun 2\nthrow 3\nrun 4\n');
    b.write('ping\n');
    await b.receives('pong\n');
    assert.equal(a.text, '');
    open();
    await a.receives('done 4\n');
    assert.equal(a.text, 'done 1\ndone 2\nRangeError no 3\ndone 4\n');
  });

  it('a connection that goes away has its tasks dropped, and others theirs done', async (t) => {
    const { connect, open, queue } = await rig(t);
    const [a, b] = [await connect(), await connect()];
    a.write('wait 1\nrun 2\nrun 3\n');
    await awaitCondition(() => queue.stats.submitted === 3, 'the tasks');
    a.socket.resetAndDestroy();
    await awaitCondition(() => queue.stats.dropped === 3, 'the close');
    b.write('run 4\n');
    open();
    await b.receives('done 4\n');
    assert.equal(queue.stats.answered, 1);
  });

  it('a task over its time is ended with its thread, and the next one gets a new one', async (t) => {
    const { connect, queue } = await rig(t, { timeoutMs: 50 });
    const client = await connect();
    client.write('wait 1\n');
    await client.receives('MillraceError ERR_WORK_TIMEOUT\n');
    await awaitCondition(() => queue.stats.running === 0, 'the end of the thread');
    // Its own time is as short: tried until a new thread was quick enough.
    await awaitCondition(async () => {
      const before = client.text.length;
      client.write('run 2\n');
      await awaitCondition(() => client.text.length > before, 'an answer');
      return client.text.endsWith('done 2\n');
    }, 'an answer in time');
  });

  it('beyond the limits is refused, or waits in the kernel', async (t) => {
    const refusing = await rig(t, { connectionMax: 2 });
    const a = await refusing.connect();
    a.write('wait 1\nrun 2\nrun 3\n');
    await a.receives('full\n');
    refusing.open();
    await a.receives('done 2\n');
    const pausing = await rig(t, { connectionMax: 2, whenFull: 'pause' });
    const b = await pausing.connect();
    b.write(`wait 1\n${Array.from({ length: 98 }, (_, i) => `run ${i + 2}\n`).join('')}`);
    await awaitCondition(() => pausing.queue.stats.pauses === 1, 'the pause');
    assert.equal(pausing.queue.stats.submitted, 2);
    pausing.open();
    await b.receives('done 99\n');
    assert.equal(b.text, Array.from({ length: 99 }, (_, i) => `done ${i + 1}\n`).join(''));
    assert.equal(pausing.queue.stats.refused, 0);
  });
});

it('several reactors have a pool each', async (t) => {
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: new URL('./prime-handler.js', import.meta.url),
    reactors: 3,
  });
  t.after(() => server.close({ deadlineMs: 0 }));
  const clients = await Promise.all(
    Array.from({ length: 3 }, () => NetClient.connect(t, server.addresses[0]!)),
  );
  for (const [i, client] of clients.entries()) {
    client.write(`a${i}\nb${i}\n`);
  }
  const reactors = new Set<string>();
  for (const [i, client] of clients.entries()) {
    await client.receives(`done b${i} on `);
    assert.match(client.text, new RegExp(`^done a${i} on (\\d)\\ndone b${i} on \\1`));
    reactors.add(client.text.split(' on ')[1]![0]!);
  }
  assert.equal(reactors.size, 3);
});
