/**
 * Checks of one reactor between two steps of the world: the driver does what the connections' flags ask for and nothing
 * else (so that no EPOLLOUT is armed while nothing is queued), queues and unread bytes stay below their caps, the sums
 * are right, and no turn follows another without anything happening. At the end: nothing is left in any table.
 */

import assert from 'node:assert/strict';

import type { SocketConnection } from '../../src/connection/connection.js';
import {
  CLOSING,
  DESTROYED,
  HAS_READER,
  NO_RECEIVE,
  QUEUED,
  RECEIVE_ENDED,
  SEND_ENDED,
  SENDING,
} from '../../src/connection/connection-table.js';
import { WHEN_FULL_PAUSE_SOURCE } from '../../src/connection/profile.js';
import type { Reactor } from '../../src/connection/reactor.js';
import { Counter } from '../../src/connection/stats.js';
import type { DriverMonitor } from './check-driver.js';
import { SimEpoll } from './sim-epoll.js';
import type { SimWorld } from './sim-world.js';
import { Entry } from './trial-ledger.js';

/** Turns in a row in which nothing may happen: work asks for one more turn, an alarm may come a little early. */
const EMPTY_TURNS_MAX = 16;

export class ReactorCheck {
  readonly #world: SimWorld;
  readonly #monitor: DriverMonitor;
  #reactor: Reactor | undefined;
  #progress = -1;
  #unread = -1;
  #emptyTurns = 0;
  /** From when on turns must have a reason: faults are such that events come without one. */
  isStrict = false;

  constructor(world: SimWorld, monitor: DriverMonitor) {
    this.#world = world;
    this.#monitor = monitor;
  }

  /** The driver is there before its reactor. */
  set reactor(reactor: Reactor) {
    this.#reactor = reactor;
  }

  get reactor(): Reactor {
    return this.#reactor!;
  }

  /** What it has done so far that a peer may notice. */
  get outputs(): number {
    return this.#monitor.outputs;
  }

  /** At the start of each turn. */
  onTurn(): void {
    if (!this.isStrict) {
      return;
    }
    const progress = this.#signsOfProgress();
    const unread = this.#unreadBytes();
    const hasMoved = progress !== this.#progress || unread !== this.#unread;
    this.#emptyTurns = hasMoved ? 0 : this.#emptyTurns + 1;
    this.#progress = progress;
    this.#unread = unread;
    if (this.#emptyTurns > EMPTY_TURNS_MAX) {
      assert.fail(`reactor ${this.reactor.index} spins: ${EMPTY_TURNS_MAX} turns without anything`);
    }
  }

  #signsOfProgress(): number {
    const { stats } = this.reactor;
    return (
      this.#monitor.completions +
      stats.get(Counter.timersFired) +
      stats.get(Counter.mailboxMessages) +
      stats.get(Counter.sends)
    );
  }

  /** What a pull handler left is offered again as long as it reads some of it. */
  #unreadBytes(): number {
    let unread = 0;
    for (const reader of this.reactor.state.readers.values()) {
      unread += reader.length;
    }
    return unread;
  }

  /** Between two steps. */
  inspect(): void {
    const { state } = this.reactor;
    let queued = 0;
    for (const connection of state.connections) {
      if (connection !== undefined) {
        queued += this.#inspectOne(connection);
      }
    }
    assert.equal(state.queuedBytes, queued, 'the sum of queued bytes');
    const epoll = this.#world.table.peek(this.#monitor.doorbellDescriptor);
    if (epoll instanceof SimEpoll) {
      this.#monitor.checkInterest(epoll);
    }
  }

  /** When the reactor has no connections any more. */
  checkEmpty(): void {
    const { state } = this.reactor;
    const { queues, readers, writers, extras, teardowns, pool } = state;
    for (const [name, map] of Object.entries({ queues, readers, writers, extras, teardowns })) {
      assert.equal(map.size, 0, `${name} are left without connections`);
    }
    assert.equal(state.queuedBytes, 0, 'queued bytes are accounted for');
    assert.equal(pool.usedBlocks, 0, 'blocks are out without connections');
    assert.equal(pool.usedBytes, 0, 'pooled bytes are out without connections');
  }

  /** Returns the bytes queued. */
  #inspectOne(connection: SocketConnection): number {
    const { state } = this.reactor;
    const { slot } = connection;
    const flags = state.table.flags[slot];
    const queue = state.queues.get(slot);
    assert.equal(
      (flags & QUEUED) !== 0,
      queue !== undefined,
      `slot ${slot}: the flag of its queue`,
    );
    // What an asynchronous driver has taken from a write lies beside the queue.
    const queuedBytes = (queue?.byteLength ?? 0) + state.table.directBytes[slot];
    this.#checkCaps(connection, queue?.byteLength ?? 0);
    if ((flags & DESTROYED) === 0) {
      this.#checkActivity(slot, flags, queuedBytes);
    }
    return queuedBytes;
  }

  #checkCaps(connection: SocketConnection, queuedBytes: number): void {
    const { state, options } = this.reactor;
    const { slot, profile } = connection;
    const times = profile.whenFull === WHEN_FULL_PAUSE_SOURCE ? 2 : 1;
    // One write on an empty queue is always taken, whatever its size.
    const largest = connection.context instanceof Entry ? connection.context.largestWrite : 0;
    const queuedMax = Math.max(profile.writeQueueMax * times, largest);
    assert.ok(
      queuedBytes <= queuedMax,
      `slot ${slot}: ${queuedBytes} bytes queued of ${queuedMax}`,
    );
    if ((state.table.flags[slot] & HAS_READER) !== 0) {
      const unread = state.readers.get(slot)?.length ?? 0;
      // What comes with the receive that passes the limit is kept.
      const unreadMax = profile.readQueueMax + options.receiveBytes + state.driver.receiveAhead;
      assert.ok(unread <= unreadMax, `slot ${slot}: ${unread} bytes unread of ${unreadMax}`);
    }
  }

  #checkActivity(slot: number, flags: number, queuedBytes: number): void {
    const facts = this.#monitor.slot(slot);
    if (facts === undefined || facts.kind !== 'stream') {
      assert.fail(`slot ${slot}: a connection that the driver does not know`);
    }
    assert.equal(facts.isPending, (flags & SENDING) !== 0, `slot ${slot}: a pending send`);
    assert.ok(!facts.isPending || queuedBytes > 0, `slot ${slot}: a pending send of nothing`);
    assert.equal(facts.isShut, (flags & SEND_ENDED) !== 0, `slot ${slot}: our own end`);
    assert.equal(facts.hasEnded, (flags & RECEIVE_ENDED) !== 0, `slot ${slot}: the peer's end`);
    if (!facts.hasEnded) {
      // A connection that is closing has to see the peer's end, paused or not.
      const wants = (flags & CLOSING) !== 0 || (flags & NO_RECEIVE) === 0;
      assert.equal(facts.isReceiving, wants, `slot ${slot}: whether it receives`);
    }
  }
}
