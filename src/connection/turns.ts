/**
 * The turn of a reactor, and its tasks. The steps: completions → unread bytes offered again → timers → mailbox → tasks
 * → drained → gathered writes → slots freed. Whatever a step leaves over is done in the next turn, which then follows
 * at once. Called by the event loop.
 */

import type { Reactor as ReactorFace } from '../api.js';
import type { CompletionRouter } from './completion-router.js';
import { armSending } from './deadlines.js';
import { dispatchDrained, dispatchFlushes, dispatchReady } from './dispatch.js';
import type { ReactorState } from './reactor-state.js';
import { feedStarved } from './read-path.js';
import { Counter, Hook } from './stats.js';

/** Timers fired at most in one turn, so that a burst of a million does not starve the connections. */
const TIMER_BUDGET = 4_096;
/** Tasks run at most in one turn. */
const TASK_BUDGET = 1_024;
/**
 * After so many events there will be more by the time the next turn runs. After fewer, a turn that finds nothing costs
 * more than to be woken, and the loop rests at once (4 to 8 % of the CPU time at 20,000 to 50,000 requests a second),
 * unless the host does not read what wakes it: then being woken is dearer.
 */
const MANY = 16;
/** Pages that are given back more often than this would be faulted in again as often. */
const TRIM_INTERVAL_MS = 1_000;

type Task = (reactor: ReactorFace) => void;

export interface TurnHooks {
  /** Called first, for the watchdog. */
  readonly onTurn: () => void;
  /** Works off the mailbox; true if something is left. */
  readonly inbox: () => boolean;
}

export class Turns {
  readonly #state: ReactorState;
  readonly #hooks: TurnHooks;
  readonly #fireTimer: (payload: number, id: number) => void;
  readonly #fireDeadline: (slot: number) => void;
  /** After so many events another turn follows. */
  readonly #many: number;
  #tasks: Task[] = [];
  #lastTurnEnd = 0;
  #wasBusy = false;
  #lastTrim = 0;
  #isTableSparse = false;

  constructor(state: ReactorState, router: CompletionRouter, hooks: TurnHooks) {
    this.#state = state;
    this.#hooks = hooks;
    this.#many = state.driver.signals === undefined ? 1 : MANY;
    this.#fireTimer = (payload, id) => router.onTimer(payload, id);
    this.#fireDeadline = (slot) => router.onDeadline(slot);
  }

  addTask(task: Task): void {
    this.#tasks.push(task);
  }

  /** One turn; true if another one is to follow at once. */
  run(): boolean {
    const state = this.#state;
    const { stats, driver, kernel } = state;
    const startedAt = kernel.now();
    state.now = startedAt;
    state.inTurn = true;
    stats.beginTurn(startedAt);
    this.#hooks.onTurn();
    const handled = driver.poll();
    if (state.readyList.length > 0) {
      dispatchReady(state);
    }
    let isBusy = this.#runTimers(startedAt);
    isBusy = this.#hooks.inbox() || isBusy;
    isBusy = this.#runTasks() || isBusy;
    if (state.drainList.length > 0) {
      dispatchDrained(state);
    }
    dispatchFlushes(state);
    if (state.datagrams !== undefined) {
      isBusy = state.datagrams.settle() || isBusy;
    }
    if (state.starvedList.length > 0) {
      feedStarved(state);
    }
    this.#isTableSparse = state.table.settle() || this.#isTableSparse;
    state.inTurn = false;
    this.#record(handled, startedAt, kernel.now());
    this.#wasBusy =
      isBusy ||
      handled >= this.#many ||
      // From hooks that run after the tasks, such as onDrain.
      this.#tasks.length > 0 ||
      driver.hasWork ||
      state.readyList.length > 0 ||
      state.drainList.length > 0 ||
      state.flushList.length > 0 ||
      state.fileList.length > 0;
    if (state.sendingList.length > 0) {
      armSending(state, !this.#wasBusy);
    }
    if (!this.#wasBusy) {
      this.#trim();
    }
    return this.#wasBusy;
  }

  #runTimers(now: number): boolean {
    const { wheel, deadlines } = this.#state;
    const isBusy = deadlines.size > 0 && deadlines.advance(now, this.#fireDeadline, TIMER_BUDGET);
    return (wheel.size > 0 && wheel.advance(now, this.#fireTimer, TIMER_BUDGET)) || isBusy;
  }

  /** About to rest: gives memory that is not in use back to the system, now and then. */
  #trim(): void {
    const { now, pool } = this.#state;
    if (this.#isTableSparse) {
      this.#isTableSparse = false;
      this.#trimTables();
    }
    if (now - this.#lastTrim >= TRIM_INTERVAL_MS && pool.freeBytes > 0) {
      this.#lastTrim = now;
      pool.trim();
    }
  }

  /** Nearly all of very many connections are gone. */
  #trimTables(): void {
    const { table, connections, driver, wheel, deadlines } = this.#state;
    const limit = table.trim();
    if (limit >= 0) {
      connections.length = Math.min(connections.length, limit);
      driver.trim(limit);
      wheel.trim(0);
      deadlines.trim(limit);
    }
  }

  #runTasks(): boolean {
    if (this.#tasks.length === 0) {
      return false;
    }
    const { stats, reactor } = this.#state;
    const batch = this.#tasks.splice(0, TASK_BUDGET);
    for (const task of batch) {
      stats.enterHook(Hook.task, -1);
      try {
        task(reactor);
      } catch (error) {
        this.#state.warn(error);
      }
      stats.leaveHook();
    }
    return this.#tasks.length > 0;
  }

  #record(handled: number, startedAt: number, endedAt: number): void {
    const { stats, driver, queuedBytes, pool } = this.#state;
    const { calls, staleEvents, acceptErrors } = driver.counters;
    stats.set(Counter.driverCalls, calls);
    stats.set(Counter.staleEvents, staleEvents);
    stats.set(Counter.acceptErrors, acceptErrors);
    stats.set(Counter.queuedBytes, queuedBytes);
    stats.set(Counter.blockBytes, pool.usedBytes);
    stats.endTurn();
    stats.add(Counter.turns, 1);
    if (handled > 0) {
      stats.add(Counter.events, handled);
      stats.batchSize.record(handled);
      stats.turnMicroseconds.record((endedAt - startedAt) * 1000);
    }
    if (this.#wasBusy) {
      // Another turn was asked for when the last one ended: this is what the rest of the thread took.
      stats.loopLagMicroseconds.record((startedAt - this.#lastTurnEnd) * 1000);
    }
    this.#lastTurnEnd = endedAt;
  }
}
