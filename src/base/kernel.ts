/**
 * The kernel contract: every system call, clock, random number and hook into the host's event loop that the
 * library uses, behind one interface. `LinuxKernel` implements it over FFI; `SimKernel` (in test/sim) implements
 * it in memory from one seed, so that the production code above runs deterministically in tests.
 *
 * Rules of the contract:
 * - A system call returns `n >= 0`, or `-errno`. It never throws for what the system says. It throws only for a
 *   programmer's error, such as a range outside its memory.
 * - EINTR never surfaces where a retry is right: calls that did nothing are retried inside. `close` is not retried
 *   (Linux frees the number even then), and an interrupted wait reports 0 events.
 * - Every descriptor is created close-on-exec and non-blocking. Every send suppresses SIGPIPE.
 * - An `address` is a number: a position in the process's memory (below 2^53). Memory the kernel reads or writes is
 *   either a `Region` (off-heap, cannot move) or a typed array that is used only during the call.
 * - Lengths come from the region or view, never from a second source.
 * - No call blocks. `epollWait` has no timeout: a reactor lives inside the host's loop and is called by it.
 * - The kernel keeps count of descriptors: each creation and close is written to the `DescriptorRegistry`, so that
 *   those of a dead thread can be closed by the one that supervises it.
 */

/** Off-heap memory. `bytes` views all of it; it stays valid until `release`, and must not be touched after. */
export interface Region {
  readonly address: number;
  readonly bytes: Buffer;
}

/** A hook that calls back, on this thread, while a descriptor is readable (level-triggered). Must be kept alive. */
export interface Doorbell {
  /** Whether a pending doorbell keeps the process alive. */
  ref(): void;
  unref(): void;
  /** Stops ringing until `start`. Both are idempotent. */
  stop(): void;
  start(): void;
  close(): void;
}

/** `isDrained`: what rang are eventfds, and they have been read. */
export type OnRing = (isDrained: boolean) => void;

/** A single one-shot timer of the host's loop. It keeps the process alive only after `ref`. */
export interface Alarm {
  /** Rings once after `delayMs` (fractions are rounded up); replaces an earlier setting. */
  set(delayMs: number): void;
  clear(): void;
  ref(): void;
  unref(): void;
}

/** An io_uring instance: memory shared with the kernel. Offsets are bytes into `rings`; see io_uring_setup(2). */
export interface Ring {
  readonly fd: number;
  readonly sqEntries: number;
  readonly cqEntries: number;
  /** Both queues: heads, tails, flags and completions. */
  readonly rings: Region;
  /** `sqEntries` submissions of 64 bytes. The submission array names them in their own order. */
  readonly sqes: Region;
  readonly sqHead: number;
  readonly sqTail: number;
  readonly sqFlags: number;
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqFlags: number;
  readonly cqes: number;
}

/** Batches of datagrams. The structures lie in off-heap memory, and so does all that they point to. */
export interface DatagramCalls {
  /**
   * Receives up to `count` messages into the `mmsghdr` structures at the start of `messages`, as recvmmsg(2) without
   * waiting. `flags`: MSG_TRUNC (a length is that of the datagram, even where it was cut), MSG_ERRQUEUE. Returns how
   * many.
   */
  receive(fd: number, messages: Region, count: number, flags: number): number;
  /** Sends `count` of the `mmsghdr` structures in `messages` from number `first` on: sendmmsg(2). Returns how many. */
  send(fd: number, messages: Region, first: number, count: number): number;
}

export interface Kernel {
  readonly name: string;
  readonly datagrams: DatagramCalls;

  // Memory.

  /** Zeroed off-heap memory of `byteLength` bytes, aligned for any structure. Throws when there is none. */
  allocate(byteLength: number): Region;
  release(region: Region): void;
  /** Gives the pages of a free range back to the system; the address stays valid and reads as anything. */
  discard(region: Region): void;
  /**
   * Blocks that travel between threads: bare addresses, 0 when there is no memory. Whoever takes the address out of
   * a mailbox frees it.
   */
  allocateBlock(byteLength: number): number;
  releaseBlock(address: number): void;
  /** Copies all of `source` to `address`; the caller owns at least that much there. */
  copyIn(address: number, source: Uint8Array): void;
  /** Fills all of `target` from `address`. */
  copyOut(target: Uint8Array, address: number): void;
  /** Address of a typed array's first byte: valid only until the next allocation or call into user code. */
  addressOf(bytes: Uint8Array): number;

  // Sockets. All descriptors come back non-blocking and close-on-exec.

  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, sockaddr: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  accept(fd: number): number;
  /** 0, or -EINPROGRESS when the answer comes as writability and SO_ERROR. */
  connect(fd: number, sockaddr: Uint8Array): number;
  /** Receives up to all of `region` starting at its first byte. 0 is the end of the stream. */
  receive(fd: number, region: Region): number;
  /** The same, up to `length` bytes, into an array of the JavaScript heap: nothing moves it during the call. */
  receiveInto(fd: number, bytes: Uint8Array, length: number): number;
  /** Sends all or the first part of `bytes`, straight from the caller's memory. */
  send(fd: number, bytes: Uint8Array): number;
  /** Sends `byteLength` bytes at an off-heap address. */
  sendAt(fd: number, address: number, byteLength: number): number;
  /** Sends `count` iovecs (two 64-bit words each: address, length) that lie at the start of `iovecs`. */
  sendVector(fd: number, iovecs: Region, count: number): number;
  /**
   * sendfile(2): sends up to `byteLength` bytes of an open file, from `offset` on, without a copy through the process.
   * 0 is the end of the file. It may wait for a disk, though not for the socket.
   */
  sendFile(fd: number, file: number, offset: number, byteLength: number): number;
  /** `how`: SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2. */
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  setSocketOption(fd: number, level: number, name: number, value: Uint8Array): number;
  /** Fills `value`; returns the length the kernel wrote. */
  getSocketOption(fd: number, level: number, name: number, value: Uint8Array): number;
  /** Fill `sockaddr` with the local or the peer's address; return its length. */
  getSocketName(fd: number, sockaddr: Uint8Array): number;
  getPeerName(fd: number, sockaddr: Uint8Array): number;
  /** Makes a foreign descriptor ours: sets O_NONBLOCK and FD_CLOEXEC. */
  adopt(fd: number): number;
  /** A close-on-exec duplicate. */
  duplicate(fd: number): number;
  /** Opens a descriptor that does nothing, to be given up when the table is full. */
  reserve(): number;

  // Files: only what Unix sockets need, and what is sent from them.

  /** pread(2): reads up to `byteLength` bytes into `region`, from byte `start` of it on. 0 is the end of the file. */
  readAt(file: number, offset: number, region: Region, start: number, byteLength: number): number;
  unlink(path: string): number;
  /** chmod(2). */
  changeMode(path: string, mode: number): number;
  /** 1 if the path is a socket, 0 if it is something else, or -errno. Does not follow symbolic links. */
  isSocketFile(path: string): number;

  // epoll and eventfd. An event is matched to its registration by the pair (low, high), given back as it was.

  epollCreate(): number;
  epollControl(
    epfd: number,
    operation: number,
    fd: number,
    events: number,
    low: number,
    high: number,
  ): number;
  /** Fills `events` with as many `epoll_event` structures as fit and are ready; never waits. */
  epollWait(epfd: number, events: Region): number;
  eventfd(): number;
  /** Adds one: readers become ready. Safe from any thread. */
  signal(eventfd: number): number;
  /** Takes the count back to zero. */
  drain(eventfd: number): number;

  // io_uring. What a submission points to must stay where it is until its completion (or, where io_uring_enter(2) says
  // so, until it was submitted).

  /** A ring with the given `SETUP_` flags, or -errno. */
  ringCreate(sqEntries: number, cqEntries: number, flags: number): Ring | number;
  /** Submits `count` entries; with ENTER_GETEVENTS finished work becomes completions. Never waits. */
  ringEnter(fd: number, count: number, flags: number): number;
  /** io_uring_register(2). The call reads or fills `argument`, whose meaning depends on `operation`. */
  ringRegister(
    fd: number,
    operation: number,
    argument: Uint8Array | undefined,
    count: number,
  ): number;
  /** Closes the ring, and then unmaps its memory. Nothing may be under way in it. */
  ringClose(ring: Ring): void;
  /** Unmaps memory of a ring whose thread is gone: as long as it is mapped, the ring lives, and all its sockets. */
  unmap(address: number, byteLength: number): void;
  /** Notes a descriptor that a ring opened, and that is closed by `close`. */
  own(fd: number): void;

  // Time, chance and the host's loop.

  /** Monotonic milliseconds with a fraction, on one scale for all threads of the process. */
  now(): number;
  /** A random 32-bit unsigned integer, from the system's generator, unpredictable to a peer. */
  random(): number;
  /** Runs `callback` soon on this thread, after the microtasks and input that are already due. */
  defer(callback: () => void): void;
  /**
   * Calls back while `fd` is readable. `onRing` must not throw. `signals`, if there are any, are eventfds of which one
   * is readable whenever `fd` is: a host that can do so watches these instead, and has read what it calls back for.
   */
  doorbell(fd: number, onRing: OnRing, signals?: readonly number[]): Doorbell;
  alarm(callback: () => void): Alarm;

  // The process.

  /** Soft limit of open descriptors. */
  descriptorLimit(): number;
  /** Pins the calling thread to one CPU. */
  pinThread(cpu: number): number;
}
