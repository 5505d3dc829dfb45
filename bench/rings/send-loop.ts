/**
 * A ring of its own that sends as fast as its peers take it, in one of the ways of send-kinds.ts. It works as the
 * driver does, with the driver's own queue: one send under way for each connection, sends that do not wait and a poll
 * when the socket is full, one io_uring_enter for a batch, and sleep until the ring's eventfd says that there is
 * something.
 *
 * Every connection goes round its buffers. One is used again when the kernel has said that it no longer reads from it:
 * with the completion of a send, and with the notification of a zero-copy one.
 */
import { EAGAIN, ENOBUFS } from '../../src/base/errno.js';
import type { Kernel, Region } from '../../src/base/kernel.js';
import {
  AF_INET,
  EPOLLOUT,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_DGRAM,
  SOCK_STREAM,
  TCP_NODELAY,
} from '../../src/base/linux.js';
import * as uring from '../../src/base/uring.js';
import { UringQueue } from '../../src/connection/drivers/uring-queue.js';
import { EventLoop } from '../../src/connection/event-loop.js';
import { encodeInteger } from '../../src/connection/option-values.js';
import { SystemError } from '../../src/errors.js';
import {
  CQE_F_NOTIF,
  NOTIF_USAGE_ZC_COPIED,
  REGISTER_BUFFERS,
  SEND_HEADS,
  type SendKind,
  type SendReport,
} from './send-kinds.js';

const SQ_ENTRIES = 1_024;
const CQ_ENTRIES = 4_096;
/** Those of the driver. */
const RING_FLAGS =
  uring.SETUP_SUBMIT_ALL |
  uring.SETUP_SINGLE_ISSUER |
  uring.SETUP_DEFER_TASKRUN |
  uring.SETUP_COOP_TASKRUN |
  uring.SETUP_TASKRUN_FLAG;
const SEND_FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT;
const BATCH = 512;
const WORD = 0x1_0000_0000;
const PAGE_BYTES = 4_096;
const TAG_SEND = 1;
const TAG_WRITABLE = 2;

export interface SendLoopOptions {
  /** Of the peer, for IPv4. */
  readonly sockaddr: Uint8Array;
  /** UDP in place of TCP. */
  readonly isDatagram: boolean;
  readonly streams: number;
  readonly buffers: number;
  readonly bytesMax: number;
}

export class SendLoop {
  readonly #kernel: Kernel;
  readonly #queue: UringQueue;
  readonly #loop: EventLoop;
  readonly #eventfd: number;
  readonly #fds: number[] = [];
  readonly #buffers: number;
  readonly #memory: Region;
  /** The first whole page of the memory, where the first buffer starts. */
  readonly #base: number;
  /** By connection: which of its buffers is being sent, how much of it is left, and whether it waits for a buffer. */
  readonly #current: Int32Array;
  readonly #left: Int32Array;
  readonly #isWaiting: Uint8Array;
  /** By buffer: submissions that the kernel is not done with. */
  readonly #held: Int32Array;
  #head = 0;
  #bytes = 0;
  #until = 0;
  #isStopping = true;
  #isResting = false;
  #counts = { bytes: 0, sends: 0, full: 0, notifications: 0, copied: 0, starved: 0 };
  #settle: ((error?: Error) => void) | undefined;

  constructor(kernel: Kernel, options: SendLoopOptions) {
    const { streams, buffers, bytesMax } = options;
    this.#kernel = kernel;
    this.#buffers = buffers;
    this.#current = new Int32Array(streams);
    this.#left = new Int32Array(streams);
    this.#isWaiting = new Uint8Array(streams);
    this.#held = new Int32Array(streams * buffers);
    this.#memory = kernel.allocate(streams * buffers * bytesMax + PAGE_BYTES);
    this.#memory.bytes.fill(0x55);
    this.#base = Math.ceil(this.#memory.address / PAGE_BYTES) * PAGE_BYTES;
    const ring = kernel.ringCreate(SQ_ENTRIES, CQ_ENTRIES, RING_FLAGS);
    if (typeof ring === 'number') throw new SystemError('io_uring_setup', -ring);
    const counters = { calls: 0, acceptErrors: 0, staleEvents: 0 };
    this.#queue = new UringQueue(kernel, ring, counters, () => this.#loop.request());
    this.#eventfd = check('eventfd', kernel.eventfd());
    this.#register(uring.REGISTER_EVENTFD, encodeInteger(this.#eventfd));
    this.#register(REGISTER_BUFFERS, iovec(this.#base, streams * buffers * bytesMax));
    this.#queue.signalEventfd(false);
    this.#loop = new EventLoop(kernel, this.#eventfd, {
      turn: () => this.#turn(),
      rest: () => this.#rest(),
      nextDeadline: () => Number.POSITIVE_INFINITY,
    });
    for (let i = 0; i < streams; i += 1) this.#fds.push(this.#connect(options));
  }

  #register(operation: number, argument: Uint8Array): void {
    const n = this.#kernel.ringRegister(this.#queue.ring.fd, operation, argument, 1);
    check('io_uring_register', n);
  }

  /** Still connecting when it returns: then the first send finds no room, and waits. */
  #connect({ sockaddr, isDatagram }: SendLoopOptions): number {
    const type = isDatagram ? SOCK_DGRAM : SOCK_STREAM;
    const fd = check('socket', this.#kernel.socket(AF_INET, type, 0));
    if (!isDatagram) {
      this.#kernel.setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, encodeInteger(1));
    }
    this.#kernel.connect(fd, sockaddr);
    return fd;
  }

  /** One slice: sends of `bytes` each, until `seconds` are over and everything is complete. One at a time. */
  async run(kind: SendKind, bytes: number, seconds: number): Promise<SendReport> {
    this.#head = SEND_HEADS[kind];
    this.#bytes = bytes;
    this.#counts = { bytes: 0, sends: 0, full: 0, notifications: 0, copied: 0, starved: 0 };
    const done = new Promise<void>((resolve, reject) => {
      this.#settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    const before = process.cpuUsage();
    this.#until = this.#kernel.now() + seconds * 1_000;
    this.#isStopping = false;
    for (let stream = 0; stream < this.#fds.length; stream += 1) this.#next(stream);
    await done;
    const { user, system } = process.cpuUsage(before);
    return { ...this.#counts, cpuSeconds: (user + system) / 1e6 };
  }

  #rest(): boolean {
    this.#queue.signalEventfd(true);
    this.#isResting = true;
    return this.#queue.hasWork;
  }

  #turn(): boolean {
    if (this.#isResting) {
      this.#isResting = false;
      this.#queue.signalEventfd(false);
      this.#kernel.drain(this.#eventfd);
    }
    this.#isStopping ||= this.#kernel.now() >= this.#until;
    let handled = 0;
    for (;;) {
      const submitted = this.#queue.wantsEnter ? this.#queue.enter() : 0;
      const n = this.#complete();
      handled += n;
      if (n + submitted === 0 || handled >= BATCH) break;
    }
    if (this.#isStopping && this.#queue.underWay === 0) this.#settle?.();
    return handled > 0;
  }

  #complete(): number {
    const queue = this.#queue;
    const { words, completionMask, completionsAt } = queue;
    const end = queue.tail;
    let n = 0;
    for (let head = queue.head; head !== end; head = (head + 1) | 0) {
      const at = completionsAt + ((head & completionMask) << 2);
      const flags = words[at + 3];
      if ((flags & uring.CQE_F_MORE) === 0) queue.underWay -= 1;
      if (words[at + 1] === TAG_WRITABLE) this.#submit(words[at]);
      else this.#onSend(words[at], words[at + 2], flags);
      n += 1;
    }
    queue.release(end);
    return n;
  }

  #onSend(buffer: number, result: number, flags: number): void {
    const stream = Math.floor(buffer / this.#buffers);
    if ((flags & uring.CQE_F_MORE) === 0) this.#held[buffer] -= 1;
    if ((flags & CQE_F_NOTIF) !== 0) {
      this.#counts.notifications += 1;
      if ((result & NOTIF_USAGE_ZC_COPIED) !== 0) this.#counts.copied += 1;
      if (this.#isWaiting[stream] !== 0) this.#next(stream);
    } else if (result > 0) {
      this.#counts.sends += 1;
      this.#counts.bytes += result;
      this.#left[stream] -= result;
      if (this.#left[stream] > 0) this.#submit(stream);
      else this.#next(stream);
    } else if (result === -EAGAIN || result === -ENOBUFS) {
      this.#counts.full += 1;
      const fd = this.#fds[stream];
      this.#queue.push(uring.OP_POLL_ADD, fd, 0, 0, 0, EPOLLOUT, stream, TAG_WRITABLE);
    } else {
      this.#isStopping = true;
      this.#settle?.(new SystemError('send', -result));
    }
  }

  /** The connection's next buffer, if the kernel is done with what it was last used for. */
  #next(stream: number): void {
    if (this.#isStopping) {
      this.#isWaiting[stream] = 0;
      return;
    }
    const next = (this.#current[stream] + 1) % this.#buffers;
    if (this.#held[stream * this.#buffers + next] > 0) {
      this.#counts.starved += 1 - this.#isWaiting[stream];
      this.#isWaiting[stream] = 1;
      return;
    }
    this.#isWaiting[stream] = 0;
    this.#current[stream] = next;
    this.#left[stream] = this.#bytes;
    this.#submit(stream);
  }

  /** What is left of the current buffer. */
  #submit(stream: number): void {
    const buffer = stream * this.#buffers + this.#current[stream];
    const left = this.#left[stream];
    const address = this.#base + (buffer + 1) * this.#bytes - left;
    this.#held[buffer] += 1;
    const [low, high] = [(address % WORD) | 0, Math.floor(address / WORD)];
    const fd = this.#fds[stream];
    this.#queue.push(this.#head, fd, low, high, left, SEND_FLAGS, buffer, TAG_SEND);
  }

  /** Nothing may be under way. */
  close(): void {
    this.#loop.close();
    for (const fd of this.#fds) this.#kernel.close(fd);
    this.#kernel.ringClose(this.#queue.ring);
    this.#kernel.close(this.#eventfd);
    this.#kernel.release(this.#memory);
  }
}

function check(syscall: string, n: number): number {
  if (n < 0) throw new SystemError(syscall, -n);
  return n;
}

function iovec(address: number, byteLength: number): Uint8Array {
  const words = new BigUint64Array([BigInt(address), BigInt(byteLength)]);
  return new Uint8Array(words.buffer);
}
