/**
 * Stands between a reactor and its driver and checks, at every call, what connection/driver.ts promises and asks for:
 * completions only inside `poll`, in their order, for slots that are in use and do that; one `sent` for each pending
 * send; one `closed` for each close, and nothing after it; budgets; slots used again only when they are free. It keeps
 * its own account of what each slot does, with which the interest set of epoll is compared. For any driver.
 */

import assert from 'node:assert/strict';

import { EPOLLIN, EPOLLOUT } from '../../src/base/linux.js';
import {
  type Completions,
  type Driver,
  type DriverCounters,
  type DriverOptions,
  PENDING,
  type SendVector,
} from '../../src/connection/driver.js';
import { UringVector } from '../../src/connection/drivers/uring-sends.js';
import { checkInterest, type Slot } from './check-interest.js';
import type { SimEpoll } from './sim-epoll.js';

export class DriverMonitor implements Driver, Completions {
  readonly name: string;
  readonly counters: DriverCounters;
  readonly doorbellDescriptor: number;
  readonly signals: readonly number[] | undefined;
  readonly wakeDescriptor: number;
  readonly isAsynchronous: boolean;
  readonly receiveAhead: number;
  readonly #inner: Driver;
  readonly #above: Completions;
  readonly #options: DriverOptions;
  readonly #slots = new Map<number, Slot>();
  readonly #closedNow = new Set<number>(); // In this batch: not to be used again in it.
  #batch = 0;
  #isPolling = false;
  #wasWoken = false;
  /** The slot whose `receive`, `send` or `close` runs; -1 for none. */
  #receiving = -1;
  #sending = -1;
  #closing = -1;
  /** Completions so far, but for `gather`, and calls that a peer may notice. */
  completions = 0;
  outputs = 0;

  constructor(
    above: Completions,
    options: DriverOptions,
    create: (completions: Completions) => Driver,
  ) {
    this.#above = above;
    this.#options = options;
    const inner = create(this);
    this.#inner = inner;
    this.name = inner.name;
    this.counters = inner.counters;
    this.doorbellDescriptor = inner.doorbellDescriptor;
    this.wakeDescriptor = inner.wakeDescriptor;
    this.signals = inner.signals;
    this.isAsynchronous = inner.isAsynchronous;
    this.receiveAhead = inner.receiveAhead;
  }

  trim(limit: number): void {
    const last = Math.max(-1, ...this.#slots.keys());
    assert.ok(last < limit && !this.#isPolling, `trim(${limit}) within poll, or with slot ${last}`);
    this.#inner.trim(limit);
  }

  get hasWork(): boolean {
    return this.#inner.hasWork;
  }

  /** What is asked of a slot, for the checks of the reactor; undefined when it is free. */
  slot(slot: number): Readonly<Slot> | undefined {
    return this.#slots.get(slot);
  }

  /** Compares what epoll waits for with what the slots do. Between the calls of the driver only. */
  checkInterest(epoll: SimEpoll): void {
    // The doorbell of io_uring is an epoll too, over two eventfds.
    if (this.#inner.name === 'epoll') {
      checkInterest(epoll, this.#slots, this.#inner.hasWork);
    }
  }

  // The driver, as the reactor sees it.

  open(slot: number, fd: number): number {
    return this.#begin(slot, fd, 'stream', this.#inner.open(slot, fd));
  }

  listen(slot: number, fd: number): number {
    return this.#begin(slot, fd, 'listener', this.#inner.listen(slot, fd));
  }

  connect(slot: number, fd: number, sockaddr: Uint8Array): number {
    return this.#begin(slot, fd, 'connecting', this.#inner.connect(slot, fd, sockaddr));
  }

  watch(slot: number, fd: number): number {
    return this.#begin(slot, fd, 'watched', this.#inner.watch(slot, fd));
  }

  want(slot: number, events: number): number {
    const facts = this.#find(slot, 'want', 'watched');
    facts.isReceiving = (events & EPOLLIN) !== 0;
    facts.isPending = (events & EPOLLOUT) !== 0;
    return this.#inner.want(slot, events);
  }

  accept(slot: number): void {
    this.#find(slot, 'accept', 'listener').isAccepting = true;
    this.#inner.accept(slot);
  }

  stopAccept(slot: number): void {
    const facts = this.#find(slot, 'stopAccept', 'listener');
    facts.isAccepting = false;
    this.#inner.stopAccept(slot);
  }

  receive(slot: number): void {
    this.#find(slot, 'receive', 'stream').isReceiving = true;
    this.#receiving = slot;
    this.#inner.receive(slot);
    this.#receiving = -1;
  }

  stopReceive(slot: number): void {
    const facts = this.#find(slot, 'stopReceive', 'stream');
    facts.isReceiving = false;
    facts.receivedLate = 0;
    this.#inner.stopReceive(slot);
  }

  trySend(slot: number, bytes: Uint8Array): number {
    const facts = this.#checkMaySend(slot, 'trySend');
    this.outputs += 1;
    const { byteLength } = bytes;
    const n = this.#inner.trySend(slot, bytes);
    facts.isPending = n === PENDING;
    facts.gathered = byteLength; // Taken as a whole: it is pending until all of it was reported.
    facts.isWhole = true;
    assert.ok(n <= byteLength, `slot ${slot}: trySend sent ${n} of ${byteLength} bytes`);
    return n;
  }

  send(slot: number): number {
    const facts = this.#checkMaySend(slot, 'send');
    this.outputs += 1;
    this.#sending = slot;
    facts.gathered = 0;
    facts.isWhole = false;
    const n = this.#inner.send(slot);
    this.#sending = -1;
    facts.isPending = n === PENDING;
    assert.notEqual(n, 0, `slot ${slot}: send answered 0`);
    assert.ok(n <= facts.gathered, `slot ${slot}: ${n} bytes sent, ${facts.gathered} gathered`);
    return n;
  }

  finishSend(slot: number): number {
    const facts = this.#find(slot, 'finishSend', 'stream');
    assert.ok(facts.isPending, `slot ${slot}: no send is pending`);
    const n = this.#inner.finishSend(slot);
    if (n !== PENDING) {
      assert.ok(n > 0 && n <= facts.gathered, `slot ${slot}: ${n} of ${facts.gathered} finished`);
      facts.gathered -= n;
      facts.isPending = false;
      this.completions += 1;
    }
    return n;
  }

  shutdown(slot: number): number {
    const facts = this.#checkMaySend(slot, 'shutdown');
    this.outputs += 1;
    const n = this.#inner.shutdown(slot);
    facts.isShut = n >= 0;
    return n;
  }

  close(slot: number, abort: boolean): void {
    const facts = this.#find(slot, 'close');
    assert.notEqual(facts.kind, 'closing', `close of slot ${slot}, which is being closed`);
    facts.kind = 'closing';
    this.outputs += 1;
    this.#closing = slot;
    this.#inner.close(slot, abort);
    this.#closing = -1;
  }

  readonly setOption: Driver['setOption'] = (...values) => this.#inner.setOption(...values);
  readonly getOption: Driver['getOption'] = (...values) => this.#inner.getOption(...values);
  readonly localAddress: Driver['localAddress'] = (...values) =>
    this.#inner.localAddress(...values);
  readonly peerAddress: Driver['peerAddress'] = (...values) => this.#inner.peerAddress(...values);

  discard(fd: number): void {
    this.#inner.discard(fd);
  }

  poll(): number {
    this.#batch += 1;
    this.#closedNow.clear();
    this.#wasWoken = false;
    this.#isPolling = true;
    const n = this.#inner.poll();
    this.#isPolling = false;
    return n;
  }

  rest(): boolean {
    return this.#inner.rest();
  }

  destroy(): void {
    this.#slots.clear();
    this.#inner.destroy();
  }

  // The completions, as the driver sees them.

  accepted(slot: number, fd: number): void {
    const facts = this.#complete(slot, 'accepted', 'listener');
    assert.ok(facts.isAccepting, `accepted on slot ${slot}, which was stopped`);
    assert.ok(facts.count < this.#options.acceptBudget, `slot ${slot}: accepts beyond its budget`);
    facts.count += 1;
    this.#above.accepted(slot, fd);
  }

  acceptFailed(slot: number, errno: number): void {
    const facts = this.#complete(slot, 'acceptFailed', 'listener');
    assert.ok(errno > 0, `acceptFailed with errno ${errno}`);
    facts.isAccepting = false;
    this.#above.acceptFailed(slot, errno);
  }

  connected(slot: number, errno: number): void {
    const facts = this.#complete(slot, 'connected', 'connecting');
    assert.ok(errno >= 0, `connected with errno ${errno}`);
    facts.kind = 'stream';
    facts.hasFailed = errno !== 0;
    this.#above.connected(slot, errno);
  }

  received(slot: number, bytes: Buffer): void {
    const facts = this.#complete(slot, 'received', 'stream');
    const { byteLength } = bytes;
    const { receiveBytes, receiveBudget } = this.#options;
    this.#checkUnderWay(slot, facts, byteLength);
    assert.ok(!facts.hasEnded, `slot ${slot}: bytes after the end`);
    assert.ok(byteLength > 0 && byteLength <= receiveBytes, `received ${byteLength} bytes`);
    assert.ok(facts.count < receiveBudget, `slot ${slot}: receives beyond its budget`);
    facts.count += byteLength;
    this.#above.received(slot, bytes);
  }

  receiveEnded(slot: number): void {
    const facts = this.#complete(slot, 'receiveEnded', 'stream');
    assert.ok(facts.isReceiving || this.receiveAhead > 0, `slot ${slot}: an end while stopped`);
    assert.ok(!facts.hasEnded, `slot ${slot}: a second end`);
    facts.hasEnded = true;
    this.#above.receiveEnded(slot);
  }

  sent(slot: number, byteLength: number): void {
    const facts = this.#complete(slot, 'sent');
    assert.ok(
      facts.kind === 'stream' || facts.kind === 'closing',
      `sent of slot ${slot}, a ${facts.kind}`,
    );
    assert.ok(facts.isPending, `slot ${slot}: sent, and no send is pending`);
    assert.ok(
      byteLength > 0 && byteLength <= facts.gathered,
      `slot ${slot}: ${byteLength} bytes sent, ${facts.gathered} gathered`,
    );
    facts.gathered -= byteLength;
    facts.isPending = facts.isWhole && facts.gathered > 0;
    this.#above.sent(slot, byteLength);
  }

  failed(slot: number, errno: number): void {
    // Where a registration fails, the epoll driver says so from inside `receive`, which the contract does not allow.
    const facts =
      this.#receiving === slot
        ? this.#find(slot, 'failed', 'stream')
        : this.#complete(slot, 'failed', 'stream');
    assert.ok(errno > 0, `failed with errno ${errno}`);
    facts.hasFailed = true;
    this.#above.failed(slot, errno);
  }

  ready(slot: number, events: number): void {
    const facts = this.#complete(slot, 'ready', 'watched');
    assert.ok(facts.count === 0 && events !== 0, `slot ${slot}: ready twice, or for nothing`);
    facts.count = 1;
    this.#above.ready(slot, events);
  }

  closed(slot: number): void {
    assert.notEqual(this.#closing, slot, 'closed from inside close');
    this.#complete(slot, 'closed', 'closing');
    this.#slots.delete(slot);
    this.#closedNow.add(slot);
    this.#above.closed(slot);
  }

  readonly askForRoom = (slot: number): void => this.#inner.askForRoom?.(slot);
  readonly room = (slot: number): Uint8Array | undefined => this.#above.room?.(slot);

  woken(): void {
    assert.ok(this.#isPolling && !this.#wasWoken, 'woken at most once a batch');
    this.#wasWoken = true;
    this.completions += 1;
    this.#above.woken();
  }

  gather(slot: number, vector: SendVector): void {
    const facts = this.#find(slot, 'gather', 'stream');
    assert.ok(
      this.#sending === slot || (this.#isPolling && facts.isPending),
      `gather of slot ${slot}, for which no send was asked`,
    );
    this.#above.gather(slot, vector);
    facts.gathered = vector.byteLength;
    // A vector that takes no heap array says so, and its driver asks again with one that does.
    const hasRefused = vector instanceof UringVector && vector.isOnHeap;
    assert.ok(vector.count > 0 || hasRefused, `slot ${slot}: nothing to gather`);
  }

  #begin(slot: number, fd: number, kind: Slot['kind'], result: number): number {
    assert.ok(!this.#slots.has(slot), `slot ${slot} is in use`);
    assert.ok(
      !this.#isPolling || !this.#closedNow.has(slot),
      `slot ${slot} used again in the batch that closed it`,
    );
    if (result >= 0) {
      this.#slots.set(slot, {
        kind,
        fd,
        isReceiving: false,
        isAccepting: false,
        isPending: false,
        isShut: false,
        hasEnded: false,
        hasFailed: false,
        receivedLate: 0,
        gathered: 0,
        isWhole: false,
        count: 0,
        countedIn: this.#batch,
      });
    }
    return result;
  }

  #find(slot: number, use: string, kind?: Slot['kind']): Slot {
    const facts = this.#slots.get(slot);
    if (facts === undefined) {
      assert.fail(`${use} of slot ${slot}, which is free`);
    }
    if (kind !== undefined && facts.kind !== kind) {
      assert.fail(`${use} of slot ${slot}, a ${facts.kind}`);
    }
    return facts;
  }

  #checkMaySend(slot: number, use: string): Slot {
    const facts = this.#find(slot, use, 'stream');
    assert.ok(!facts.isPending, `${use} of slot ${slot} while a send is pending`);
    return facts;
  }

  #complete(slot: number, name: string, kind?: Slot['kind']): Slot {
    assert.ok(this.#isPolling, `${name} outside of poll`);
    this.completions += 1;
    const facts = this.#find(slot, name, kind);
    // What was pending may have been sent all the same.
    const mayFollow = name === 'closed' || name === 'sent';
    assert.ok(!facts.hasFailed || mayFollow, `${name} of slot ${slot} after its failure`);
    if (facts.countedIn !== this.#batch) {
      facts.countedIn = this.#batch;
      facts.count = 0;
    }
    return facts;
  }

  /** After `stopReceive` no more may come than what the kernel had taken by then. */
  #checkUnderWay(slot: number, facts: Slot, byteLength: number): void {
    if (facts.isReceiving) {
      return;
    }
    facts.receivedLate += byteLength;
    const most = this.receiveAhead === 0 ? 0 : this.receiveAhead + this.#options.receiveBytes;
    assert.ok(facts.receivedLate <= most, `received of slot ${slot}, which was stopped`);
  }
}
