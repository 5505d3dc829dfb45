/**
 * What is behind a watcher: its channels, its results and the handler that its connections get. Connections lead here,
 * and not to the watcher, so that a watcher which nobody holds any more can be noticed and closed.
 */

import type { CloseReason, Connection, Handler } from '../api.js';
import type { Alarm, Kernel } from '../base/kernel.js';
import { endView, HandOver, receiveInto, wasEndReported } from '../connection/hand-over.js';
import { Adoption, isSocket } from './adoption.js';
import type { OperationError, Submission, Watchable, WatcherStats } from './api.js';
import { Channel } from './channel.js';
import { CONNECTION_CLOSED, FREED, WATCHER_CLOSED } from './conditions.js';
import { armDeadline } from './deadlines.js';
import { finish, free, onClosed } from './ending.js';
import { type Kind, NO_DEADLINE, Operation, WRITE } from './operation.js';
import { advanceReads, onBytes, onPeerEnd, pauseUnasked, roomOf } from './reads.js';
import { Results } from './results.js';
import { SharedMemory } from './shared-memory.js';
import { addWrite, advanceWrites, onDrained } from './writes.js';

/** So long is a tick. Nobody has read from a connection for one, at most two: it is paused. */
const IDLE_MS = 2;

/** A connection's end is the user's business here: `free`, and deadlines. */
const CONNECTION_OPTIONS = {
  allowHalfOpen: true,
  halfOpenTimeoutMs: 0,
  // Writes complete when all is sent.
  lowWaterMark: 0,
  whenFull: 'refuse',
} as const;

export interface ProactorOptions {
  readonly sharedBytes: number;
  readonly resultsMax: number;
  readonly operationsMax: number;
  readonly kernel: Pick<Kernel, 'defer' | 'alarm'>;
}

export class Proactor {
  readonly results: Results;
  readonly memory: SharedMemory;
  readonly #options: ProactorOptions;
  readonly #handOver: HandOver;
  readonly #adoption: Adoption;
  readonly #channels = new Set<Channel>();
  /** By what the user has of a connection. */
  readonly #byObject = new WeakMap<object, Channel>();
  readonly #registry = new FinalizationRegistry<Channel>((channel) => this.#onLeak(channel));
  /** Channels with bytes and a read for them, but no room for results. */
  #stalled: Channel[] = [];
  /** Channels that nobody read from at some time since the last tick or the one before it. */
  #idle: Channel[] = [];
  readonly #idleAlarm: Alarm;
  #ticks = 0;
  #isClosing = false;
  #closeWaiters: (() => void)[] = [];
  #operations = 0;
  heldBytes = 0;
  deadlines = 0;
  #refused = 0;
  #leaksFound = 0;
  #leaksClosed = 0;

  constructor(options: ProactorOptions) {
    this.#options = options;
    this.memory = new SharedMemory(options.sharedBytes);
    this.results = new Results({
      resultsMax: options.resultsMax,
      memory: this.memory,
      defer: (callback) => options.kernel.defer(callback),
      onRoom: () => this.#unstall(),
    });
    const handler: Handler = {
      onOpen: (connection) => this.#onArrival(connection),
      onData: (connection, bytes) => {
        this.results.noteTurn();
        onBytes(this.#find(connection), bytes);
      },
      onEnd: (connection) => onPeerEnd(this.#find(connection)),
      onDrain: (connection) => {
        this.results.noteTurn();
        onDrained(this.#find(connection));
      },
      onClose: (connection, reason) => this.#onClose(this.#find(connection), reason),
    };
    this.#idleAlarm = options.kernel.alarm(() => this.#pauseIdle());
    this.#idleAlarm.unref();
    this.#handOver = new HandOver(handler, CONNECTION_OPTIONS);
    this.#adoption = new Adoption(handler, CONNECTION_OPTIONS);
  }

  get stats(): WatcherStats {
    return {
      connections: this.#channels.size,
      operations: this.#operations,
      results: this.results.count,
      heldBytes: this.heldBytes,
      batches: this.results.batches,
      deadlines: this.deadlines,
      refused: this.#refused,
      leaksFound: this.#leaksFound,
      leaksClosed: this.#leaksClosed,
    };
  }

  submit(
    kind: Kind,
    connection: Watchable,
    buffer: Uint8Array | undefined,
    deadlineMs: number,
    context: unknown,
  ): Submission {
    if (this.#isClosing) {
      return 'closed';
    }
    if (this.#operations + this.results.count >= this.#options.operationsMax) {
      this.#refused += 1;
      return 'full';
    }
    const channel = this.#channelOf(connection);
    const deadline = deadlineMs > 0 ? channel.reactor.now + deadlineMs : NO_DEADLINE;
    const operation = new Operation(kind, connection, buffer, context, deadline);
    this.#operations += 1;
    if (channel.end !== undefined) {
      this.complete(channel, operation, channel.end);
    } else {
      this.#start(channel, operation);
    }
    return 'pending';
  }

  free(connection: Watchable): boolean {
    const channel = this.#channelOf(connection);
    if (channel.end !== undefined) {
      return false;
    }
    free(channel, FREED);
    return true;
  }

  close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      for (const channel of this.#channels) {
        if (channel.end === undefined) {
          free(channel, WATCHER_CLOSED);
        }
      }
      this.#endResults();
    }
    if (this.#channels.size === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#closeWaiters.push(resolve);
    });
  }

  /** The operation, taken out of its queue already, is done. */
  complete(channel: Channel, operation: Operation, error: OperationError | undefined): void {
    operation.error = error;
    this.#operations -= 1;
    this.results.push(operation);
    if (channel.isLeaked && channel.end === undefined && !channel.isBusy) {
      free(channel, FREED);
    }
    this.#endResults();
  }

  /** The channel waits for room for results. */
  stall(channel: Channel): void {
    if (!channel.isStalled) {
      channel.isStalled = true;
      this.#stalled.push(channel);
    }
  }

  /** Nobody reads from the channel now: it is paused in a while, unless somebody does then. */
  noteIdle(channel: Channel): void {
    if (channel.isPaused || channel.reads.head !== undefined) {
      return;
    }
    channel.idleSince = this.#ticks;
    if (channel.isIdleListed) {
      return;
    }
    channel.isIdleListed = true;
    if (this.#idle.length === 0) {
      this.#idleAlarm.set(IDLE_MS);
    }
    this.#idle.push(channel);
  }

  /** The channel is closed. */
  forget(channel: Channel): void {
    this.#registry.unregister(channel);
    if (this.#channels.delete(channel) && channel.isLeaked) {
      this.#leaksClosed += 1;
    }
    if (this.#channels.size === 0) {
      for (const resolve of this.#closeWaiters.splice(0)) {
        resolve();
      }
    }
  }

  #start(channel: Channel, operation: Operation): void {
    if (operation.kind === WRITE) {
      addWrite(channel, operation);
    } else {
      channel.reads.push(operation);
      if (channel.reads.head === operation) {
        advanceReads(channel);
      }
    }
    if (operation.deadline !== NO_DEADLINE && channel.isBusy) {
      armDeadline(channel, operation.deadline);
    }
  }

  #channelOf(connection: Watchable): Channel {
    let channel = this.#byObject.get(connection);
    if (channel === undefined) {
      channel = isSocket(connection) ? this.#adopt(connection) : this.#takeOver(connection);
    }
    return channel;
  }

  #takeOver(connection: Connection): Channel {
    const { context } = connection ?? {};
    if (context instanceof Channel && context.proactor === this) {
      // The reactor's own object of it, from `reactor.connections()` say.
      return context;
    }
    const taken = this.#handOver.take(connection);
    const channel = new Channel(this, connection.reactor);
    if (taken === undefined) {
      channel.end = CONNECTION_CLOSED;
      channel.isClosed = true;
      this.#byObject.set(connection, channel);
      return channel;
    }
    this.#enter(connection, channel);
    if (taken === connection) {
      channel.usesReceipts = true;
      this.#handOver.separate(connection, (other) => separate(channel, connection, other));
    } else {
      channel.view = new WeakRef(connection);
      taken.context = channel;
      receiveInto(taken, roomFor);
    }
    channel.hasPeerEnded = wasEndReported(taken);
    channel.connection = taken;
    channel.isPaused = taken.isPaused;
    // Unless the next thing is a read.
    this.noteIdle(channel);
    return channel;
  }

  #adopt(socket: Exclude<Watchable, Connection>): Channel {
    const channel = new Channel(this, this.#adoption.reactor);
    this.#adoption.start(socket, channel, (error) => finish(channel, error));
    this.#enter(socket, channel);
    return channel;
  }

  #enter(object: object, channel: Channel): void {
    this.#byObject.set(object, channel);
    this.#channels.add(channel);
    this.#registry.register(object, channel, channel);
  }

  /** An adopted socket has become a connection. */
  #onArrival(connection: Connection): void {
    const channel = connection.context as Channel;
    channel.connection = connection;
    if (channel.end !== undefined) {
      connection.close();
      return;
    }
    receiveInto(connection, roomFor);
    advanceWrites(channel);
    this.noteIdle(channel);
  }

  /** The channel of a connection that has our handler. */
  #find(connection: Connection): Channel {
    const { context } = connection;
    // Else it is the user's object, which drains when he writes past the watcher, or one that stands on another.
    return context instanceof Channel ? context : this.#byObject.get(connection)!;
  }

  #onClose(channel: Channel, reason: CloseReason): void {
    endView(channel.view?.deref());
    onClosed(channel, reason);
  }

  #onLeak(channel: Channel): void {
    // Who freed it need not hold it until it is closed.
    if (channel.isClosed || channel.end !== undefined) {
      return;
    }
    this.#leaksFound += 1;
    channel.isLeaked = true;
    if (!channel.isBusy) {
      free(channel, FREED);
    }
  }

  #unstall(): void {
    const list = this.#stalled;
    this.#stalled = [];
    for (const channel of list) {
      channel.isStalled = false;
      if (channel.end === undefined) {
        advanceReads(channel);
      }
    }
  }

  #pauseIdle(): void {
    const list = this.#idle;
    this.#idle = [];
    for (const channel of list) {
      if (channel.reads.head === undefined && channel.idleSince === this.#ticks) {
        // Perhaps just now, between one message and the next.
        this.#idle.push(channel);
      } else {
        channel.isIdleListed = false;
        pauseUnasked(channel);
      }
    }
    this.#ticks += 1;
    if (this.#idle.length > 0) {
      this.#idleAlarm.set(IDLE_MS);
    }
  }

  /** After `close` the results that are there are the last when no operation is left. */
  #endResults(): void {
    if (this.#isClosing && this.#operations === 0) {
      this.results.close();
    }
  }
}

function roomFor(connection: Connection): Uint8Array | undefined {
  return roomOf(connection.context as Channel);
}

/** The reactor lets go of the object that the user has. */
function separate(channel: Channel, object: Connection, other: Connection): void {
  other.context = channel;
  channel.connection = other;
  channel.view = new WeakRef(object);
}
