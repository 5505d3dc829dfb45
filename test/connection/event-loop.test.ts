/** When turns happen: on a host whose doorbell, alarm and deferred calls the test rings itself. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Kernel } from '../../src/base/kernel.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { EventLoop } from '../../src/connection/event-loop.js';
import { awaitCondition, rounds } from '../support/await-condition.js';

const BELL = 5;
const NEVER = Number.POSITIVE_INFINITY;

/** The parts of a kernel that the loop uses, and a body that does what the test says. */
class Stage {
  readonly deferred: (() => void)[] = [];
  readonly alarms: (number | 'clear')[] = [];
  readonly references: string[] = [];
  isDoorbellOn = true;
  isDoorbellClosed = false;
  now = 100;
  turns = 0;
  deadline = NEVER;
  ring: (isDrained: boolean) => void = () => {};
  drains = 0;
  ringAlarm: () => void = () => {};
  onTurn: () => boolean = () => false;
  readonly loop: EventLoop;

  constructor(signals?: readonly number[]) {
    const kernel = {
      now: () => this.now,
      defer: (callback: () => void) => this.deferred.push(callback),
      doorbell: (fd: number, ring: (isDrained: boolean) => void) => {
        assert.equal(fd, BELL);
        this.ring = ring;
        return {
          ref: () => this.references.push('ref'),
          unref: () => this.references.push('unref'),
          start: () => {
            this.isDoorbellOn = true;
          },
          stop: () => {
            this.isDoorbellOn = false;
          },
          close: () => {
            this.isDoorbellClosed = true;
          },
        };
      },
      alarm: (ring: () => void) => {
        this.ringAlarm = ring;
        return {
          set: (delay: number) => this.alarms.push(delay),
          clear: () => this.alarms.push('clear'),
        };
      },
    } as unknown as Kernel;
    const body = {
      turn: () => {
        this.turns += 1;
        return this.onTurn();
      },
      drained: () => {
        this.drains += 1;
      },
      rest: () => false,
      nextDeadline: () => this.deadline,
    };
    this.loop = new EventLoop(kernel, BELL, body, signals);
  }

  /** Runs what is deferred now. */
  round(): void {
    for (const callback of this.deferred.splice(0)) {
      callback();
    }
  }
}

describe('the event loop', () => {
  it('does nothing by itself', () => {
    const stage = new Stage();
    assert.deepEqual([stage.deferred, stage.alarms], [[], []]);
  });

  it('takes the doorbell down when it rings, and up when it rests', () => {
    const stage = new Stage();
    stage.onTurn = () => stage.turns < 3;
    stage.ring(false);
    assert.deepEqual([stage.turns, stage.deferred.length, stage.isDoorbellOn], [0, 1, false]);
    stage.round();
    stage.round();
    assert.deepEqual([stage.turns, stage.isDoorbellOn], [2, false]);
    stage.round();
    assert.deepEqual([stage.turns, stage.deferred.length, stage.isDoorbellOn], [3, 0, true]);
    assert.equal(stage.drains, 0);
  });

  it('leaves a doorbell up whose signals the host reads', () => {
    const stage = new Stage([BELL]);
    stage.onTurn = () => stage.turns === 1;
    stage.ring(false);
    assert.deepEqual(
      [stage.turns, stage.deferred.splice(0).length, stage.isDoorbellOn],
      [0, 1, true],
    );
    stage.loop.close();
  });

  it('runs a turn at once when the host has read what rang, unless one is deferred', () => {
    const stage = new Stage([BELL]);
    stage.onTurn = () => stage.turns === 1;
    stage.ring(true);
    assert.deepEqual([stage.turns, stage.drains, stage.deferred.length], [1, 1, 1]);
    assert.equal(stage.isDoorbellOn, false);
    stage.ring(true);
    assert.deepEqual([stage.turns, stage.drains, stage.deferred.length], [1, 2, 1]);
    stage.round();
    assert.deepEqual([stage.turns, stage.deferred.length, stage.isDoorbellOn], [2, 0, true]);
    stage.loop.close();
    stage.ring(true);
    assert.deepEqual([stage.turns, stage.drains], [2, 2]);
  });

  it('runs one turn for any number of requests, and those from inside a turn are left to its answer', () => {
    const stage = new Stage();
    stage.onTurn = () => {
      stage.loop.request();
      return false;
    };
    stage.loop.request();
    stage.loop.request();
    stage.ring(false);
    assert.equal(stage.deferred.length, 1);
    stage.round();
    assert.deepEqual([stage.turns, stage.deferred.length], [1, 0]);
  });

  it('sets the alarm to the next deadline when it rests, and only if that changed', () => {
    const stage = new Stage();
    const turn = (deadline: number) => {
      stage.deadline = deadline;
      stage.loop.request();
      stage.round();
      return stage.alarms.splice(0);
    };
    assert.deepEqual(turn(NEVER), []);
    assert.deepEqual(turn(150), [50]);
    stage.now = 120;
    assert.deepEqual(turn(150), []);
    assert.deepEqual(turn(140), [20]);
    assert.deepEqual(turn(NEVER), ['clear']);
    assert.deepEqual(turn(140), [20]);
    stage.ringAlarm();
    assert.equal(stage.deferred.length, 1);
    assert.deepEqual(turn(140), [20], 'rang too early');
  });

  it('goes on after a turn that threw, which it passes on', () => {
    const stage = new Stage();
    stage.onTurn = () => {
      throw new Error('a bug');
    };
    stage.loop.request();
    assert.throws(() => stage.round(), /a bug/);
    assert.equal(stage.deferred.length, 1);
    stage.onTurn = () => false;
    stage.round();
    assert.deepEqual([stage.turns, stage.isDoorbellOn], [2, true]);
  });

  it('does nothing any more once closed, not even what was deferred', () => {
    const stage = new Stage();
    stage.loop.request();
    stage.loop.close();
    stage.loop.close();
    stage.round();
    stage.ring(false);
    stage.ringAlarm();
    stage.loop.request();
    assert.deepEqual([stage.turns, stage.deferred.length, stage.isDoorbellClosed], [0, 0, true]);
  });

  it('can be closed from inside a turn, and does not touch the doorbell after it', () => {
    const stage = new Stage();
    stage.onTurn = () => {
      stage.loop.close();
      return true;
    };
    stage.ring(false);
    stage.round();
    assert.deepEqual([stage.deferred.length, stage.isDoorbellOn], [0, false]);
  });

  it('keeps the process alive by its doorbell alone', () => {
    const stage = new Stage();
    stage.loop.unref();
    stage.loop.ref();
    assert.deepEqual(stage.references, ['unref', 'ref']);
  });
});

describe('on the real host', () => {
  it('promises of a turn are kept before the next turn, and before anything else of the loop', async () => {
    const kernel = new LinuxKernel();
    const epfd = kernel.epollCreate();
    const notes: string[] = [];
    const loop = new EventLoop(kernel, epfd, {
      turn() {
        notes.push('turn');
        void Promise.resolve().then(() => notes.push('promise'));
        return notes.length < 6;
      },
      rest: () => false,
      nextDeadline: () => NEVER,
    });
    loop.request();
    await awaitCondition(() => notes.length >= 6, 'the turns');
    await rounds(5);
    assert.deepEqual(notes, [
      'turn',
      'promise',
      'turn',
      'promise',
      'turn',
      'promise',
      'turn',
      'promise',
    ]);
    loop.close();
    kernel.close(epfd);
  });
});
