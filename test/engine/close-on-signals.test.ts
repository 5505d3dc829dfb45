/** engine/close-on-signals: graceful at the first signal, at once at the second, and what counts as one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Server } from '../../src/api.js';
import { closeOnSignals } from '../../src/engine/close-on-signals.js';
import { awaitCondition } from '../support/await-condition.js';

/** Only what closeOnSignals uses of a server, which closes when the test says so. */
class FakeServer {
  readonly deadlines: (number | undefined)[] = [];
  readonly closed: Promise<void>;
  finish: () => void = () => {};

  constructor() {
    this.closed = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  close(options: { deadlineMs?: number } = {}): Promise<void> {
    this.deadlines.push(options.deadlineMs);
    return this.closed;
  }
}

function rig() {
  const server = new FakeServer();
  const heard: string[] = [];
  const remove = closeOnSignals(server as unknown as Server, {
    signals: ['SIGUSR2', 'SIGWINCH'],
    deadlineMs: 1_234,
    onSignal: (signal) => heard.push(`first ${signal}`),
    onHurry: (signal) => heard.push(`second ${signal}`),
  });
  return { server, heard, remove };
}

test('the first signal closes gracefully, one that follows later at once', async (t) => {
  const { server, heard, remove } = rig();
  t.after(remove);
  process.kill(process.pid, 'SIGUSR2');
  await awaitCondition(() => server.deadlines.length === 1, 'the first close');
  assert.deepEqual(heard, ['first SIGUSR2']);
  await awaitCondition(() => {
    process.kill(process.pid, 'SIGWINCH');
    return server.deadlines.length > 1;
  }, 'the second close');
  assert.deepEqual(heard.slice(0, 2), ['first SIGUSR2', 'second SIGWINCH']);
  assert.deepEqual(server.deadlines.slice(0, 2), [1_234, 0]);
});

test('signals at the same moment are one: npm passes on what the terminal sends to all', async (t) => {
  const { server, heard, remove } = rig();
  t.after(remove);
  let arrived = 0;
  const count = () => {
    arrived += 1;
  };
  for (const signal of ['SIGUSR2', 'SIGWINCH'] as const) {
    process.on(signal, count);
    t.after(() => process.off(signal, count));
    process.kill(process.pid, signal);
  }
  await awaitCondition(() => arrived === 2, 'both signals');
  assert.equal(heard.length, 1);
  assert.deepEqual(server.deadlines, [1_234]);
});

test('the handlers go with the server, or when they are taken away', async () => {
  const counts = () => [process.listenerCount('SIGUSR2'), process.listenerCount('SIGWINCH')];
  const before = counts();
  const first = rig();
  assert.deepEqual(
    counts(),
    before.map((n) => n + 1),
  );
  first.remove();
  assert.deepEqual(counts(), before);
  const second = rig();
  second.server.finish();
  await second.server.closed;
  await awaitCondition(() => counts().join() === before.join(), 'the handlers to go');
});
