/** A pool that a test works by hand, and connections without a socket: what the queue does in each order of events. */

import type { ConnectionState } from '../../src/api.js';
import type { WorkConnection } from '../../src/work/index.js';

interface Job {
  readonly task: string;
  readonly signal: AbortSignal | undefined;
  resolve(value: string): void;
  reject(error: unknown): void;
}

export class ManualPool {
  readonly jobs: Job[] = [];
  readonly started: string[] = [];
  maxAtOnce = 0;
  readonly options = { maxThreads: 2 };

  run(task: string, { signal }: { signal?: AbortSignal } = {}): Promise<string> {
    this.started.push(task);
    return new Promise((resolve, reject) => {
      this.jobs.push({ task, signal, resolve, reject });
      this.maxAtOnce = Math.max(this.maxAtOnce, this.jobs.length);
    });
  }

  /** Ends one of the jobs that run, and lets the consequences happen. */
  async end(at = 0, error?: unknown): Promise<void> {
    const [job] = this.jobs.splice(at, 1);
    if (error === undefined) {
      job!.resolve(`${job!.task}!`);
    } else {
      job!.reject(error);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A reactor whose turns and time the test decides on. */
export class ManualReactor {
  now = 0;
  readonly thrown: unknown[] = [];
  readonly #tasks: ((reactor: never) => void)[] = [];
  readonly #timers = new Map<number, { at: number; callback: () => void }>();
  #nextTimer = 1;

  execute(task: (reactor: never) => void): void {
    this.#tasks.push(task);
  }

  setTimer(milliseconds: number, callback: () => void): number {
    this.#timers.set(this.#nextTimer, { at: this.now + milliseconds, callback });
    this.#nextTimer += 1;
    return this.#nextTimer - 1;
  }

  clearTimer(timer: number): void {
    this.#timers.delete(timer);
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  turn(milliseconds = 0): void {
    this.now += milliseconds;
    for (const [id, { at, callback }] of this.#timers) {
      if (at <= this.now) {
        this.#timers.delete(id);
        callback();
      }
    }
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      try {
        task(this as never);
      } catch (error) {
        this.thrown.push(error);
      }
    }
  }
}

export class ManualConnection implements WorkConnection {
  readonly reactor: ManualReactor;
  readonly name: string;
  state: ConnectionState = 'open';
  isPaused = false;
  pauses = 0;

  constructor(reactor: ManualReactor, name: string) {
    this.reactor = reactor;
    this.name = name;
  }

  pause(): void {
    this.isPaused = true;
    this.pauses += 1;
  }

  resume(): void {
    this.isPaused = false;
  }

  abort(): void {
    this.state = 'closed';
  }
}
