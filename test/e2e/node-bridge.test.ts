/** Node's http server on the connections of one and of three reactors, on both drivers, as its clients see it. */

import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { describe, it } from 'node:test';

import { serve } from '../../src/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';

const MODULE = new URL('../support/engine-handlers/node-http.js', import.meta.url);
/** Above all socket buffers. */
const BODY = Buffer.alloc(3 * 1024 * 1024, 'through both worlds ');

interface Answer {
  readonly thread: string;
  readonly body: Buffer;
}

function post(agent: Agent, port: string, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ agent, port, host: '127.0.0.1', method: 'POST' }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ thread: String(response.headers['x-thread']), body: Buffer.concat(chunks) }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

for (const driver of ['epoll', 'uring'] as const) {
  for (const reactors of [1, 3]) {
    describe(`http.Server on ${reactors} reactor(s), ${driver}`, () => {
      it('answers on all of them, large bodies both ways, over kept connections', async () => {
        const server = await serve({
          listen: 'tcp://127.0.0.1:0',
          handler: MODULE,
          driver,
          reactors,
          balance: 'round-robin',
        });
        const port = new URL(server.addresses[0]!).port;
        const agents = Array.from(
          { length: 6 },
          () => new Agent({ keepAlive: true, maxSockets: 1 }),
        );
        try {
          const threads = new Set<string>();
          for (const agent of agents) {
            const first = await settled(post(agent, port, BODY), 'the answer');
            const second = await settled(post(agent, port, Buffer.from('again')), 'the answer');
            assert.ok(first.body.equals(BODY));
            assert.equal(second.body.toString(), 'again');
            assert.equal(second.thread, first.thread, 'one connection, one reactor');
            threads.add(first.thread);
          }
          assert.equal(threads.size, reactors);
          assert.equal(server.stats.totals.accepted, agents.length);
        } finally {
          for (const agent of agents) agent.destroy();
        }
        await awaitCondition(() => server.stats.totals.connections === 0, 'the ends');
        await server.close();
      });
    });
  }
}
