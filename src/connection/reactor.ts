/**
 * A reactor: one thread's driver, event loop, connections, timers and mailbox, with the face they have for the user and
 * for the engine. What happens goes its way through completion-router.ts to the paths and hooks; when it happens is up
 * to event-loop.ts and turns.ts.
 */

import type { Socket } from 'node:net';

import type { AdoptOptions, Connection, DialOptions, Reactor as ReactorFace } from '../api.js';
import type { DatagramSession, SendResult } from '../datagrams.js';
import { adopt } from './adopter.js';
import { CompletionRouter } from './completion-router.js';
import type { SocketConnection } from './connection.js';
import { CONNECTING, DESTROYED } from './connection-table.js';
import { createConnection } from './create-connection.js';
import { createState, destroyState } from './create-state.js';
import { sendById } from './datagram/send-by-id.js';
import { ownerOfId } from './datagram/session-id.js';
import { applyProfile } from './descriptor-options.js';
import { dial, NO_SLOT } from './dialer.js';
import { announce, announceServerClose } from './dispatch.js';
import { Draining } from './draining.js';
import type { Driver } from './driver.js';
import { EventLoop } from './event-loop.js';
import { findConnection, openConnections } from './faces.js';
import { KeepAlive } from './keep-alive.js';
import { abort } from './lifecycle.js';
import type { ListenSocket } from './listen-socket.js';
import { Listener, type Receiver, Reserve } from './listener.js';
import { checkHandler, type Profile } from './profile.js';
import type { ReactorOptions } from './reactor-options.js';
import type { ReactorState } from './reactor-state.js';
import type { ReactorStats } from './stats.js';
import { Ticker } from './ticker.js';
import { Turns } from './turns.js';
import { clearUserTimer, setUserTimer } from './user-timers.js';
import { Warnings } from './warnings.js';

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
  readonly #turns: Turns;
  readonly #warnings: Warnings;
  readonly keepAlive: KeepAlive;
  readonly #ticker: Ticker;
  readonly draining: Draining;
  #isClosed = false;
  #idleWaiters: (() => void)[] = [];

  constructor(options: ReactorOptions) {
    checkHandler(options.handler);
    this.#options = options;
    this.index = options.index;
    this.stats = options.stats;
    const { kernel } = options;
    const slots = options.connectionsMax + EXTRA_SLOTS;
    this.#router = new CompletionRouter(options.stats);
    this.#driver = options.createDriver(this.#router, {
      slots,
      receiveBytes: options.receiveBytes,
      receiveBudget: options.receiveBudget,
      acceptBudget: options.acceptBudget,
      batch: EVENTS_A_BATCH,
      // The driver is made before the loop that it asks for turns.
      requestPoll: () => this.#loop?.request(),
      ...(options.wakeDescriptor === undefined ? {} : { wakeDescriptor: options.wakeDescriptor }),
    });
    const driver = this.#driver;
    const body = {
      turn: () => this.#turn(),
      drained: () => driver.drained?.(),
      rest: () => driver.rest(),
      nextDeadline: () =>
        Math.min(this.state.wheel.nextDeadline(), this.state.deadlines.nextDeadline()),
    };
    this.#loop = new EventLoop(kernel, driver.doorbellDescriptor, body, driver.signals);
    this.#warnings = new Warnings(kernel, options.onWarning);
    this.#reserve = new Reserve(kernel);
    this.state = createState(options, slots, this.#driver, this, {
      requestTurn: () => this.#loop.request(),
      requestShutdown: () => options.onShutdownRequest(),
      warn: (error) => this.#warnings.warn(error),
      holdProcess: (isWanted) => this.keepAlive.holdConnection(isWanted),
    });
    this.#router.state = this.state;
    this.keepAlive = new KeepAlive(this.#loop, this.state);
    this.draining = new Draining(this.state, (connection) =>
      announceServerClose(this.state, connection),
    );
    this.#ticker = new Ticker(this.state, options.handler);
    this.#turns = new Turns(this.state, this.#router, {
      onTurn: options.onTurn,
      inbox: () => options.inbox(this),
    });
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

  connections(): IterableIterator<Connection> {
    return openConnections(this.state);
  }

  find(id: number): Connection | undefined {
    return findConnection(this.state, id);
  }

  execute(task: (reactor: ReactorFace) => void): void {
    if (typeof task !== 'function') {
      throw new TypeError(`Expected a function to execute, got ${typeof task}`);
    }
    this.#turns.addTask(task);
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

  adopt(source: number | Socket, options: AdoptOptions = {}): Promise<Connection> {
    return adopt(this, source, options);
  }

  write(id: number, bytes: Uint8Array): 'sent' | 'queued' | 'full' | 'closed' {
    if (Math.floor(id / 2 ** 43) === this.index) {
      return this.find(id)?.write(bytes) ?? 'closed';
    }
    return this.#options.peers.write(id, bytes);
  }

  send(id: number, data: Uint8Array | string, to?: string): SendResult {
    return ownerOfId(id) === this.index
      ? sendById(this.state, id, data, to)
      : this.#options.peers.send(id, data, to);
  }

  findSession(id: number): DatagramSession | undefined {
    return this.state.datagrams?.findSession(id);
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
    this.keepAlive.ref();
  }

  unref(): void {
    this.keepAlive.unref();
  }

  requestTurn(): void {
    this.#loop.request();
  }

  /** Calls onTick now and then. */
  startTicks(): void {
    this.#ticker.start();
  }

  /** Starts accepting. `receiver` undefined: the connections are this reactor's own. */
  addListener(socket: ListenSocket, profile: Profile, receiver?: Receiver): Listener {
    const slot = this.state.table.take();
    if (slot < 0) {
      throw new RangeError('Cannot listen: all slots are in use');
    }
    const take: Receiver =
      receiver ?? ((fd, from) => this.takeDescriptor(fd, from.profile, from.socket.family));
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

  /** Takes a connected descriptor that was accepted; false if there is no room: it is the caller's. */
  takeDescriptor(fd: number, profile: Profile, family: number): boolean {
    const slot = this.#hasRoom() ? this.open(fd) : NO_SLOT;
    if (slot < 0) {
      return false;
    }
    applyProfile(this.state, slot, profile, family);
    announce(this.state, this.#install(slot, profile));
    return true;
  }

  #hasRoom(): boolean {
    return !this.draining.isOn && this.state.connectionCount < this.#options.connectionsMax;
  }

  /** Gives a connected descriptor to the driver, on a slot of its own: the slot or -errno. */
  open(fd: number): number {
    const { table } = this.state;
    const slot = table.take();
    if (slot < 0) {
      return NO_SLOT;
    }
    const n = this.#driver.open(slot, fd);
    if (n < 0) {
      table.release(slot);
      return n;
    }
    return slot;
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

  /** A slot of `beginConnect` or `open` becomes a connection. `prepare` is called before `onOpen`. */
  establish(
    slot: number,
    profile: Profile,
    prepare: (connection: SocketConnection) => void,
  ): SocketConnection {
    this.state.table.flags[slot] = 0;
    const connection = this.#install(slot, profile);
    prepare(connection);
    announce(this.state, connection);
    this.draining.onDialed(connection);
    return connection;
  }

  #install(slot: number, profile: Profile): SocketConnection {
    const connection = createConnection(this.state, slot, profile);
    this.keepAlive.sync();
    if (!this.#options.refuseWhenMax && !this.draining.isOn && !this.#hasRoom()) {
      this.#suspendListeners();
    }
    return connection;
  }

  /** The last place was taken, by whichever listener or dial: all listeners leave the rest to their backlogs. */
  #suspendListeners(): void {
    for (const listener of this.#router.listeners.values()) {
      listener.suspend();
    }
    this.#router.noteImpaired();
  }

  /** Takes no more connections, and has every connection end in good order. */
  closeAll(): void {
    this.state.datagrams?.closeAll();
    this.draining.begin(this.#live());
  }

  /** Aborts what is left, and pending dials. */
  abortAll(): void {
    this.draining.finish();
    this.state.datagrams?.abortAll();
    for (const connection of this.#live()) {
      abort(this.state, connection, 'shutdown');
    }
  }

  *#live(): IterableIterator<SocketConnection> {
    for (const connection of this.state.connections) {
      if (connection !== undefined) {
        yield connection;
      }
    }
  }

  get #isEmpty(): boolean {
    const { connectionCount, datagrams } = this.state;
    return connectionCount === 0 && this.#router.dials.size === 0 && datagrams?.isEmpty !== false;
  }

  /** Resolves when no connection, and no datagram socket, is left. */
  whenEmpty(): Promise<void> {
    if (this.#isEmpty) {
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
    this.stopListening();
    this.#ticker.stop();
    this.#loop.close();
    this.#driver.destroy();
    this.#reserve.giveUp();
    return destroyState(this.state);
  }

  #turn(): boolean {
    const isBusy = this.#turns.run();
    this.draining.check();
    this.keepAlive.sync();
    if (this.#idleWaiters.length > 0 && this.#isEmpty) {
      for (const resolve of this.#idleWaiters.splice(0)) {
        resolve();
      }
    }
    return isBusy && !this.#isClosed;
  }
}
