/** Signals close a server: with real signals to this process, and a server that only notes its closes. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Server } from '../../src/api.js';
import { closeOnSignals } from '../../src/engine/close-on-signals.js';
import { awaitCondition, rounds } from '../support/await-condition.js';

const SIGNAL = 'SIGHUP';

/** A server that closes when it is told to. */
class FakeServer {
  readonly closes: (number | undefined)[] = [];
  end: () => void = () => {};
  readonly closed = new Promise<void>((resolve) => {
    this.end = resolve;
  });

  close(options: { deadlineMs?: number } = {}): Promise<void> {
    this.closes.push(options.deadlineMs);
    return this.closed;
  }
}

let server: FakeServer;
let seen: string[];
let remove: () => void = () => {};

function watch(options: Parameters<typeof closeOnSignals>[1] = {}): void {
  server = new FakeServer();
  seen = [];
  remove = closeOnSignals(server as unknown as Server, {
    signals: [SIGNAL],
    onSignal: (signal) => seen.push(signal),
    onHurry: (signal) => seen.push(`hurry ${signal}`),
    ...options,
  });
}

async function signal(expected: number): Promise<void> {
  process.kill(process.pid, SIGNAL);
  await awaitCondition(() => seen.length === expected, 'the signal');
}

afterEach(() => remove());

describe('closeOnSignals()', () => {
  it('closes gracefully with the first signal, at once with a second that is not the same', async () => {
    watch({ deadlineMs: 7_000 });
    await signal(1);
    assert.deepEqual([seen, server.closes], [[SIGNAL], [7_000]]);
    // The same Ctrl-C, which came in two ways.
    process.kill(process.pid, SIGNAL);
    await rounds(20);
    assert.deepEqual(server.closes, [7_000]);
    await new Promise((resolve) => setTimeout(resolve, 520));
    await signal(2);
    assert.deepEqual(
      [seen, server.closes],
      [
        [SIGNAL, `hurry ${SIGNAL}`],
        [7_000, 0],
      ],
    );
  });

  it('takes its handlers away with the server', async () => {
    watch();
    assert.equal(process.listenerCount(SIGNAL), 1);
    server.end();
    await rounds(2);
    assert.equal(process.listenerCount(SIGNAL), 0);
  });

  it('takes its handlers away when told to, and closes nothing any more', () => {
    watch();
    remove();
    remove();
    assert.equal(process.listenerCount(SIGNAL), 0);
    assert.deepEqual(server.closes, []);
  });

  it('watches SIGTERM and SIGINT unless told otherwise', () => {
    const before = ['SIGTERM', 'SIGINT'].map((name) => process.listenerCount(name));
    remove = closeOnSignals(new FakeServer() as unknown as Server);
    const during = ['SIGTERM', 'SIGINT'].map((name) => process.listenerCount(name));
    assert.deepEqual(
      during,
      before.map((n) => n + 1),
    );
  });
});
