/**
 * Work that would block a reactor, handed to a pool of threads: `queue.submit(connection, task, onAnswer)`. Answers
 * come back on the connection's reactor, in the order in which its tasks were submitted, whatever the order in which
 * they get ready; those for a connection that is gone are dropped.
 *
 * The queue gives the pool no more tasks than it can run, and takes the connections in turn, so that one with a lot to
 * do does not hold up the others; what waits is bounded, and can be dropped before it costs anything. Any pool with
 * piscina's `run` fits. One queue serves one thread: with several reactors, make it and its pool in the handler module.
 */

import { availableParallelism } from 'node:os';

import { MillraceError } from '../errors.js';
import { type Answer, Entry, Line, type WorkConnection } from './line.js';
import type { TaskPool, WorkQueueOptions, WorkStats } from './options.js';

export type OnAnswer<C, Value> = (connection: C, answer: Answer<Value>) => void;

export class WorkQueue<Task, Value> implements AsyncDisposable {
  readonly #pool: TaskPool<Task, Value>;
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #connectionMax: number;
  readonly #pauses: boolean;
  readonly #timeoutMs: number;
  readonly #abortRunning: boolean;
  readonly #lines = new Map<WorkConnection, Line<Task, Value>>();
  /** Lines with a task that waits, in the order of their turns. */
  readonly #turns = new Set<Line<Task, Value>>();
  readonly #paused = new Set<Line<Task, Value>>();
  readonly #counts = {
    waiting: 0,
    running: 0,
    submitted: 0,
    answered: 0,
    failed: 0,
    timedOut: 0,
    aborted: 0,
    dropped: 0,
    refused: 0,
    pauses: 0,
  };
  #sweptAt = -1;
  #isClosed = false;
  readonly #whenIdle: (() => void)[] = [];

  /** @throws TypeError for what is no pool; RangeError, TypeError for wrong options. */
  constructor(pool: TaskPool<Task, Value>, options: WorkQueueOptions = {}) {
    if (typeof pool?.run !== 'function') {
      throw new TypeError('Expected a pool with a function run, such as a Piscina');
    }
    const { whenFull = 'refuse' } = options;
    if (whenFull !== 'refuse' && whenFull !== 'pause') {
      throw new TypeError(`Expected whenFull to be refuse or pause, got ${String(whenFull)}`);
    }
    this.#pool = pool;
    this.#runningMax = limit('runningMax', options.runningMax ?? threadsOf(pool), 1);
    this.#waitingMax = limit('waitingMax', options.waitingMax ?? 1_024, 1);
    this.#connectionMax = limit('connectionMax', options.connectionMax ?? 64, 1);
    this.#timeoutMs = limit('timeoutMs', options.timeoutMs ?? 30_000, 0);
    this.#pauses = whenFull === 'pause';
    this.#abortRunning = options.abortRunning ?? false;
  }

  get stats(): WorkStats {
    return { ...this.#counts };
  }

  /**
   * Hands over a task. `onAnswer` is called once, on the connection's reactor, unless the connection closes before.
   * If it throws, the connection is reset, and the error is a warning of the server's.
   *
   * The task may wait before the pool copies it: copy borrowed bytes.
   *
   * @returns `queued`; `full` when a limit is met, or `closed` for a connection that takes no more: then the task is
   *   not taken, and `onAnswer` is not called.
   */
  submit<C extends WorkConnection>(
    connection: C,
    task: Task,
    onAnswer: OnAnswer<C, Value>,
    options: { signal?: AbortSignal } = {},
  ): 'queued' | 'full' | 'closed' {
    if (typeof onAnswer !== 'function') {
      throw new TypeError(`Expected a function to call back, got ${typeof onAnswer}`);
    }
    if (this.#isClosed || isOver(connection)) {
      return 'closed';
    }
    if (this.#counts.waiting >= this.#waitingMax) {
      this.#sweep(connection);
    }
    const line = this.#lines.get(connection) ?? new Line<Task, Value>(connection);
    if (!this.#hasRoom(line)) {
      this.#counts.refused += 1;
      return 'full';
    }
    this.#lines.set(connection, line);
    const entry = new Entry<Task, Value>(line, task, onAnswer as OnAnswer<WorkConnection, Value>);
    line.entries.push(entry);
    this.#counts.submitted += 1;
    this.#counts.waiting += 1;
    this.#turns.add(line);
    this.#limitTime(entry, options.signal);
    if (this.#pauses) {
      this.#pauseIfFull(line);
    }
    this.#dispatch();
    return 'queued';
  }

  /** Drops the tasks of a connection: for `onClose`. Without it they are dropped when it is their turn. */
  forget(connection: WorkConnection): void {
    const line = this.#lines.get(connection);
    if (line !== undefined) {
      this.#drop(line);
      this.#dispatch();
    }
  }

  /** Takes no more, answers what waits with `ERR_WORK_CLOSED`, and resolves when nothing runs any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    for (const line of this.#lines.values()) {
      for (const entry of line.entries) {
        if (entry.state === 'waiting') {
          this.#finish(entry, {
            error: new MillraceError('ERR_WORK_CLOSED', 'The queue is closed'),
          });
        }
      }
    }
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
      this.#tellIdle();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hasRoom(line: Line<Task, Value>): boolean {
    if (line.entries.length >= this.#connectionMax) {
      return false;
    }
    // A connection that can be paused may have one more: it is the last.
    return this.#counts.waiting < this.#waitingMax || (this.#pauses && !line.isPaused);
  }

  #pauseIfFull(line: Line<Task, Value>): void {
    const isFull =
      line.entries.length >= this.#connectionMax || this.#counts.waiting >= this.#waitingMax;
    // A pause of the user's own is not ours to end.
    if (isFull && !line.isPaused && !line.connection.isPaused) {
      line.isPaused = true;
      this.#paused.add(line);
      this.#counts.pauses += 1;
      line.connection.pause();
    }
  }

  #resumeIfRoom(line: Line<Task, Value>): void {
    if (
      line.isPaused &&
      line.entries.length <= this.#connectionMax >> 1 &&
      this.#counts.waiting <= this.#waitingMax >> 1
    ) {
      line.isPaused = false;
      this.#paused.delete(line);
      this.#tidy(line);
      line.connection.resume();
    }
  }

  #limitTime(entry: Entry<Task, Value>, signal: AbortSignal | undefined): void {
    const { connection } = entry.line;
    if (this.#timeoutMs > 0) {
      entry.timer = connection.reactor.setTimer(this.#timeoutMs, () => {
        const error = new MillraceError(
          'ERR_WORK_TIMEOUT',
          `A task was not answered within ${this.#timeoutMs} ms`,
        );
        this.#counts.timedOut += 1;
        this.#finish(entry, { error });
        this.#dispatch();
      });
    }
    if (signal !== undefined) {
      const onAbort = (): void => {
        const { reason } = signal;
        const error =
          reason instanceof Error
            ? reason
            : new MillraceError('ERR_WORK_ABORTED', `A task was aborted: ${String(reason)}`);
        this.#counts.aborted += 1;
        this.#finish(entry, { error });
        this.#dispatch();
      };
      entry.signal = signal;
      entry.onAbort = onAbort;
      if (signal.aborted) {
        onAbort();
      } else {
        signal.addEventListener('abort', onAbort, { once: true });
      }
    }
  }

  /** Gives tasks to the pool while it has room: one of each connection in turn. */
  #dispatch(): void {
    for (const line of this.#turns) {
      if (this.#counts.running >= this.#runningMax) {
        return;
      }
      this.#turns.delete(line);
      if (isOver(line.connection)) {
        this.#drop(line);
        continue;
      }
      const entry = line.nextWaiting();
      if (entry !== undefined) {
        this.#start(entry);
        if (line.nextWaiting() !== undefined) {
          // At the end: it will be met again by this very loop.
          this.#turns.add(line);
        }
      }
    }
  }

  #start(entry: Entry<Task, Value>): void {
    this.#leaveWaiting(entry, 'running');
    this.#counts.running += 1;
    let answer: Promise<Value>;
    try {
      if (this.#timeoutMs > 0 || entry.signal !== undefined || this.#abortRunning) {
        entry.controller = new AbortController();
        answer = this.#pool.run(entry.task!, { signal: entry.controller.signal });
      } else {
        answer = this.#pool.run(entry.task!);
      }
    } catch (error) {
      answer = Promise.reject(error);
    }
    entry.task = undefined;
    // Whatever became of the answer, until then a thread is busy.
    Promise.resolve(answer).then(
      (value) => this.#settled(entry, { error: undefined, value }),
      (error: unknown) =>
        this.#settled(entry, { error: error instanceof Error ? error : new Error(String(error)) }),
    );
  }

  #settled(entry: Entry<Task, Value>, answer: Answer<Value>): void {
    this.#counts.running -= 1;
    if (entry.state === 'running') {
      this.#counts.failed += answer.error === undefined ? 0 : 1;
      this.#finish(entry, answer);
    }
    this.#dispatch();
    this.#tellIdle();
  }

  /** The answer is known: it is given when those before it are. */
  #finish(entry: Entry<Task, Value>, answer: Answer<Value>): void {
    if (entry.state === 'done') {
      return;
    }
    if (entry.state === 'waiting') {
      this.#leaveWaiting(entry, 'done');
    }
    entry.finish(answer);
    const { line } = entry;
    if (line.entries[0] === entry && !line.isScheduled) {
      line.isScheduled = true;
      line.connection.reactor.execute(() => {
        line.isScheduled = false;
        this.#deliver(line);
      });
    }
  }

  #leaveWaiting(entry: Entry<Task, Value>, state: 'running' | 'done'): void {
    entry.state = state;
    this.#counts.waiting -= 1;
    if (this.#counts.waiting === this.#waitingMax >> 1) {
      for (const line of this.#paused) {
        this.#resumeSoon(line);
      }
    }
  }

  /** Not now: the caller is in the midst of something, and a resume may call hooks. */
  #resumeSoon(line: Line<Task, Value>): void {
    if (isOver(line.connection)) {
      this.#drop(line);
    } else {
      line.connection.reactor.execute(() => this.#resumeIfRoom(line));
    }
  }

  /** Gives the answers that are due, in order. Runs on the reactor, in a turn. */
  #deliver(line: Line<Task, Value>): void {
    const { entries, connection } = line;
    while (entries[0]?.state === 'done') {
      if (isOver(connection)) {
        this.#drop(line);
        return;
      }
      const entry = entries.shift()!;
      this.#counts.answered += 1;
      try {
        entry.onAnswer(connection, entry.answer!);
      } catch (error) {
        connection.abort();
        connection.reactor.execute(() => {
          throw error;
        });
      }
    }
    this.#resumeIfRoom(line);
    this.#tidy(line);
  }

  #tidy(line: Line<Task, Value>): void {
    if (line.entries.length === 0 && !line.isPaused) {
      this.#lines.delete(line.connection);
      this.#turns.delete(line);
    }
  }

  #drop(line: Line<Task, Value>): void {
    const { entries, connection } = line;
    this.#lines.delete(connection);
    this.#turns.delete(line);
    this.#paused.delete(line);
    line.isPaused = false;
    for (const entry of entries.splice(0)) {
      this.#counts.dropped += 1;
      if (entry.state === 'waiting') {
        this.#leaveWaiting(entry, 'done');
      } else if (!this.#abortRunning) {
        entry.controller = undefined;
      }
      entry.finish({ error: new MillraceError('ERR_CLOSED', 'The connection is closed') });
    }
  }

  /** Lets go of the tasks of connections that are gone; at most once in a turn. */
  #sweep({ reactor }: WorkConnection): void {
    if (reactor.now !== this.#sweptAt) {
      this.#sweptAt = reactor.now;
      for (const line of this.#lines.values()) {
        if (isOver(line.connection)) {
          this.#drop(line);
        }
      }
    }
  }

  #tellIdle(): void {
    if (this.#counts.running === 0) {
      for (const resolve of this.#whenIdle.splice(0)) {
        resolve();
      }
    }
  }
}

/** What is being closed takes no answer any more. */
function isOver({ state }: WorkConnection): boolean {
  return state === 'closing' || state === 'closed';
}

function threadsOf(pool: object): number {
  const { options } = pool as { options?: { maxThreads?: unknown } };
  const threads = options?.maxThreads;
  return typeof threads === 'number' && threads >= 1 ? threads : availableParallelism();
}

function limit(name: string, value: number, min: number): number {
  if (!Number.isInteger(value) || value < min || value > 0x7fff_ffff) {
    throw new RangeError(`Expected ${name} to be an integer from ${min} on, got ${String(value)}`);
  }
  return value;
}
