/**
 * The driver contract: completions, not readiness. A driver accepts, connects, receives, sends and closes on behalf
 * of the connection layer and reports what happened through `Completions`. epoll and kqueue implement it by trying
 * first and arming a descriptor only when the call would block; io_uring implements it natively. One suite
 * (test/contract/driver.ts) runs on every driver, on the real and on the simulated kernel.
 *
 * Names and lifetimes:
 * - A slot is a small integer that names one descriptor of this driver, given by the caller with `open`, `listen` or
 *   `connect` and in use until `closed(slot)`. The caller may use the number again only after that, and after the
 *   batch that reported it. The driver tags each use with a generation of its own, so that a late event of the
 *   previous use is dropped inside the driver and never seen above.
 * - A descriptor that was handed in belongs to the driver, which closes it.
 *
 * Completions:
 * - They come only inside `poll`, one batch a turn, as plain calls with numbers: no object per operation.
 * - `receive` and `accept` are persistent: started once, reported until stopped. After `stopReceive`, bytes that the
 *   kernel has already taken for the driver may still be reported: at most `receiveAhead` and one receive. After
 *   `stopAccept` nothing is reported until the next `accept`.
 * - Received bytes lie in driver memory and are valid during the call only.
 * - A send is asked for once and then belongs to the driver: it pulls what to send through `gather`, answers with
 *   the number of bytes done, or PENDING and later exactly one `sent`. While one is pending no other may be asked for
 *   on that slot, which keeps the order; the gathered memory must stay as it is until then.
 * - `close` cancels everything; nothing is reported for that slot afterwards but `sent` for what the kernel had got,
 *   or still gets, of a send that was pending, and then one `closed`, in this or a later batch, never from inside
 *   `close` itself.
 * - Within one slot the order is: connected, then received* and sent*, then receiveEnded at most once, then closed.
 *   `failed` may come once in place of any of these; the descriptor stays open until `close`.
 *
 * Only the descriptor `wakeDescriptor` may be touched from another thread (see Kernel.signal).
 */

/** Answer of `send` when the driver keeps the operation and will report `sent`. Not a possible -errno. */
export const PENDING = -0x10000;

/** What a driver reports. Implemented by the reactor; must not throw. */
export interface Completions {
  /** A listener got a connection. The descriptor is now the callee's. */
  accepted(slot: number, fd: number): void;
  /**
   * Accepting failed in a way that retrying at once cannot cure, such as EMFILE. Accepting is stopped; call `accept`
   * to go on. Errors of one connection (ECONNABORTED and its like) are only counted.
   */
  acceptFailed(slot: number, errno: number): void;
  /** The outcome of `connect`: 0 or the positive errno. */
  connected(slot: number, errno: number): void;
  /**
   * Memory to receive into, if the slot's owner has some: at least one byte, whose first part `received` reports right
   * after. Asked before a receive of a slot for which `askForRoom` was called.
   */
  room?(slot: number): Uint8Array | undefined;
  /** `bytes` is borrowed: it is overwritten after the call returns. Its length is never 0. */
  received(slot: number, bytes: Buffer): void;
  /**
   * The same, for who works on positions: the bytes lie from `start` to `end` of `memory`. False: nothing was done, and
   * `received` is to be called. Drivers that have a view of the bytes at hand need not call it.
   */
  receivedAt?(slot: number, memory: Buffer, start: number, end: number): boolean;
  /** The peer will send no more (FIN). */
  receiveEnded(slot: number): void;
  /**
   * A pending send got `byteLength` > 0 bytes to the kernel. Not necessarily all that was gathered. The one completion
   * that may come between `failed` or `close` and `closed`: what the peer may get is counted.
   */
  sent(slot: number, byteLength: number): void;
  /** Receiving or sending failed for good; positive errno. No other but `sent` (see there) and `closed` follow. */
  failed(slot: number, errno: number): void;
  /**
   * A watched descriptor has what `want` asked for, or EPOLLERR or EPOLLHUP, which need not be asked for. At most once
   * a batch, and again in the next as long as it is so: who cannot cure an error must close.
   */
  ready(slot: number, events: number): void;
  /** The descriptor is closed and no completion of this slot follows. */
  closed(slot: number): void;
  /** Someone signalled the wake descriptor. At most once a batch. */
  woken(): void;
  /**
   * Asks the owner of the slot to append what it wants to send, in order, to `vector`. Called by the driver inside
   * `send` or `poll`, only for a slot with a send asked for. Must append at least one byte. A driver that calls again
   * for the same send has made nothing of what was gathered before.
   */
  gather(slot: number, vector: SendVector): void;
}

/** A list of memory ranges to be sent in one call, bounded by IOV_MAX. The driver owns and reuses it. */
export interface SendVector {
  /** How many ranges were appended. */
  readonly count: number;
  /** The sum of their lengths, in bytes. */
  readonly byteLength: number;
  /** Appends a range of off-heap memory. False when the vector is full: nothing was appended. */
  append(address: number, byteLength: number): boolean;
  /**
   * Appends a typed array of the JavaScript heap; it is kept alive and must not be changed until `sent`. False when the
   * vector is full, or took only the first part: nothing may be appended after that.
   */
  appendBytes(bytes: Uint8Array): boolean;
  /**
   * Appends a part of a regular file, which must stay open until `sent`. Only alone: false if something was appended
   * before, and nothing may be appended after it. A file that ends before that part does is the error ENODATA.
   */
  appendFile(file: number, offset: number, byteLength: number): boolean;
}

export interface DriverCounters {
  /** System calls made by the driver. */
  calls: number;
  /** Connections that failed before or while they were accepted, and were only counted. */
  acceptErrors: number;
  /** Events for a slot's former use, dropped. */
  staleEvents: number;
}

export interface DriverOptions {
  /** One more than the largest slot that will be used. */
  readonly slots: number;
  /** Bytes of the receive buffer: the most that one `received` can carry. */
  readonly receiveBytes: number;
  /**
   * The most bytes received from one slot in one batch, so that a firehose does not starve the others: the receive that
   * reaches it is the last.
   */
  readonly receiveBudget: number;
  /** The most connections accepted from one listener in one batch. */
  readonly acceptBudget: number;
  /** The most events of one batch. */
  readonly batch: number;
  /** Called when the driver has something to submit, by whatever call: `poll` is to follow soon. May come often. */
  readonly requestPoll: () => void;
  /**
   * An eventfd to be used as the wake descriptor. It stays the caller's, who keeps it open as long as any thread may
   * signal it. Without one the driver makes its own.
   */
  readonly wakeDescriptor?: number;
}

export interface Driver {
  readonly name: string;
  readonly counters: DriverCounters;
  /** Becomes readable when `poll` would report something; watched by the host's loop. */
  readonly doorbellDescriptor: number;
  /** If it is made of such: eventfds of which one is readable whenever it is. Who reads one calls `drained`. */
  readonly signals?: readonly number[] | undefined;
  /** An eventfd: signalling it makes `poll` report `woken`. */
  readonly wakeDescriptor: number;
  /** The kernel goes on using gathered memory after `send` returned, until `sent` or `closed`. */
  readonly isAsynchronous: boolean;
  /** Bytes that the kernel may have received before the driver knows of them. 0 where the driver makes the calls. */
  readonly receiveAhead: number;

  /** Something is to be reported or submitted that the doorbell does not show: call `poll` soon. */
  readonly hasWork: boolean;

  /**
   * Takes over a connected stream socket. Nothing is received before `receive`. 0 or -errno; on error fd is not taken.
   */
  open(slot: number, fd: number): number;
  /** Takes over a bound and listening socket. Nothing is accepted before `accept`. 0 or -errno. */
  listen(slot: number, fd: number): number;
  /** Takes over a fresh socket and connects it; the outcome is always reported by `connected`. 0 or -errno. */
  connect(slot: number, fd: number, sockaddr: Uint8Array): number;

  /**
   * Takes over a descriptor whose calls the caller makes itself, such as a datagram socket's. Nothing is reported
   * before `want`. 0 or -errno.
   */
  watch(slot: number, fd: number): number;
  /** `events` of a watched slot are to be reported by `ready`: EPOLLIN, EPOLLOUT, both or neither. 0 or -errno. */
  want(slot: number, events: number): number;

  accept(slot: number): void;
  stopAccept(slot: number): void;
  receive(slot: number): void;
  stopReceive(slot: number): void;
  /** The stream's owner may have `room`. Missing where the kernel receives before the driver knows of it. */
  askForRoom?(slot: number): void;

  /**
   * Tries to send the caller's bytes, whose memory the driver does not keep: n >= 0 bytes were done (0: would block, or
   * this driver cannot), -errno, or PENDING: the driver has taken all of them, and the send is pending until `sent`,
   * perhaps in parts, has reported all of them. Only allowed while no send is pending on the slot.
   */
  trySend(slot: number, bytes: Uint8Array): number;
  /** Sends what `gather` appends: n > 0 bytes were done at once, PENDING, or -errno. See above. */
  send(slot: number): number;

  /**
   * Asks, outside of `poll` too, for the outcome of a pending send that may only wait for the next batch, so that the
   * queue need not grow: n > 0 bytes were done, as `sent` would say, which then does not; PENDING otherwise.
   */
  finishSend(slot: number): number;

  /**
   * The slots from `limit` on are free, after very many of them were in use: their memory may go back to the system.
   * Not called within `poll`.
   */
  trim(limit: number): void;

  /** Sends FIN. Only while no send is pending. 0 or -errno. */
  shutdown(slot: number): number;
  /** Closes with FIN (or RST when unread bytes are left, as the system does). `abort` sends RST. */
  close(slot: number, abort: boolean): void;

  setOption(slot: number, level: number, name: number, value: Uint8Array): number;
  getOption(slot: number, level: number, name: number, value: Uint8Array): number;
  localAddress(slot: number, sockaddr: Uint8Array): number;
  peerAddress(slot: number, sockaddr: Uint8Array): number;

  /** Closes a descriptor that `accepted` reported and that was not given back with `open`. */
  discard(fd: number): void;

  /** The host has read `signals`: the next `poll` need not. */
  drained?(): void;
  /** Runs one batch: reports what is complete now, never waits. Returns the number of events handled. */
  poll(): number;
  /**
   * The host is about to wait for the doorbell. True if there is something to do: then `poll` must be called instead.
   */
  rest(): boolean;
  /** Closes everything that is left, without reports. */
  destroy(): void;
}

/** How a reactor makes its driver; `completions` is called only inside `poll`, but for `gather`. */
export type DriverFactory = (completions: Completions, options: DriverOptions) => Driver;
