/**
 * One connection of a watcher: the operations that wait in its two directions, and where they stand. reads.ts,
 * writes.ts, deadlines.ts and ending.ts are functions over it. It becomes the connection's `context`, and holds neither
 * what the user has of the connection nor, but for operations, anything that does.
 */

import type { Connection, Reactor } from '../api.js';
import type { OperationError } from './api.js';
import { NO_DEADLINE, type Operation, OperationQueue } from './operation.js';
import type { Proactor } from './proactor.js';

export class Channel {
  readonly proactor: Proactor;
  readonly reactor: Reactor;
  /** What the user has of the connection, if it is not the object that the reactor has. */
  view: WeakRef<object> | undefined = undefined;
  /** Undefined until a socket of Node's is adopted, and after the end. */
  connection: Connection | undefined = undefined;
  /** Why operations fail from now on, once it is freed or closed. */
  end: OperationError | undefined = undefined;
  isClosed = false;
  /** Its object became garbage. */
  isLeaked = false;

  readonly reads = new OperationQueue();
  readonly writes = new OperationQueue();
  /** The peer's FIN was reported. */
  hasPeerEnded = false;
  /** We have paused the connection. */
  isPaused = false;
  /** What was received and not asked for, from `heldAt` on. */
  held: Buffer | undefined = undefined;
  heldAt = 0;
  /** In one of the proactor's lists. */
  isStalled = false;
  isIdleListed = false;
  /** The tick in which the last read was answered. */
  idleSince = 0;

  /** The first write of which the connection does not have everything. */
  waiting: Operation | undefined = undefined;
  /** Bytes of all writes that the connection took, and how many of these the kernel is known to have. */
  handed = 0;
  sent = 0;
  /** The connection refused a write: it drains. */
  isRefused = false;
  /** It stands on another connection, and reports a drain only when it was full. */
  usesReceipts = false;
  isReceiptPending = false;
  /** Writes are being handed to the connection. */
  isPumping = false;

  /** The reactor's timer, and when it goes off: never later than the nearest deadline. */
  timer = -1;
  timerDue = NO_DEADLINE;
  onTimer: (() => void) | undefined = undefined;

  constructor(proactor: Proactor, reactor: Reactor) {
    this.proactor = proactor;
    this.reactor = reactor;
  }

  get isBusy(): boolean {
    return this.reads.head !== undefined || this.writes.head !== undefined;
  }
}
