/**
 * One reactor's thread as the main thread sees it: start, stop, calls, death. When the thread dies without being asked
 * to, everything it had is taken back here: its descriptors are closed, the letters in its mailbox are discarded, its
 * off-heap memory and what it had of native libraries is freed. Then the owner may start it again.
 */

import { Worker } from 'node:worker_threads';

import type { DescriptorRegistry } from '../base/descriptors.js';
import type { Alarm } from '../base/kernel.js';
import type { LinuxKernel } from '../base/linux-kernel.js';
import { reapNatives } from '../base/native-reaper.js';
import { NativeRegistry } from '../base/native-registry.js';
import { RegionRegistry } from '../base/region-registry.js';
import type { Mailbox } from '../connection/mailbox.js';
import type { ReactorStats } from '../connection/stats.js';
import { MillraceError } from '../errors.js';
import { discardLetters } from './inbox.js';
import { errorOf, type FromWorker, type ToWorker, type WorkerSetup } from './messages.js';

/** What is noted beside one object of OpenSSL's for each connection: contexts of TLS and of compression. */
const OTHER_NATIVES = 8_192;

export interface ThreadEvents {
  onWarning(error: Error): void;
  onShutdownRequest(): void;
  /** The thread ended though nobody asked for it; everything of it is cleaned up. */
  onDeath(index: number, error: Error): void;
}

interface Call {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface ThreadParts {
  readonly kernel: LinuxKernel;
  readonly registry: DescriptorRegistry;
  readonly mailbox: Mailbox;
  readonly pending: Int32Array;
  readonly stats: ReactorStats;
  readonly setup: Omit<WorkerSetup, 'regions' | 'natives'>;
  readonly resourceLimits: object | undefined;
  readonly events: ThreadEvents;
}

export class ReactorThread {
  readonly index: number;
  readonly #parts: ThreadParts;
  readonly #regions = RegionRegistry.create();
  readonly #natives: NativeRegistry;
  readonly #calls = new Map<number, Call>();
  #nextCall = 1;
  #worker: Worker | undefined;
  #state: 'starting' | 'ready' | 'stopping' | 'dead' = 'dead';
  #lastError: Error | undefined;
  #onReady: Call | undefined;
  #onStopped: (() => void) | undefined;
  #isReferenced = true;
  #endTime = Number.POSITIVE_INFINITY;
  #endAlarm: Alarm | undefined;

  constructor(parts: ThreadParts) {
    this.#parts = parts;
    this.index = parts.setup.index;
    const { connectionsMax } = parts.setup.settings;
    this.#natives = NativeRegistry.create(connectionsMax + OTHER_NATIVES);
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Resolves when the reactor is up and listens. */
  start(): Promise<void> {
    const { setup, resourceLimits } = this.#parts;
    const worker = new Worker(new URL('./worker-main.js', import.meta.url), {
      workerData: {
        ...setup,
        regions: this.#regions.buffer,
        natives: this.#natives.buffer,
      } satisfies WorkerSetup,
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
      name: `millrace reactor ${this.index}`,
    });
    this.#worker = worker;
    this.#state = 'starting';
    this.#lastError = undefined;
    worker.on('message', (message: FromWorker) => this.#onMessage(message));
    worker.on('messageerror', (error) => this.#parts.events.onWarning(error));
    worker.on('error', (error) => {
      this.#lastError = error instanceof Error ? error : new Error(String(error));
    });
    worker.on('exit', (code) => this.#onExit(code));
    if (!this.#isReferenced) {
      worker.unref();
    }
    return new Promise((resolve, reject) => {
      this.#onReady = { resolve: () => resolve(), reject };
    });
  }

  /**
   * Graceful stop; resolves when the thread has ended. `graceMs` after the deadline it is ended in any case. A second
   * call may bring that forward. A thread that is starting hears it once it is up: one that is ended while it loads
   * modules leaves their descriptors open (Node), and while it declares functions, aborts the process (koffi 3.3.4).
   */
  async stop(deadlineMs: number, graceMs: number): Promise<void> {
    if (this.#worker === undefined) {
      return;
    }
    this.#tell({ type: 'drain', deadlineMs });
    this.#endAfter(deadlineMs + graceMs);
    if (this.#state !== 'stopping') {
      this.#state = 'stopping';
      this.#stopped = new Promise((resolve) => {
        this.#onStopped = resolve;
      });
    }
    await this.#stopped;
  }

  #stopped: Promise<void> = Promise.resolve();

  /** Ends the thread when that time is over, or earlier where that was said before. */
  #endAfter(milliseconds: number): void {
    const { kernel } = this.#parts;
    const time = kernel.now() + milliseconds;
    if (time < this.#endTime) {
      this.#endTime = time;
      this.#endAlarm ??= kernel.alarm(() => void this.#worker?.terminate());
      this.#endAlarm.ref();
      this.#endAlarm.set(milliseconds);
    }
  }

  /** Ends the thread now: it is blocked. `onDeath` follows. */
  kill(error: Error): void {
    this.#lastError = error;
    void this.#worker?.terminate();
  }

  execute(task: string, argument: unknown): Promise<unknown> {
    if (this.#state !== 'ready') {
      return Promise.reject(
        new MillraceError('ERR_REACTOR_GONE', `Reactor ${this.index} is not running`),
      );
    }
    const call = this.#nextCall;
    this.#nextCall += 1;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      try {
        this.#tell({ type: 'execute', call, task, argument });
      } catch (error) {
        this.#calls.delete(call);
        reject(error);
      }
    });
  }

  ref(): void {
    this.#isReferenced = true;
    this.#worker?.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#worker?.unref();
  }

  #tell(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #onMessage(message: FromWorker): void {
    const { events } = this.#parts;
    switch (message.type) {
      case 'ready':
        this.#state = this.#state === 'starting' ? 'ready' : this.#state;
        this.#onReady?.resolve(undefined);
        return;
      case 'failed':
        this.#lastError = errorOf(message.error);
        // The reactor, or what onBoot has started, would keep it.
        void this.#worker?.terminate();
        return;
      case 'warning':
        events.onWarning(errorOf(message.error));
        return;
      case 'shutdown':
        events.onShutdownRequest();
        return;
      case 'done':
        // Whatever else the handler left running in its thread does not keep it.
        void this.#worker?.terminate();
        return;
      default:
        this.#finishCall(message);
    }
  }

  #finishCall(message: Extract<FromWorker, { type: 'result' | 'thrown' }>): void {
    const call = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if (message.type === 'result') {
      call?.resolve(message.value);
    } else {
      call?.reject(errorOf(message.error));
    }
  }

  #onExit(code: number): void {
    const state = this.#state;
    this.#state = 'dead';
    this.#worker = undefined;
    this.#endAlarm?.clear();
    this.#cleanUp();
    const error =
      this.#lastError ??
      new MillraceError('ERR_REACTOR_GONE', `Reactor ${this.index} ended with exit code ${code}`);
    for (const call of this.#calls.values()) {
      call.reject(error);
    }
    this.#calls.clear();
    if (state === 'stopping') {
      this.#onStopped?.();
    } else if (state === 'starting') {
      this.#onReady?.reject(error);
    } else {
      this.#parts.events.onDeath(this.index, error);
    }
  }

  #cleanUp(): void {
    const { kernel, registry, mailbox, pending, stats } = this.#parts;
    // First: descriptors in letters are in the registry too, and none may be closed twice.
    discardLetters(kernel, mailbox, pending);
    for (const fd of registry.ownedBy(this.index + 1)) {
      kernel.close(fd);
    }
    // Without its ring, whose descriptor is closed, the kernel writes to none of the memory that follows.
    for (const { address, byteLength } of this.#regions.takeMappings()) {
      kernel.unmap(address, byteLength);
    }
    for (const address of this.#regions.takeAll()) {
      kernel.releaseBlock(address);
    }
    reapNatives(this.#natives, (run) => kernel.defer(run));
    stats.reset();
  }
}
