/** The budget of a turn and the common deadline, on a clock and turns of the test's own. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Reactor } from '../../src/index.js';
import type { Handshake } from '../../src/tls/handshake.js';
import { HandshakeQueue } from '../../src/tls/handshake-queue.js';
import type { TlsConnection } from '../../src/tls/tls-connection.js';

class World {
  now = 1_000;
  tasks: (() => void)[] = [];
  timers = new Map<number, { at: number; callback: () => void }>();
  #lastTimer = 0;
  timedOut: string[] = [];
  turned: string[] = [];
  readonly queue: HandshakeQueue;

  constructor(perTurn: number, timeoutMs = 100) {
    const reactor = {
      execute: (task: () => void) => void this.tasks.push(task),
      setTimer: (delay: number, callback: () => void) => {
        this.#lastTimer += 1;
        this.timers.set(this.#lastTimer, { at: this.now + delay, callback });
        return this.#lastTimer;
      },
      clearTimer: (timer: number) => void this.timers.delete(timer),
    };
    Object.defineProperty(reactor, 'now', { get: () => this.now });
    this.queue = new HandshakeQueue(reactor as unknown as Reactor, {
      perTurn,
      timeoutMs,
      onTimeout: (connection) => {
        this.timedOut.push(nameOf(connection));
        this.end(connection);
      },
      onTurn: (connection) => void this.turned.push(nameOf(connection)),
    });
  }

  connection(name: string): TlsConnection {
    const connection = { context: name, handshake: { deadline: 0 } as Handshake };
    this.queue.add(connection as unknown as TlsConnection);
    return connection as unknown as TlsConnection;
  }

  end(connection: TlsConnection): void {
    this.queue.remove(connection);
    connection.handshake = undefined;
  }

  turn(): void {
    for (const task of this.tasks.splice(0)) {
      task();
    }
  }

  advance(milliseconds: number): void {
    this.now += milliseconds;
    for (const [id, { at, callback }] of this.timers) {
      if (at <= this.now) {
        this.timers.delete(id);
        callback();
      }
    }
  }
}

function nameOf(connection: TlsConnection): string {
  return connection.context as string;
}

describe('HandshakeQueue', () => {
  it('admits so many a turn, and the others in their order, so many a turn', () => {
    const world = new World(2);
    const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => world.connection(name));
    assert.deepEqual(
      all.map((connection) => world.queue.admit(connection)),
      [true, true, false, false, false, false, false],
    );
    world.turn();
    assert.deepEqual(world.turned, ['c', 'd']);
    // Whoever comes now waits behind them.
    const late = world.connection('late');
    assert.equal(world.queue.admit(late), false);
    world.end(all[4]!);
    world.turn();
    assert.deepEqual(world.turned, ['c', 'd', 'f', 'g']);
    world.turn();
    assert.deepEqual(world.turned, ['c', 'd', 'f', 'g', 'late']);
    assert.equal(world.queue.admit(world.connection('x')), true);
    world.turn();
    world.turn();
    assert.equal(world.tasks.length, 0, 'nothing goes on by itself');
  });

  it('ends those that are late, with one timer, and none when there is nobody', () => {
    const world = new World(5);
    const first = world.connection('first');
    world.advance(40);
    world.connection('second');
    const third = world.connection('third');
    assert.equal(world.timers.size, 1);
    world.end(third);
    world.advance(60);
    assert.deepEqual(world.timedOut, ['first']);
    assert.equal(first.handshake, undefined);
    assert.equal(world.timers.size, 1);
    world.advance(39);
    assert.deepEqual(world.timedOut, ['first']);
    world.advance(1);
    assert.deepEqual(world.timedOut, ['first', 'second']);
    assert.equal(world.timers.size, 0);
    const last = world.connection('last');
    world.end(last);
    assert.equal(world.timers.size, 0);
  });

  it('removes from the midst and the ends', () => {
    const world = new World(5);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => world.connection(name));
    world.end(b!);
    world.end(a!);
    const d = world.connection('d');
    world.end(c!);
    world.advance(100);
    assert.deepEqual(world.timedOut, ['d']);
    assert.equal(d.handshake, undefined);
  });
});
