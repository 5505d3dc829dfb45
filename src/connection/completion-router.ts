/**
 * Joins the driver's completions, and the wheels' timers, to the paths and hooks of the connection layer. One for each
 * reactor, called by the driver inside `poll` and by the wheels inside `advance`. Nothing here throws.
 */

import { NO_ROOM, RECEIVE_ENDED } from './connection-table.js';
import { armDeadline, dueTimeout, noteReceived } from './deadlines.js';
import { canDeliverAt, deliver, deliverAt, reportClose, reportEnd } from './dispatch.js';
import type { Completions, SendVector } from './driver.js';
import { abort, onHardDeadline, onSent } from './lifecycle.js';
import type { Listener } from './listener.js';
import type { ReactorState } from './reactor-state.js';
import { Counter, Hook, type ReactorStats } from './stats.js';
import { destroyFailed, finalize } from './teardown.js';
import { USER_TIMER } from './user-timers.js';

const TIMEOUT_COUNTERS = {
  connect: Counter.timeoutConnect,
  read: Counter.timeoutRead,
  write: Counter.timeoutWrite,
  idle: Counter.timeoutIdle,
  linger: Counter.timeoutLinger,
} as const;

export class CompletionRouter implements Completions {
  readonly listeners = new Map<number, Listener>();
  /** Pending connects of dials, by slot: called with 0 or errno. */
  readonly dials = new Map<number, (errno: number) => void>();
  readonly #stats: ReactorStats;
  #state: ReactorState | undefined;
  /** How many listeners may wait for a descriptor or a place. */
  #impaired = 0;

  constructor(stats: ReactorStats) {
    this.#stats = stats;
  }

  /** The driver needs its completions before there is a state: it comes here right after. */
  set state(state: ReactorState) {
    this.#state = state;
  }

  get state(): ReactorState {
    return this.#state!;
  }

  /** A listener has stopped accepting: look after it when a connection closes. */
  noteImpaired(): void {
    this.#impaired += 1;
  }

  accepted(slot: number, fd: number): void {
    const listener = this.listeners.get(slot);
    if (listener === undefined) {
      this.state.driver.discard(fd);
    } else {
      listener.onAccepted(fd);
    }
  }

  acceptFailed(slot: number, errno: number): void {
    this.#impaired += 1;
    this.listeners.get(slot)?.onAcceptFailed(errno);
  }

  connected(slot: number, errno: number): void {
    const done = this.dials.get(slot);
    this.dials.delete(slot);
    done?.(errno);
  }

  room(slot: number): Uint8Array | undefined {
    const { table, connections } = this.state;
    const connection = connections[slot]!;
    // What is unread comes first.
    return (table.flags[slot] & NO_ROOM) === 0
      ? connection.profile.roomFor?.(connection)
      : undefined;
  }

  received(slot: number, bytes: Buffer): void {
    const { state } = this;
    this.#count(slot, bytes.length);
    deliver(state, state.connections[slot]!, bytes);
  }

  receivedAt(slot: number, memory: Buffer, start: number, end: number): boolean {
    const { state } = this;
    const connection = state.connections[slot]!;
    if (!canDeliverAt(state, connection)) {
      return false;
    }
    this.#count(slot, end - start);
    deliverAt(state, connection, memory, start, end);
    return true;
  }

  #count(slot: number, byteLength: number): void {
    const { state } = this;
    const stats = this.#stats;
    state.table.addReceived(slot, byteLength);
    stats.add(Counter.bytesReceived, byteLength);
    stats.add(Counter.receives, 1);
    noteReceived(state, slot);
  }

  receiveEnded(slot: number): void {
    this.state.table.flags[slot] |= RECEIVE_ENDED;
    reportEnd(this.state, this.state.connections[slot]!);
  }

  sent(slot: number, byteLength: number): void {
    onSent(this.state, this.state.connections[slot]!, byteLength);
  }

  failed(slot: number, errno: number): void {
    destroyFailed(this.state, slot, 'receive', errno);
  }

  gather(slot: number, vector: SendVector): void {
    this.state.queues.get(slot)!.gather(vector);
  }

  ready(slot: number, events: number): void {
    this.state.datagrams?.ready(slot, events);
  }

  woken(): void {}

  closed(slot: number): void {
    const { state } = this;
    const connection = state.connections[slot];
    if (connection === undefined) {
      if (state.datagrams?.closed(slot) === true) {
        return;
      }
      this.listeners.delete(slot);
      state.table.release(slot);
      return;
    }
    state.connections[slot] = undefined;
    state.connectionCount -= 1;
    this.#stats.set(Counter.connections, state.connectionCount);
    this.#stats.add(Counter.closed, 1);
    const reason = finalize(state, slot);
    reportClose(state, connection, reason);
    connection.slot = ~slot;
    state.table.corkDepths[slot] = 0;
    state.table.release(slot);
    if (this.#impaired > 0) {
      this.#recover();
    }
  }

  #recover(): void {
    this.#impaired = 0;
    for (const listener of this.listeners.values()) {
      if (listener.isImpaired) {
        listener.recover();
        this.#impaired += listener.isImpaired ? 1 : 0;
      }
    }
  }

  /** A timer of the user's, or of a session of datagrams. */
  onTimer(payload: number, id: number): void {
    this.#stats.add(Counter.timersFired, 1);
    if (payload < USER_TIMER) {
      this.state.datagrams?.onTimer(payload);
      return;
    }
    const callback = this.state.timerCallbacks.get(id);
    this.state.timerCallbacks.delete(id);
    this.#stats.enterHook(Hook.timer, -1);
    try {
      callback?.();
    } catch (error) {
      this.#stats.add(Counter.handlerErrors, 1);
      this.state.warn(error);
    }
    this.#stats.leaveHook();
  }

  /** The timer of a connection's deadlines. */
  onDeadline(slot: number): void {
    this.#stats.add(Counter.timersFired, 1);
    const { state } = this;
    const connection = state.connections[slot];
    if (connection === undefined) {
      return;
    }
    const kind = dueTimeout(state, slot);
    if (kind === undefined) {
      armDeadline(state, slot);
      return;
    }
    this.#stats.add(TIMEOUT_COUNTERS[kind], 1);
    if (kind === 'linger') {
      onHardDeadline(state, connection);
    } else {
      abort(state, connection, 'timeout', undefined, kind);
    }
  }
}
