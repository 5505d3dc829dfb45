/**
 * A reactor: one thread's driver, event loop, connections, timers and mailbox, and the face they have for the user. It
 * turns the driver's completions into calls of the paths (read-path, write-path, lifecycle) and hooks (dispatch).
 *
 * A turn: completions → unread bytes offered again → timers → mailbox → tasks → drained → gathered writes → slots
 * freed. Whatever a step leaves over is done in the next turn, which then follows at once.
 */

import type { Connection, DialOptions, Handler, Reactor as ReactorFace } from '../api.js';
import type { Kernel } from '../base/kernel.js';
import { BlockPool } from './block-pool.js';
import { CompletionRouter } from './completion-router.js';
import { SocketConnection } from './connection.js';
import {
  CONNECTING,
  ConnectionTable,
  DESTROYED,
  generationOfId,
  OPENED,
  slotOfId,
} from './connection-table.js';
import { resetDeadlines, setActivityTimeouts } from './deadlines.js';
import { applyProfile } from './descriptor-options.js';
import { dial, NO_SLOT } from './dialer.js';
import { act, announce, dispatchDrained, dispatchFlushes, dispatchReady } from './dispatch.js';
import type { Driver, DriverFactory } from './driver.js';
import { EventLoop } from './event-loop.js';
import { abort, close } from './lifecycle.js';
import type { ListenSocket } from './listen-socket.js';
import { Listener, type Receiver, Reserve } from './listener.js';
import { checkHandler, type Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { Counter, Hook, type ReactorStats } from './stats.js';
import { ConnectionReader } from './stream.js';
import { TimerWheel } from './timer-wheel.js';
import { clearUserTimer, setUserTimer } from './user-timers.js';

/** Timers fired at most in one turn, so that a burst of a million does not starve the connections. */
const TIMER_BUDGET = 4_096;
/** Tasks run at most in one turn. */
const TASK_BUDGET = 1_024;
const TIMERS_MAX = 4_194_304;

/** How a reactor reaches the others: given by the engine. */
export interface Peers {
  readonly count: number;
  write(id: number, bytes: Uint8Array): 'queued' | 'full' | 'closed';
  post(index: number, bytes: Uint8Array): boolean;
}

/** What comes in from other threads: given by the engine. Returns true if something is left. */
export type Inbox = (reactor: Reactor) => boolean;

export interface ReactorOptions {
  readonly index: number;
  readonly kernel: Kernel;
  readonly createDriver: DriverFactory;
  readonly handler: Handler;
  readonly stats: ReactorStats;
  /** The most connections; slots for listeners and dials come on top. */
  readonly connectionsMax: number;
  readonly refuseWhenMax: boolean;
  readonly receiveBytes: number;
  readonly receiveBudget: number;
  readonly acceptBudget: number;
  /** The most bytes of blocks for queues and readers of all connections. */
  readonly blockBytesMax: number;
  readonly guardMemory: boolean;
  readonly peers: Peers;
  readonly inbox: Inbox;
  readonly wakeDescriptor?: number;
  /** Called at the start of each turn, for the watchdog. */
  readonly onTurn: () => void;
  readonly onWarning: (error: Error) => void;
  readonly onShutdownRequest: () => void;
}

/** Slots beside the connections': listeners and pending dials. */
const EXTRA_SLOTS = 1_024;
const EVENTS_A_BATCH = 512;

export class Reactor implements ReactorFace {
  readonly index: number;
  readonly state: ReactorState;
  readonly stats: ReactorStats;
  readonly #options: ReactorOptions;
  readonly #driver: Driver;
  readonly #loop: EventLoop;
  readonly #reserve: Reserve;
  readonly #router: CompletionRouter;
  readonly #fire: (payload: number, id: number) => void;
  #tasks: ((reactor: ReactorFace) => void)[] = [];
  #lastTurnEnd = 0;
  #wasBusy = false;
  #isReferenced = true;
  #holds = 0;
  #isHeldByConnections = false;
  #tickTimer = -1;
  #isClosed = false;
  #idleWaiters: (() => void)[] = [];

  constructor(options: ReactorOptions) {
    checkHandler(options.handler);
    this.#options = options;
    this.index = options.index;
    this.stats = options.stats;
    const { kernel } = options;
    const slots = options.connectionsMax + EXTRA_SLOTS;
    this.#router = new CompletionRouter(kernel, options.stats);
    this.#driver = options.createDriver(this.#router, {
      slots,
      receiveBytes: options.receiveBytes,
      receiveBudget: options.receiveBudget,
      acceptBudget: options.acceptBudget,
      batch: EVENTS_A_BATCH,
      ...(options.wakeDescriptor === undefined ? {} : { wakeDescriptor: options.wakeDescriptor }),
    });
    this.#loop = new EventLoop(kernel, this.#driver.doorbellDescriptor, {
      turn: () => this.#turn(),
      nextDeadline: () => this.state.wheel.nextDeadline(),
    });
    this.#reserve = new Reserve(kernel);
    this.state = this.#createState(slots);
    this.#router.state = this.state;
    this.#fire = (payload, id) => this.#router.onTimer(payload, id);
  }

  #createState(slots: number): ReactorState {
    const { kernel, stats, index, blockBytesMax, guardMemory } = this.#options;
    const pool = new BlockPool(kernel, { bytesMax: blockBytesMax, guard: guardMemory });
    const now = kernel.now();
    return {
      index,
      kernel,
      driver: this.#driver,
      table: new ConnectionTable(slots),
      wheel: new TimerWheel({ capacityMax: TIMERS_MAX, now }),
      pool,
      stats,
      reactor: this,
      connections: [],
      queues: new Map(),
      readers: new Map(),
      writers: new Map(),
      extras: new Map(),
      teardowns: new Map(),
      timerCallbacks: new Map(),
      emptyReader: new ConnectionReader(pool),
      spareQueues: [],
      flushList: [],
      readyList: [],
      drainList: [],
      connectionCount: 0,
      queuedBytes: 0,
      now,
      inTurn: false,
      current: undefined,
      requestTurn: () => this.#loop.request(),
      requestShutdown: () => this.#options.onShutdownRequest(),
      warn: (error) => this.#warn(error),
    };
  }

  // The user's face.

  get count(): number {
    return this.#options.peers.count;
  }

  get driver(): string {
    return this.#driver.name;
  }

  get connectionCount(): number {
    return this.state.connectionCount;
  }

  get now(): number {
    return this.state.inTurn ? this.state.now : this.#options.kernel.now();
  }

  *connections(): IterableIterator<Connection> {
    const { connections, table } = this.state;
    for (let slot = 0; slot < connections.length; slot += 1) {
      const connection = connections[slot];
      if (connection !== undefined && (table.flags[slot] & (OPENED | DESTROYED)) === OPENED) {
        yield connection;
      }
    }
  }

  find(id: number): SocketConnection | undefined {
    const slot = slotOfId(id);
    const connection = this.state.connections[slot];
    return connection !== undefined && connection.generation === generationOfId(id)
      ? connection
      : undefined;
  }

  execute(task: (reactor: ReactorFace) => void): void {
    if (typeof task !== 'function') {
      throw new TypeError(`Expected a function to execute, got ${typeof task}`);
    }
    this.#tasks.push(task);
    this.#loop.request();
  }

  setTimer(milliseconds: number, callback: () => void): number {
    return setUserTimer(this.state, milliseconds, callback);
  }

  clearTimer(timer: number): void {
    clearUserTimer(this.state, timer);
  }

  dial(url: string, options: DialOptions = {}): Promise<Connection> {
    return dial(this, url, options);
  }

  write(id: number, bytes: Uint8Array): 'sent' | 'queued' | 'full' | 'closed' {
    if (Math.floor(id / 2 ** 43) === this.index) {
      return this.find(id)?.write(bytes) ?? 'closed';
    }
    return this.#options.peers.write(id, bytes);
  }

  post(index: number, bytes: Uint8Array): boolean {
    return this.#options.peers.post(index, bytes);
  }

  broadcast(bytes: Uint8Array): boolean {
    let all = true;
    for (let i = 0; i < this.count; i += 1) {
      all = this.#options.peers.post(i, bytes) && all;
    }
    return all;
  }

  // What the engine and the dialer use.

  get wakeDescriptor(): number {
    return this.#driver.wakeDescriptor;
  }

  get options(): ReactorOptions {
    return this.#options;
  }

  /** Whether the loop keeps the process alive even when nothing is held open. */
  ref(): void {
    this.#isReferenced = true;
    this.#syncRef();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#syncRef();
  }

  /** From now on connections keep the process alive, but not the reactor alone. */
  holdWhileConnected(): void {
    this.#isHeldByConnections = true;
    this.unref();
  }

  #syncRef(): void {
    const isHeld = this.#isHeldByConnections && this.state.connectionCount > 0;
    if (this.#isReferenced || this.#holds > 0 || isHeld) {
      this.#loop.ref();
    } else {
      this.#loop.unref();
    }
  }

  requestTurn(): void {
    this.#loop.request();
  }

  /** Calls onTick now and then. */
  startTicks(): void {
    const { handler } = this.#options;
    if (handler.onTick === undefined || this.#isClosed) {
      return;
    }
    let answer: unknown;
    this.stats.enterHook(Hook.onTick, -1);
    try {
      answer = handler.onTick(this);
    } catch (error) {
      this.stats.add(Counter.handlerErrors, 1);
      this.#warn(error);
    }
    this.stats.leaveHook();
    if (typeof answer === 'number' && answer >= 0) {
      this.#tickTimer = this.setTimer(answer, () => this.startTicks());
    } else if (answer === 'shutdown') {
      act(this.state, undefined, 'shutdown');
    }
  }

  /** Starts accepting. `receiver` undefined: the connections are this reactor's own. */
  addListener(socket: ListenSocket, profile: Profile, receiver?: Receiver): Listener {
    const slot = this.state.table.take();
    if (slot < 0) {
      throw new RangeError('Cannot listen: all slots are in use');
    }
    const take: Receiver = receiver ?? ((fd, from) => this.takeAccepted(fd, from));
    const listener = new Listener(this.state, slot, socket, profile, this.#reserve, take);
    this.#router.listeners.set(slot, listener);
    listener.start();
    this.#loop.request();
    return listener;
  }

  stopListening(): void {
    for (const listener of this.#router.listeners.values()) {
      listener.stop();
    }
  }

  /** Takes a connected descriptor that another thread accepted; false if there is no room: it is the caller's. */
  takeDescriptor(fd: number, profile: Profile, family: number): boolean {
    return (
      this.state.connectionCount < this.#options.connectionsMax && this.adopt(fd, profile, family)
    );
  }

  /** A message from another thread, for onMessage. */
  receiveMessage(bytes: Buffer, from: number): void {
    const { handler } = this.#options;
    if (handler.onMessage === undefined) {
      return;
    }
    this.stats.enterHook(Hook.onMessage, -1);
    try {
      handler.onMessage(this, bytes, from);
    } catch (error) {
      this.stats.add(Counter.handlerErrors, 1);
      this.#warn(error);
    }
    this.stats.leaveHook();
  }

  /** Takes a descriptor that a listener of this reactor accepted. */
  takeAccepted(fd: number, listener: Listener): boolean {
    if (this.state.connectionCount >= this.#options.connectionsMax) {
      return false;
    }
    const isTaken = this.adopt(fd, listener.profile, listener.socket.family);
    if (isTaken && !this.#options.refuseWhenMax) {
      if (this.state.connectionCount >= this.#options.connectionsMax) {
        listener.suspend();
        this.#router.noteImpaired();
      }
    }
    return isTaken;
  }

  /** Makes a connection of a connected descriptor. */
  adopt(fd: number, profile: Profile, family: number): boolean {
    const { table } = this.state;
    const slot = table.take();
    if (slot < 0) {
      return false;
    }
    if (this.#driver.open(slot, fd) < 0) {
      table.release(slot);
      return false;
    }
    applyProfile(this.state, slot, profile, family);
    announce(this.state, this.#install(slot, profile));
    return true;
  }

  /** Starts a connect on a slot of its own; `done` gets 0 or errno. Returns the slot or -errno. */
  beginConnect(fd: number, sockaddr: Uint8Array, done: (errno: number) => void): number {
    const { table } = this.state;
    const slot = table.take();
    if (slot < 0) {
      return NO_SLOT;
    }
    table.flags[slot] = CONNECTING;
    const n = this.#driver.connect(slot, fd, sockaddr);
    if (n < 0) {
      table.release(slot);
      return n;
    }
    this.#router.dials.set(slot, done);
    this.#loop.request();
    return slot;
  }

  /** Gives up a pending connect. */
  cancelConnect(slot: number): void {
    if (this.#router.dials.delete(slot)) {
      this.discard(slot);
    }
  }

  /** Closes the slot of a connect that failed or is not wanted. */
  discard(slot: number): void {
    this.state.table.flags[slot] |= DESTROYED;
    this.#driver.close(slot, true);
    this.#loop.request();
  }

  /** Keeps the process alive, while something like a name look-up is under way, until the answer is called. */
  holdOpen(): () => void {
    this.#holds += 1;
    this.#syncRef();
    return () => {
      this.#holds -= 1;
      this.#syncRef();
    };
  }

  /** The connect of this slot has won: it becomes a connection. */
  finishConnect(slot: number, profile: Profile, context: unknown): SocketConnection {
    this.state.table.flags[slot] = 0;
    const connection = this.#install(slot, profile);
    connection.context = context;
    this.stats.add(Counter.dialed, 1);
    announce(this.state, connection);
    return connection;
  }

  #install(slot: number, profile: Profile): SocketConnection {
    const { state } = this;
    const connection = new SocketConnection(state, slot, profile);
    state.connections[slot] = connection;
    const { table } = state;
    if (table.bytesReceived[slot] !== 0) {
      table.bytesReceived[slot] = 0;
    }
    if (table.bytesSent[slot] !== 0) {
      table.bytesSent[slot] = 0;
    }
    resetDeadlines(state, slot, profile.writeTimeoutMs);
    if (profile.readTimeoutMs > 0 || profile.idleTimeoutMs > 0) {
      setActivityTimeouts(state, slot, profile.readTimeoutMs, profile.idleTimeoutMs);
    }
    this.state.connectionCount += 1;
    this.stats.set(Counter.connections, this.state.connectionCount);
    this.stats.add(Counter.opened, 1);
    if (this.#isHeldByConnections) {
      this.#syncRef();
    }
    return connection;
  }

  /** Closes every connection gracefully. */
  closeAll(): void {
    for (const connection of this.#live()) {
      close(this.state, connection, 'shutdown');
    }
  }

  /** Aborts what is left. */
  abortAll(): void {
    for (const [slot] of this.#router.dials) {
      this.cancelConnect(slot);
    }
    for (const connection of this.#live()) {
      abort(this.state, connection, 'shutdown');
    }
  }

  *#live(): IterableIterator<SocketConnection> {
    const { connections } = this.state;
    for (let slot = 0; slot < connections.length; slot += 1) {
      const connection = connections[slot];
      if (connection !== undefined) {
        yield connection;
      }
    }
  }

  /** Resolves when no connection is left. */
  whenEmpty(): Promise<void> {
    if (this.state.connectionCount === 0 && this.#router.dials.size === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve);
    });
  }

  /** Frees everything. Connections that are left are cut off without a hook: close them first. */
  destroy(): number {
    if (this.#isClosed) {
      return 0;
    }
    this.#isClosed = true;
    for (const listener of this.#router.listeners.values()) {
      listener.stop();
    }
    clearUserTimer(this.state, this.#tickTimer);
    this.#loop.close();
    this.#driver.destroy();
    this.#reserve.giveUp();
    for (const queue of this.state.queues.values()) {
      queue.clear();
    }
    for (const reader of this.state.readers.values()) {
      reader.close();
    }
    for (const writer of this.state.writers.values()) {
      writer.close();
    }
    this.state.emptyReader.close();
    return this.state.pool.close();
  }

  // The turn.

  #turn(): boolean {
    const { state, stats } = this;
    const startedAt = this.#options.kernel.now();
    state.now = startedAt;
    state.inTurn = true;
    stats.beginTurn(startedAt);
    this.#options.onTurn();
    const handled = this.#driver.poll();
    if (state.readyList.length > 0) {
      dispatchReady(state);
    }
    let isBusy = state.wheel.size > 0 && state.wheel.advance(startedAt, this.#fire, TIMER_BUDGET);
    isBusy = this.#options.inbox(this) || isBusy;
    isBusy = this.#runTasks() || isBusy;
    if (state.drainList.length > 0) {
      dispatchDrained(state);
    }
    dispatchFlushes(state);
    state.table.settle();
    state.inTurn = false;
    const endedAt = this.#options.kernel.now();
    this.#syncStats();
    this.#recordTurn(handled, startedAt, endedAt);
    this.#lastTurnEnd = endedAt;
    if (this.#isHeldByConnections) {
      this.#syncRef();
    }
    if (
      this.state.connectionCount === 0 &&
      this.#idleWaiters.length > 0 &&
      this.#router.dials.size === 0
    ) {
      for (const resolve of this.#idleWaiters.splice(0)) {
        resolve();
      }
    }
    this.#wasBusy =
      isBusy ||
      handled > 0 ||
      this.#driver.hasWork ||
      state.readyList.length > 0 ||
      state.drainList.length > 0 ||
      state.flushList.length > 0;
    return this.#wasBusy && !this.#isClosed;
  }

  #recordTurn(handled: number, startedAt: number, endedAt: number): void {
    const { stats } = this;
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
  }

  /** Figures that are kept elsewhere. */
  #syncStats(): void {
    const { stats, state } = this;
    const { calls, staleEvents, acceptErrors } = this.#driver.counters;
    stats.set(Counter.driverCalls, calls);
    stats.set(Counter.staleEvents, staleEvents);
    stats.set(Counter.acceptErrors, acceptErrors);
    stats.set(Counter.queuedBytes, state.queuedBytes);
    stats.set(Counter.blockBytes, state.pool.usedBytes);
  }

  #runTasks(): boolean {
    if (this.#tasks.length === 0) {
      return false;
    }
    const tasks = this.#tasks;
    const batch = tasks.length <= TASK_BUDGET ? tasks : tasks.slice(0, TASK_BUDGET);
    this.#tasks = tasks.length <= TASK_BUDGET ? [] : tasks.slice(TASK_BUDGET);
    for (const task of batch) {
      this.stats.enterHook(Hook.task, -1);
      try {
        task(this);
      } catch (error) {
        this.#warn(error);
      }
      this.stats.leaveHook();
    }
    return this.#tasks.length > 0;
  }

  #warn(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(`Thrown: ${String(thrown)}`);
    this.#options.onWarning(error);
  }
}
