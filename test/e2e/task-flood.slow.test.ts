/** The flood of task-flood.test.ts with a million posts. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { serve } from '../../src/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { FloodAccount, flood } from '../support/flood.js';

it('a million posts of five threads arrive in order', async () => {
  const account = new FloodAccount();
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: { onMessage: (_reactor, bytes) => void account.note(bytes) },
  });
  const handle = server.remoteHandle();
  await settled(
    flood({ handle, senders: 5, count: 200_000, reactor: 0 }),
    'the producers',
    240_000,
  );
  await awaitCondition(() => account.received === 1_000_000, 'the last messages');
  assert.deepEqual(account.next, new Array(5).fill(200_000));
  assert.equal(account.disorders, 0);
  await server.close({ deadlineMs: 0 });
});
