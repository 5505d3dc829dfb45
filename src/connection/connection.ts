/**
 * What the user holds of a connection: a small object whose state lies in the reactor's tables. After the close its
 * slot is negative (the complement, so that the id stays what it was), and every call has its defined result for a
 * closed connection.
 */

import type {
  Connection,
  ConnectionState,
  Handler,
  Reactor,
  SocketOptions,
  WriteResult,
} from '../api.js';
import { checkBytes, checkCallback, checkTimeout } from './arguments.js';
import { changeHandler } from './change-handler.js';
import { consume, iterate } from './chunk-iterator.js';
import { BLOCKED, DESTROYED, HELD, makeId, NO_WRITE, PAUSED, WOKEN } from './connection-table.js';
import { idleTimeoutOf, readTimeoutOf, setActivityTimeouts, setWriteTimeout } from './deadlines.js';
import { getConnectionOption, setConnectionOption } from './descriptor-options.js';
import { type ChunkConsumer, type Consumable, extrasOf } from './extras.js';
import { filePart } from './file-part.js';
import { queueOf } from './flush.js';
import { abort, close, end, finishSending, stateOf } from './lifecycle.js';
import { localAddressOf, remoteAddressOf } from './peer-addresses.js';
import type { Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { listReady, pause, readerOf, resume } from './read-path.js';
import { ConnectionWriter } from './stream.js';
import { clearUserTimer, setConnectionTimer } from './user-timers.js';
import { hasRoomForFile, queuedBytes, queuedFileBytes, unsentBytes } from './write-limits.js';
import * as writePath from './write-path.js';

export class SocketConnection implements Connection, Consumable {
  /** Index into the reactor's tables; its complement once closed. */
  slot: number;
  readonly generation: number;
  /** Changes when the connection is handed over: see hand-over.ts. */
  profile: Profile;
  context: unknown = undefined;

  constructor(owner: ReactorState, slot: number, profile: Profile) {
    this.slot = slot;
    this.generation = owner.table.generations[slot];
    this.profile = profile.bind(owner);
  }

  /** Not a field, which a million connections would have a million times. */
  get owner(): ReactorState {
    return this.profile.owner!;
  }

  get id(): number {
    const slot = this.slot < 0 ? ~this.slot : this.slot;
    return makeId(this.owner.index, this.generation, slot);
  }

  get state(): ConnectionState {
    return stateOf(this.owner, this.slot);
  }

  get reactor(): Reactor {
    return this.owner.reactor;
  }

  get localAddress(): string {
    return localAddressOf(this);
  }

  get remoteAddress(): string {
    return remoteAddressOf(this);
  }

  get queuedBytes(): number {
    return this.slot < 0 ? 0 : queuedBytes(this.owner, this.slot);
  }

  get queuedFileBytes(): number {
    return this.slot < 0 ? 0 : queuedFileBytes(this.owner, this.slot);
  }

  get bytesReceived(): number {
    return this.slot < 0 ? 0 : this.owner.table.bytesReceived(this.slot);
  }

  get bytesSent(): number {
    return this.slot < 0 ? 0 : this.owner.table.bytesSent(this.slot);
  }

  get isPaused(): boolean {
    return this.slot >= 0 && (this.owner.table.flags[this.slot] & PAUSED) !== 0;
  }

  write(data: Uint8Array | string): WriteResult {
    if (typeof data !== 'string') {
      checkBytes('write', data);
    }
    return writePath.write(this.owner, this, data);
  }

  writev(pieces: readonly Uint8Array[]): WriteResult {
    for (const piece of pieces) {
      checkBytes('writev', piece);
    }
    return writePath.writev(this.owner, this, pieces);
  }

  writeOwned(bytes: Uint8Array, onFree?: () => void): WriteResult {
    checkBytes('writeOwned', bytes);
    if (onFree !== undefined) {
      checkCallback('writeOwned', onFree);
    }
    return writePath.writeOwned(this.owner, this, bytes, onFree);
  }

  sendFile(
    file: number | { readonly fd: number },
    offset: number,
    byteLength: number,
    onDone?: (isSent: boolean) => void,
  ): WriteResult {
    const part = filePart(file, offset, byteLength, onDone);
    return part.left === 0
      ? writePath.sendEmptyFile(this.owner, this, part)
      : writePath.sendFile(this.owner, this, part);
  }

  receipt(callback: (handedOver: boolean) => void): void {
    checkCallback('receipt', callback);
    const { owner, slot } = this;
    if (slot < 0) {
      // Not a task: its reactor may be gone by now, and run none.
      queueMicrotask(() => {
        try {
          callback(false);
        } catch (error) {
          owner.warn(error);
        }
      });
    } else if (unsentBytes(owner, slot) === 0) {
      const handedOver = (owner.table.flags[slot] & DESTROYED) === 0;
      owner.reactor.execute(() => callback(handedOver));
    } else {
      queueOf(owner, slot).addReceipt(callback, owner.table.directBytes[slot] > 0);
    }
  }

  drained(): Promise<boolean> {
    const { owner, slot } = this;
    if (slot < 0 || (owner.table.flags[slot] & DESTROYED) !== 0) {
      return Promise.resolve(false);
    }
    if (queuedBytes(owner, slot) <= this.profile.lowWaterMark && hasRoomForFile(owner, slot)) {
      return Promise.resolve(true);
    }
    owner.table.flags[slot] |= BLOCKED;
    return new Promise((resolve) => {
      extrasOf(owner, slot).waiters.push(resolve);
    });
  }

  cork(): void {
    if (this.slot >= 0) {
      writePath.cork(this.owner, this.slot);
    }
  }

  uncork(): void {
    if (this.slot >= 0) {
      writePath.uncork(this.owner, this);
      if (this.slot >= 0) {
        finishSending(this.owner, this.slot);
      }
    }
  }

  get reader() {
    return this.#isGone ? closedReader(this.owner) : readerOf(this.owner, this.slot);
  }

  get writer() {
    const { owner, slot } = this;
    if (this.#isGone) {
      return closedWriter(owner);
    }
    let writer = owner.writers.get(slot);
    if (writer === undefined) {
      writer = new ConnectionWriter(owner.pool, (buffer) =>
        writePath.writeLinked(owner, this, buffer),
      );
      readerOf(owner, slot);
      owner.writers.set(slot, writer);
    }
    return writer;
  }

  /** In onClose the slot is still named, but what hangs on it would be the next connection's. */
  get #isGone(): boolean {
    return this.slot < 0 || this.owner.connections[this.slot] !== this;
  }

  pause(): void {
    if (this.slot >= 0) {
      pause(this.owner, this.slot, PAUSED);
    }
  }

  resume(): void {
    if (this.slot >= 0) {
      resume(this.owner, this.slot, PAUSED);
    }
  }

  /** Internal: pauses because a sink is full. */
  hold(): void {
    if (this.slot >= 0) {
      pause(this.owner, this.slot, HELD);
    }
  }

  /** Internal: the end of `hold`. */
  release(): void {
    if (this.slot >= 0) {
      resume(this.owner, this.slot, HELD);
    }
  }

  wake(): void {
    const { owner, slot } = this;
    if (slot >= 0 && (owner.table.flags[slot] & DESTROYED) === 0) {
      owner.table.flags[slot] |= WOKEN;
      listReady(owner, slot);
    }
  }

  end(): void {
    end(this.owner, this);
  }

  close(): void {
    close(this.owner, this, 'closed');
  }

  abort(): void {
    abort(this.owner, this, 'aborted');
  }

  closed(): Promise<void> {
    // Also while it is being destroyed there is still a slot, and `finalize` to come.
    if (this.#isGone) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      extrasOf(this.owner, this.slot).closers.push(resolve);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return this.closed();
  }

  setReadTimeout(milliseconds: number): void {
    const ms = checkTimeout(milliseconds);
    if (this.slot >= 0) {
      setActivityTimeouts(this.owner, this.slot, ms, idleTimeoutOf(this.owner, this.slot));
    }
  }

  setIdleTimeout(milliseconds: number): void {
    const ms = checkTimeout(milliseconds);
    if (this.slot >= 0) {
      setActivityTimeouts(this.owner, this.slot, readTimeoutOf(this.owner, this.slot), ms);
    }
  }

  setWriteTimeout(milliseconds: number): void {
    const ms = checkTimeout(milliseconds);
    if (this.slot >= 0) {
      setWriteTimeout(this.owner, this.slot, ms);
    }
  }

  setTimer(milliseconds: number, callback: (connection: this) => void): number {
    checkCallback('setTimer', callback);
    return setConnectionTimer(this.owner, this, milliseconds, () => callback(this));
  }

  clearTimer(timer: number): void {
    clearUserTimer(this.owner, timer);
    if (this.slot >= 0) {
      // Else a connection that sets and clears timers for years would keep the names of all.
      this.owner.extras.get(this.slot)?.timers.delete(timer);
    }
  }

  setOption<Name extends keyof SocketOptions>(name: Name, value: SocketOptions[Name]): void {
    setConnectionOption(this, name, value);
  }

  getOption<Name extends keyof SocketOptions>(name: Name): SocketOptions[Name] | undefined {
    return getConnectionOption(this, name);
  }

  handOver(handler: Handler, head?: Uint8Array): boolean {
    if (head !== undefined) {
      checkBytes('handOver', head);
    }
    return changeHandler(this, handler, head);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return iterate(this);
  }

  /** Internal: see extras.ts. */
  consume(consumer: ChunkConsumer): void {
    consume(this, consumer);
  }

  /** Internal. */
  holdProcess(isWanted: boolean): void {
    if (this.slot >= 0) {
      this.owner.holdProcess(isWanted);
    }
  }

  /** Whether writes are still taken; internal. */
  get isWritable(): boolean {
    return this.slot >= 0 && (this.owner.table.flags[this.slot] & NO_WRITE) === 0;
  }
}

/** A reader that is empty and stays so. */
function closedReader(owner: ReactorState) {
  owner.emptyReader.release();
  return owner.emptyReader;
}

/** A writer that takes nothing and stays so. */
function closedWriter(owner: ReactorState) {
  const writer = new ConnectionWriter(owner.pool, () => 'closed');
  writer.close();
  return writer;
}
