/**
 * A simulated io_uring as in Linux 6.18: submissions are read from shared memory at an enter, completions are written
 * to it. With SETUP_DEFER_TASKRUN what has become ready waits as task work for an enter with ENTER_GETEVENTS, which
 * runs some 20 pieces of it; the registered eventfd is signalled when the first piece is queued. Without, it is run at
 * any enter, and by itself. Called by sim-kernel.ts; what programs may get wrong without harm on Linux is a violation.
 */

import { EAGAIN, EEXIST, ENFILE, ENOENT } from '../../src/base/errno.js';
import type { Ring } from '../../src/base/kernel.js';
import { ENTER_GETEVENTS, SETUP_DEFER_TASKRUN, SETUP_SUBMIT_ALL } from '../../src/base/uring.js';
import type { Faults } from './faults.js';
import { Description } from './sim-descriptors.js';
import type { MemoryUser } from './sim-memory.js';
import type { SimSocket } from './sim-socket.js';
import type { BufferGroup } from './sim-uring-buffers.js';
import type { RingFiles } from './sim-uring-files.js';
import * as queues from './sim-uring-queues.js';
import type { RingRequest } from './sim-uring-request.js';
import { submit } from './sim-uring-submit.js';
import type { SimWorld } from './sim-world.js';

const EPOLLOUT = 4;

export interface RingSettings {
  readonly world: SimWorld;
  /** The thread that made it, by number and name. */
  readonly thread: number;
  readonly name: string;
  readonly sqEntries: number;
  readonly cqEntries: number;
  readonly flags: number;
}

export class SimRing extends Description implements MemoryUser {
  override readonly kind = 'uring';
  readonly world: SimWorld;
  readonly faults: Faults;
  readonly name: string;
  readonly thread: number;
  readonly flags: number;
  readonly queues: queues.RingQueues;
  readonly groups = new Map<number, BufferGroup>();
  files: RingFiles | undefined;
  readonly requests = new Set<RingRequest>();
  /** Task work: what an enter has left over, and what came since. Only the latter counts for the eventfd. */
  #left: RingRequest[] = [];
  #work: RingRequest[] = [];
  #isClosed = false;
  #isRunScheduled = false;
  #cancellations = 0;

  constructor(settings: RingSettings) {
    super();
    const { world, thread, name, sqEntries, flags } = settings;
    this.world = world;
    this.faults = world.faults;
    this.thread = thread;
    this.name = `${name}'s ring`;
    this.flags = flags;
    const { ringCompletions, ringStart } = world.shape;
    const cqEntries = Math.min(settings.cqEntries, ringCompletions);
    this.queues = new queues.RingQueues(world, thread, this.name, sqEntries, cqEntries, ringStart);
    world.memory.users.add(this);
  }

  get isDeferred(): boolean {
    return (this.flags & SETUP_DEFER_TASKRUN) !== 0;
  }

  /** What the program gets for it. */
  describe(fd: number): Ring {
    const { sqEntries, cqEntries, rings, sqes } = this.queues;
    return {
      fd,
      sqEntries,
      cqEntries,
      rings,
      sqes,
      sqHead: queues.SQ_HEAD,
      sqTail: queues.SQ_TAIL,
      sqFlags: queues.SQ_FLAGS,
      cqHead: queues.CQ_HEAD,
      cqTail: queues.CQ_TAIL,
      cqFlags: queues.CQ_FLAGS,
      cqes: queues.CQES,
    };
  }

  /** Waiting for the ring itself never reports completions with SETUP_DEFER_TASKRUN (measured), so it never does. */
  override poll(): number {
    return EPOLLOUT;
  }

  /** There was no descriptor for it. */
  discard(errno: number): number {
    this.closed();
    this.queues.unmap();
    return errno;
  }

  override closed(): void {
    this.leave();
    this.world.memory.users.delete(this);
    this.files?.clear();
    this.groups.clear();
  }

  /** The thread that submits is gone, or the ring is: what is under way ends (io_uring_files_cancel). */
  leave(): void {
    this.#isClosed = true;
    for (const request of this.requests) request.abandon();
    this.requests.clear();
    this.#left = [];
    this.#work = [];
  }

  usedIn(address: number, byteLength: number): string | undefined {
    for (const request of this.requests) {
      const what = request.usedIn(address, byteLength);
      if (what !== undefined) return what;
    }
    for (const group of this.groups.values()) {
      const what = group.usedIn(address, byteLength);
      if (what !== undefined) return what;
    }
    return undefined;
  }

  /** io_uring_enter with nothing to wait for. */
  enter(thread: number, count: number, flags: number): number {
    if (thread !== this.thread) return -EEXIST;
    for (const group of this.groups.values()) group.look();
    if (this.faults.hit('ringInterrupted')) return 0;
    if (this.faults.hit('ringAgain')) return -EAGAIN;
    if (!this.isDeferred) this.runAll();
    let submitted = 0;
    if (count > 0) {
      const isPartial = count > 1 && this.faults.hit('ringPartial');
      const limit = isPartial ? this.world.faultRandom.between(1, count - 1) : count;
      submitted = this.submitSome(limit);
      if (submitted !== count) return submitted;
      if (this.isDeferred && (flags & ENTER_GETEVENTS) !== 0) this.runSome();
    }
    if (!this.isDeferred) this.runAll();
    if ((flags & ENTER_GETEVENTS) === 0) return submitted;
    if (this.isDeferred) this.runSome();
    if (this.queues.hasOverflow) this.queues.flushOverflow();
    return submitted;
  }

  /** Makes task work of a request, perhaps because an eventfd was signalled. */
  queue(request: RingRequest, isByEventfd = false): void {
    if (request.isQueued || this.#isClosed) return;
    request.isQueued = true;
    this.#work.push(request);
    if (this.#work.length > 1) return;
    this.queues.isWorkPending = true;
    if (this.isDeferred) this.queues.signal(isByEventfd);
    else this.scheduleRun();
  }

  /** A request is over. */
  forget(request: RingRequest): void {
    this.requests.delete(request);
  }

  /** Cancels all of the requests that match: how many; or one of them: 0, -EALREADY or -ENOENT. */
  cancel(matches: (request: RingRequest) => boolean, isForAll: boolean): number {
    this.#cancellations++;
    let n = 0;
    for (const request of this.requests) {
      if (!request.isCancellable || !matches(request)) continue;
      if (isForAll && request.cancelledBy === this.#cancellations) continue;
      request.cancelledBy = this.#cancellations;
      const result = request.cancel();
      if (!isForAll) return result;
      n++;
    }
    return isForAll ? n : -ENOENT;
  }

  /** Gives an accepted connection a place: its number, or -errno. There is room in the process's table. */
  install(socket: SimSocket, isDirect: boolean): number {
    if (!isDirect) return this.world.table.open(socket);
    return this.files === undefined ? -ENFILE : this.files.install(socket);
  }

  private submitSome(limit: number): number {
    const { queues } = this;
    let n = 0;
    const published = queues.published;
    while (n < limit && n < published) {
      const isValid = submit(this, queues.take());
      n++;
      if (!isValid && (this.flags & SETUP_SUBMIT_ALL) === 0) break;
    }
    queues.publishHead();
    queues.announce();
    return n;
  }

  /** A part of the task work, the oldest first (__io_run_local_work). */
  private runSome(): void {
    if (this.#left.length + this.#work.length === 0) return;
    this.queues.isWorkPending = false;
    let room = this.world.shape.ringWork;
    room -= this.runList(this.#left, room);
    if (this.#left.length === 0) {
      this.#left = this.#work;
      this.#work = [];
      if (this.#left.length > 1 && this.faults.hit('ringShuffled')) {
        this.world.faultRandom.shuffle(this.#left);
      }
      this.runList(this.#left, room);
    }
    this.queues.announce();
    if (this.#left.length + this.#work.length > 0) this.queues.isWorkPending = true;
  }

  private runList(list: RingRequest[], most: number): number {
    const now = list.splice(0, most);
    for (const request of now) request.run();
    return now.length;
  }

  private runAll(): void {
    while (this.#work.length > 0) {
      const work = this.#work;
      this.#work = [];
      if (this.faults.hit('ringShuffled')) this.world.faultRandom.shuffle(work);
      for (const request of work) request.run();
    }
    this.queues.isWorkPending = false;
    this.queues.announce();
  }

  /** The thread is interrupted for it, soon. */
  private scheduleRun(): void {
    if (this.#isRunScheduled) return;
    this.#isRunScheduled = true;
    const deliver = (): void => {
      this.#isRunScheduled = false;
      if (!this.#isClosed) this.runAll();
    };
    this.world.timeline.schedule(this.world.network.latency(), { deliver }, 0);
  }
}
