/**
 * The operations of a simulated io_uring that can wait: poll, accept, receive and send, as io_uring/poll.c and net.c do
 * them. What they may meet is decided where the plain calls have it decided (sim-calls.ts).
 */

import { EAGAIN, EALREADY, EINTR, ENOBUFS } from '../../src/base/errno.js';
import { EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../src/base/linux.js';
import { SQE_BUFFER_SELECT } from '../../src/base/uring.js';
import { acceptFrom, receiveFrom, sendTo } from './sim-calls.js';
import type { Description } from './sim-descriptors.js';
import { SimSocket } from './sim-socket.js';
import type { SimRing } from './sim-uring.js';
import {
  CQE_F_SOCK_NONEMPTY,
  MSG_DONTWAIT,
  MSG_WAITALL,
  POLL_FIRST,
  type Submission,
} from './sim-uring-entry.js';
import { AGAIN, type Outcome, RingRequest, WAIT } from './sim-uring-request.js';

/** Receives of one multishot request in a row (MULTISHOT_MAX_RETRY). */
const RECEIVES_MAX = 32;
/** Tries after which a request that is woken in vain goes to a worker thread (APOLL_MAX_RETRY). */
const RETRIES_MAX = 128;

/** Memory that a request sends. */
export interface Range {
  readonly address: number;
  readonly byteLength: number;
}

export class PollRequest extends RingRequest {
  protected override readonly events: number;
  /** What the wake-up said, until the work is run (poll.c, __io_poll_execute). */
  #stash = 0;
  #hasToldEnd = false;

  constructor(ring: SimRing, entry: Submission, file: Description, isMultishot: boolean) {
    super(ring, entry, file, isMultishot);
    this.events = entry.opFlags & 0xffff;
  }

  override start(): void {
    const mask = this.look();
    if (mask !== 0 && !this.isMultishot && !this.ring.faults.hit('ringLate')) {
      this.finish(mask, 0);
      return;
    }
    this.watch();
    if (mask !== 0) this.note(mask);
  }

  protected override woken(mask: number): void {
    // Linux wakes with what happened: acknowledged bytes wake nobody unless room was missed before, and no wake-up says
    // RDHUP a second time. The simulated socket tells its state at any change.
    const { file } = this;
    const isTcp = file instanceof SimSocket && file.kind === 'tcp';
    const isRoomNews = !isTcp || !this.isMultishot || file.isRoomMissed;
    const isEndNews = !this.#hasToldEnd;
    const news = mask & ~(isRoomNews ? 0 : EPOLLOUT) & ~(isEndNews ? 0 : EPOLLRDHUP);
    if (mask !== 0 && news === 0) return;
    if ((mask & EPOLLOUT) !== 0 && isTcp) file.isRoomMissed = false;
    this.note(mask);
  }

  private note(mask: number): void {
    if ((mask & EPOLLRDHUP) !== 0) this.#hasToldEnd = true;
    // A second wake-up before the work is run: both are one event, and the state is looked at anew.
    this.#stash = this.isQueued ? 0 : mask;
    super.woken(mask);
  }

  protected override attempt(): Outcome {
    const mask = this.#stash === 0 ? this.look() : this.#stash;
    this.#stash = 0;
    if (mask === 0 || (this.isMultishot && this.more(mask, 0))) return WAIT;
    return this.finish(mask, 0);
  }

  /** A look at TCP asks to be told of room, if there is none (tcp_poll). */
  private look(): number {
    const mask = this.ready();
    const isFull = (this.events & EPOLLOUT) !== 0 && (mask & EPOLLOUT) === 0;
    if (isFull && this.file instanceof SimSocket) this.file.isRoomMissed = true;
    return mask;
  }

  /** What is ready and was reported is not reported again before the next wake-up. */
  protected override arm(): void {
    this.watch();
  }
}

export class AcceptRequest extends RingRequest {
  protected override readonly events = EPOLLIN;
  readonly #socket: SimSocket;
  readonly #isDirect: boolean;

  constructor(ring: SimRing, entry: Submission, file: SimSocket, isMultishot: boolean) {
    super(ring, entry, file, isMultishot);
    this.#socket = file;
    this.#isDirect = entry.fileIndex !== 0;
  }

  protected override attempt(): Outcome {
    for (;;) {
      const child = acceptFrom(this.ring.world, this.#socket, this.#isDirect);
      if (child === -EAGAIN) return WAIT;
      if (typeof child === 'number') return this.finish(child, 0);
      const result = this.ring.install(child, this.#isDirect);
      // Nobody holds a connection for which the table has no place: it is closed.
      if (result < 0) child.closed();
      // Only TCP says whether others wait; with Unix sockets it is tried.
      const isUnix = this.#socket.kind === 'unix';
      const flags = !isUnix && this.#socket.backlogLength > 0 ? CQE_F_SOCK_NONEMPTY : 0;
      if (result < 0 || !this.more(result, flags)) return this.finish(result, flags);
      if (flags === 0 && !isUnix) return WAIT;
    }
  }
}

export class ReceiveRequest extends RingRequest {
  protected override readonly events = EPOLLIN;
  readonly #socket: SimSocket;
  readonly #hasGroup: boolean;
  #isTried = false;

  constructor(ring: SimRing, entry: Submission, file: SimSocket, isMultishot: boolean) {
    super(ring, entry, file, isMultishot);
    this.#socket = file;
    this.#hasGroup = (entry.flags & SQE_BUFFER_SELECT) !== 0;
  }

  override usedIn(address: number, byteLength: number): string | undefined {
    if (this.#hasGroup || !overlaps(this.entry, this.entry.length, address, byteLength)) return;
    return 'the memory of a receive';
  }

  protected override get canWait(): boolean {
    return (this.entry.opFlags & MSG_DONTWAIT) === 0;
  }

  protected override attempt(): Outcome {
    if (!this.#isTried && (this.entry.ioprio & POLL_FIRST) !== 0) {
      this.#isTried = true;
      return WAIT;
    }
    this.#isTried = true;
    return this.#hasGroup ? this.receiveIntoGroup() : this.receivePlain();
  }

  private receivePlain(): Outcome {
    const { address, length } = this.entry;
    const target = this.ring.world.memory.view(address, length, 'receive of a ring');
    const result = receiveFrom(this.ring.world, this.#socket, target);
    if (result === -EAGAIN && this.canWait) return WAIT;
    return this.finish(result, result >= 0 ? this.restFlag() : 0);
  }

  private receiveIntoGroup(): Outcome {
    for (let i = 0; i < RECEIVES_MAX; i++) {
      const group = this.ring.groups.get(this.entry.group);
      // The buffer is picked before the socket is looked at: an empty group ends a receive that had nothing to do.
      const buffer = group?.select();
      if (group === undefined || buffer === undefined) return this.finish(-ENOBUFS, 0);
      const { length } = this.entry;
      const target = length === 0 ? buffer.bytes : buffer.bytes.subarray(0, length);
      const result = receiveFrom(this.ring.world, this.#socket, target);
      if (result === -EAGAIN && this.canWait) return WAIT;
      const rest = result < 0 ? 0 : this.restFlag();
      if (result <= 0) return this.finish(result, rest);
      const flags = group.commit(buffer, result) | rest;
      if (!this.more(result, flags)) return this.finish(result, flags);
      if (rest === 0) return WAIT;
    }
    return AGAIN;
  }

  /** Whether more, or TCP's end, is there already (tcp_inq_hint). */
  private restFlag(): number {
    return this.#socket.hasInput ? CQE_F_SOCK_NONEMPTY : 0;
  }
}

export class SendRequest extends RingRequest {
  protected override readonly events = EPOLLOUT;
  readonly #socket: SimSocket;
  readonly #ranges: readonly Range[];
  readonly #total: number;
  #done = 0;
  #retries = 0;

  constructor(
    ring: SimRing,
    entry: Submission,
    file: SimSocket,
    flags: number,
    ranges: readonly Range[],
  ) {
    super(ring, { ...entry, opFlags: flags }, file, false);
    this.#socket = file;
    this.#ranges = ranges;
    this.#total = ranges.reduce((sum, range) => sum + range.byteLength, 0);
  }

  override usedIn(address: number, byteLength: number): string | undefined {
    const isUsed = this.#ranges.some((range) =>
      overlaps(range, range.byteLength, address, byteLength),
    );
    return isUsed ? 'the memory of a send' : undefined;
  }

  protected override get canWait(): boolean {
    return (this.entry.opFlags & MSG_DONTWAIT) === 0;
  }

  protected override attempt(): Outcome {
    const result = sendTo(this.ring.world, this.#socket, this.pieces());
    if (result === -EAGAIN && this.canWait) return WAIT;
    if (result > 0 && (this.entry.opFlags & MSG_WAITALL) !== 0) {
      this.#done += result;
      return this.#done < this.#total ? WAIT : this.finish(this.#done, 0);
    }
    return this.finish(this.#done > 0 ? this.#done : result, 0);
  }

  /**
   * A peer that sends no more is an event that never goes away: Linux tries such a send again and again, and then has a
   * thread block in it.
   */
  protected override arm(): void {
    this.watch();
    const mask = this.ready();
    if (mask === 0) return;
    if (mask !== EPOLLRDHUP || this.#retries++ < RETRIES_MAX) this.ring.queue(this);
  }

  /** Whether a worker thread blocks in it. */
  private get isInWorker(): boolean {
    return this.#retries > RETRIES_MAX;
  }

  override cancel(): number {
    super.cancel();
    return this.isInWorker ? -EALREADY : 0;
  }

  protected override get cancelledWith(): number {
    return this.isInWorker ? -EINTR : super.cancelledWith;
  }

  protected override woken(mask: number): void {
    if (!this.isInWorker || (mask & ~EPOLLRDHUP) !== 0) super.woken(mask);
  }

  /** What is left to send. */
  private pieces(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let skip = this.#done;
    for (const { address, byteLength } of this.#ranges) {
      const start = Math.min(skip, byteLength);
      skip -= start;
      if (start === byteLength) continue;
      const { memory } = this.ring.world;
      pieces.push(memory.view(address + start, byteLength - start, 'send of a ring'));
    }
    return pieces;
  }
}

function overlaps(
  range: { readonly address: number },
  rangeLength: number,
  address: number,
  byteLength: number,
): boolean {
  return range.address < address + byteLength && address < range.address + rangeLength;
}
