/** cli/status-line: once a second, from the counters. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Alarm } from '../../src/base/kernel.js';
import { describeStatus, StatusLine } from '../../src/cli/status-line.js';
import { Terminal } from '../../src/cli/terminal.js';
import { Counter, ReactorStats, serverStats } from '../../src/connection/stats.js';

/** A clock and an alarm that the test moves. */
class FakeKernel {
  time = 1_000;
  ring: (() => void) | undefined;
  delayMs = 0;

  now(): number {
    return this.time;
  }

  alarm(callback: () => void): Alarm {
    return {
      set: (delayMs) => {
        this.delayMs = delayMs;
        this.ring = callback;
      },
      clear: () => {
        this.ring = undefined;
      },
      ref: () => assert.fail('a status must not keep the process'),
      unref: () => {},
    };
  }

  advance(milliseconds: number): void {
    this.time += milliseconds;
    const { ring } = this;
    this.ring = undefined;
    ring?.();
  }
}

function rig() {
  const stats = ReactorStats.create();
  const kernel = new FakeKernel();
  let shown = '';
  const output = {
    isTTY: true,
    columns: 200,
    on: () => {},
    write: (text: string) => (shown += text),
  };
  const server = {
    get stats() {
      return serverStats([stats]);
    },
  };
  const line = new StatusLine(server, new Terminal(output, output), kernel);
  return { stats, kernel, line, last: () => shown.slice(shown.lastIndexOf('\r') + 1).trimEnd() };
}

test('the line has the figures in the order of their weight', () => {
  const totals = { connections: 1, receives: 12_345, bytesReceived: 2_000_000, bytesSent: 1_000 };
  assert.equal(
    describeStatus(totals, 1_234.4, 65_000_000),
    '1 connection | 1,234 messages/s | 12,345 messages | 2.0 MB in | 1.0 kB out | 65.0 MB memory',
  );
});

test('each second shows what has come since the last, however long it took', () => {
  const { stats, kernel, line, last } = rig();
  stats.add(Counter.receives, 500);
  line.start();
  assert.equal(kernel.delayMs, 1_000);
  stats.add(Counter.receives, 100);
  kernel.advance(1_000);
  assert.match(last(), /^0 connections \| 100 messages\/s \| 600 messages \|/);
  stats.add(Counter.receives, 100);
  kernel.advance(4_000);
  assert.match(last(), /^0 connections \| 25 messages\/s \| 700 messages \|/);
  kernel.advance(1_000);
  assert.match(last(), /^0 connections \| 0 messages\/s \| 700 messages \|/);
});

test('after stop nothing is shown and nothing is due', () => {
  const { kernel, line, last } = rig();
  line.start();
  kernel.advance(1_000);
  line.stop();
  assert.equal(last(), '');
  assert.equal(kernel.ring, undefined);
});
