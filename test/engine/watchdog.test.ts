/** The watchdog: with clock, timers and statistics that the test moves. */

import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';

import type { Kernel } from '../../src/base/kernel.js';
import { Counter, Hook, ReactorStats } from '../../src/connection/stats.js';
import { TurnWatch, Watchdog } from '../../src/engine/watchdog.js';

const DESCRIPTOR = 9;

let now: number;
let signals: number[];
let kernel: Kernel;
let shared: SharedArrayBuffer;
let stats: ReactorStats[];
let timer: { delay: number; callback: () => void } | undefined;
let blocked: string[];
let replaced: number[];
let watchdog: Watchdog;

function create(blockedAfterMs: number, replaceAfterMs = 0): void {
  watchdog = new Watchdog({
    kernel,
    shared,
    blockedAfterMs,
    replaceAfterMs,
    stats: (index) => stats[index],
    count: stats.length,
    setTimer(delay, callback) {
      assert.equal(timer, undefined, 'two timers at once');
      timer = { delay, callback };
      return 1;
    },
    clearTimer: () => {
      timer = undefined;
    },
    onBlocked: (_index, { code, message }) => blocked.push(`${code} ${message}`),
    onReplace: (index) => replaced.push(index),
  });
}

beforeEach(() => {
  now = 10_000;
  signals = [];
  kernel = { now: () => now, signal: (fd: number) => signals.push(fd) } as unknown as Kernel;
  shared = new SharedArrayBuffer(4);
  stats = [ReactorStats.create(), ReactorStats.create()];
  timer = undefined;
  blocked = [];
  replaced = [];
});

/** Lets the time of the timer pass. */
function look(): void {
  const { delay, callback } = timer!;
  timer = undefined;
  now += delay;
  callback();
}

/** What a reactor does that starts to work, and the main thread then. */
function wake(): void {
  new TurnWatch(kernel, shared, DESCRIPTOR).note();
  watchdog.wake();
}

function work(index: number): void {
  stats[index].beginTurn(now);
  stats[index].add(Counter.turns, 1);
  stats[index].endTurn();
}

describe('a reactor that works', () => {
  it('wakes the watchdog once, and again only when that went to sleep', () => {
    const watch = new TurnWatch(kernel, shared, DESCRIPTOR);
    create(1_000);
    watch.note();
    watch.note();
    assert.deepEqual(signals, [DESCRIPTOR]);
    watchdog.wake();
    work(0);
    look();
    watch.note();
    assert.equal(signals.length, 1);
    look();
    assert.equal(timer, undefined, 'it looks though nobody works');
    watch.note();
    assert.equal(signals.length, 2);
  });

  it('without a watchdog signals nobody', () => {
    new TurnWatch(kernel, shared, -1).note();
    assert.deepEqual(signals, []);
  });

  it('is not reported, however much it works', () => {
    create(1_000);
    wake();
    for (let i = 0; i < 20; i += 1) {
      work(0);
      stats[1].beginTurn(now);
      look();
    }
    assert.deepEqual(blocked, []);
    assert.notEqual(timer, undefined);
  });
});

describe('a reactor that blocks', () => {
  it('is reported once for each turn, with its hook and slot', () => {
    create(1_000);
    wake();
    stats[1].beginTurn(now);
    stats[1].enterHook(Hook.onData, 7);
    look();
    assert.deepEqual(blocked, []);
    look();
    look();
    look();
    assert.deepEqual(blocked, [
      'ERR_REACTOR_BLOCKED Reactor 1 has been in onData of slot 7 for 1000 ms: its other connections wait',
    ]);
    stats[1].leaveHook();
    stats[1].beginTurn(now);
    look();
    look();
    assert.match(blocked[1], /Reactor 1 has been outside of a hook for 1000 ms/);
    assert.equal(blocked.length, 2);
  });

  it('is replaced after a longer time, if that is wanted', () => {
    create(1_000, 2_000);
    wake();
    stats[0].beginTurn(now);
    for (let i = 0; i < 3; i += 1) {
      look();
    }
    assert.deepEqual([blocked.length, replaced], [1, []]);
    look();
    assert.deepEqual(replaced, [0]);
  });

  it('keeps the watchdog awake when its turn began unseen', () => {
    create(1_000);
    wake();
    const hidden = stats[0];
    let reads = 0;
    // The turn begins between the look and the going to sleep.
    stats[0] = new Proxy(hidden, {
      get(target, name) {
        if (name === 'turnStartedAt') {
          reads += 1;
          return reads > 2 ? now : 0;
        }
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    look();
    look();
    assert.equal(reads, 3);
    assert.notEqual(timer, undefined);
    assert.equal(new Int32Array(shared)[0], 1);
  });
});

describe('the watchdog', () => {
  it('does not look when something else woke the main thread', () => {
    create(1_000);
    watchdog.wake();
    assert.equal(timer, undefined);
    wake();
    assert.notEqual(timer, undefined);
  });

  it('looks no more once closed', () => {
    create(1_000);
    wake();
    wake();
    watchdog.close();
    wake();
    assert.equal(timer, undefined);
  });

  it('looks twice in the time that is too long, but not all the time', () => {
    for (const [blockedAfterMs, delay] of [
      [1_000, 500],
      [1, 10],
      [25, 13],
    ]) {
      timer = undefined;
      shared = new SharedArrayBuffer(4);
      create(blockedAfterMs);
      wake();
      assert.equal(timer!.delay, delay);
    }
  });
});
