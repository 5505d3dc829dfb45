/**
 * Threads for the real engine in a simulated world. While installed, `new Worker` of node:worker_threads makes a
 * SimWorker: a thread of the world that does what engine/worker-main.ts does (which cannot be imported here: it starts
 * when loaded), with its own kernel and reactor. Threads start, hear and end with delays; one may die where it stands.
 * So ThreadedServer, ReactorThread, Acceptor, Watchdog, mailboxes and the descriptor registry run as they are.
 */

import { syncBuiltinESMExports } from 'node:module';
import workerThreads from 'node:worker_threads';

import type { Handler } from '../../src/api.js';
import { DescriptorRegistry } from '../../src/base/descriptors.js';
import type { Region, Ring } from '../../src/base/kernel.js';
import type { LinuxKernel } from '../../src/base/linux-kernel.js';
import { releaseCachedRegions } from '../../src/base/region-cache.js';
import { RegionRegistry } from '../../src/base/region-registry.js';
import { Mailbox } from '../../src/connection/mailbox.js';
import { releaseCachedSlabs } from '../../src/connection/slabs.js';
import {
  type FromWorker,
  recordOf,
  type ToWorker,
  type WorkerSetup,
} from '../../src/engine/messages.js';
import { MAIN_OWNER, useThreadKernel } from '../../src/engine/thread-kernel.js';
import { giveWakeDescriptor, takeWakeDescriptor } from '../../src/engine/wake-descriptors.js';
import { Random } from './random.js';
import { SimKernel } from './sim-kernel.js';
import type { SimWorld } from './sim-world.js';
import type { DriverKind } from './trial-driver.js';
import { ReactorProgram } from './trial-program.js';

/** How long a thread takes to start, a message to arrive, and an end to be noticed, at most. */
const START_MS = 20;
const MESSAGE_MS = 2;
const END_MS = 10;

/** Makes a reactor's handler: called in each thread that starts, for each start anew. */
export type MakeHandler = (worker: SimWorker) => Handler;

type Listener = (value: never) => void;

let current: SimThreads | undefined;

/** A thread's kernel, whose regions the supervisor can free: LinuxKernel keeps the same record. */
class ThreadKernel extends SimKernel {
  readonly #regions: Map<number, Region>;
  readonly #record: RegionRegistry | undefined;

  constructor(threads: SimThreads, name: string, owner: number, record?: RegionRegistry) {
    const { world, registry } = threads;
    const thread = world.kernels.length;
    super(world, name, thread, new Random(world.seed, 100 + thread), { registry, owner });
    world.kernels.push(this);
    world.scheduler.hosts.push(this.host);
    this.#regions = threads.regions;
    this.#record = record;
  }

  override allocate(byteLength: number): Region {
    const region = super.allocate(byteLength);
    this.#regions.set(region.address, region);
    this.#record?.add(region.address);
    return region;
  }

  override release(region: Region): void {
    this.#regions.delete(region.address);
    this.#record?.remove(region.address);
    super.release(region);
  }

  override ringCreate(sqEntries: number, cqEntries: number, flags: number): Ring | number {
    const ring = super.ringCreate(sqEntries, cqEntries, flags);
    if (typeof ring !== 'number') {
      this.#record?.addMapping(ring.rings.address, ring.rings.bytes.length);
      this.#record?.addMapping(ring.sqes.address, ring.sqes.bytes.length);
    }
    return ring;
  }

  override ringClose(ring: Ring): void {
    this.#record?.removeMapping(ring.rings.address);
    this.#record?.removeMapping(ring.sqes.address);
    super.ringClose(ring);
  }

  /** Regions are malloc'ed too: the supervisor frees a dead thread's by their addresses. */
  override releaseBlock(address: number): void {
    const region = this.#regions.get(address);
    if (region === undefined) {
      super.releaseBlock(address);
    } else {
      this.release(region);
    }
  }
}

export class SimThreads {
  readonly world: SimWorld;
  readonly driver: DriverKind;
  readonly registry: DescriptorRegistry;
  readonly main: SimKernel;
  readonly makeHandler: MakeHandler;
  readonly random: Random;
  /** All live regions of all threads, by address. */
  readonly regions = new Map<number, Region>();
  /** All threads that were ever started, the dead ones too. */
  readonly workers: SimWorker[] = [];
  readonly #realWorker = workerThreads.Worker;
  readonly #realWakeDescriptors: number[];

  constructor(world: SimWorld, driver: DriverKind, makeHandler: MakeHandler) {
    this.world = world;
    this.driver = driver;
    this.makeHandler = makeHandler;
    this.random = new Random(world.seed, 70);
    this.registry = DescriptorRegistry.create(world.shape.descriptorLimit);
    this.main = new ThreadKernel(this, 'main', MAIN_OWNER);
    this.#realWakeDescriptors = takeKeptWakeDescriptors();
    current = this;
    useThreadKernel(this.main as unknown as LinuxKernel, this.registry);
    replaceWorker(SimWorker);
  }

  /** Threads that run: the ones to ask, to inspect and to kill. */
  get live(): SimWorker[] {
    return this.workers.filter(({ isRunning }) => isRunning);
  }

  /** The main thread frees what it keeps for other servers, and the host's own threads are back. */
  uninstall(): void {
    for (const fd of takeKeptWakeDescriptors()) {
      this.main.close(fd);
    }
    releaseCachedRegions(this.main);
    releaseCachedSlabs(this.main);
    this.restore();
  }

  /** Without a look at the world: after a failure too. */
  restore(): void {
    replaceWorker(this.#realWorker);
    takeKeptWakeDescriptors();
    for (const fd of this.#realWakeDescriptors) {
      giveWakeDescriptor(fd);
    }
    current = undefined;
  }
}

export class SimWorker {
  readonly index: number;
  readonly setup: WorkerSetup;
  readonly #threads: SimThreads;
  readonly #kernel: ThreadKernel;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #letters: ToWorker[] = [];
  readonly #answers: FromWorker[] = [];
  #program: ReactorProgram | undefined;
  #isEnding = false;
  /** The thread is gone; connections that it had need not have been closed in order. */
  wasKilled = false;
  /** It died by itself. */
  hasDied = false;
  /** The main thread knows that it is gone. */
  hasExited = false;

  constructor(_url: URL, options: { workerData: WorkerSetup }) {
    const threads = current!;
    this.#threads = threads;
    this.setup = options.workerData;
    this.index = this.setup.index;
    const name = `reactor ${this.index} (thread ${threads.workers.length})`;
    const record = RegionRegistry.from(this.setup.regions);
    this.#kernel = new ThreadKernel(threads, name, this.index + 1, record);
    threads.workers.push(this);
    this.#later(START_MS, () => this.#boot());
  }

  get program(): ReactorProgram | undefined {
    return this.#program;
  }

  /** It has a reactor, and has not been ended. */
  get isRunning(): boolean {
    return this.#program !== undefined && !this.#isEnding && !this.#program.isDone;
  }

  /** Letters in its mailbox. */
  get letters(): number {
    return Mailbox.from(this.setup.mailboxes[this.index]).depth;
  }

  // What ReactorThread uses of a Worker.

  on(event: string, listener: Listener): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  ref(): void {}

  unref(): void {}

  postMessage(message: ToWorker): void {
    this.#letters.push(structuredClone(message));
    if (this.#program !== undefined) {
      this.#deliver();
    }
  }

  terminate(): Promise<number> {
    this.#end();
    return Promise.resolve(1);
  }

  /** The thread dies of an error of its own, between two of its turns. */
  die(): void {
    this.hasDied = true;
    this.#end(new Error('the thread of a trial died'));
  }

  /** It stops at once; that is noticed later. */
  #end(error?: Error): void {
    if (this.#isEnding) {
      return;
    }
    this.#isEnding = true;
    this.wasKilled = this.#program === undefined || !this.#program.isDone;
    this.#kernel.kill();
    this.#later(END_MS, () => {
      if (error !== undefined) {
        this.#emit('error', error);
      }
      this.hasExited = true;
      this.#emit('exit', 1);
    });
  }

  #boot(): void {
    if (this.#isEnding) {
      return;
    }
    try {
      this.#program = new ReactorProgram({
        world: this.#threads.world,
        driver: this.#threads.driver,
        kernel: this.#kernel,
        setup: this.setup,
        handler: this.#threads.makeHandler(this),
        tell: (message) => this.#tell(message),
      });
    } catch (error) {
      // As worker-main answers. What is left of the reactor runs no more: in a thread it would throw, and end that.
      this.#kernel.kill();
      this.#tell({ type: 'failed', error: recordOf(error) });
      return;
    }
    for (const _letter of this.#letters) {
      this.#deliver();
    }
  }

  #deliver(): void {
    this.#later(MESSAGE_MS, () => {
      const letter = this.#letters.shift();
      if (letter !== undefined && !this.#isEnding) {
        this.#program?.hear(letter);
      }
    });
  }

  #tell(message: FromWorker): void {
    this.#answers.push(structuredClone(message));
    this.#later(MESSAGE_MS, () => this.#emit('message', this.#answers.shift()));
  }

  #emit(event: string, value: unknown): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      listener(value as never);
    }
  }

  #later(maxMs: number, action: () => void): void {
    this.#threads.world.later(this.#threads.random.fraction() * maxMs, action);
  }
}

function replaceWorker(Worker: unknown): void {
  (workerThreads as { Worker: unknown }).Worker = Worker;
  syncBuiltinESMExports();
}

/** The eventfds that the engine keeps for ever: of the host's real servers before, of the world's after a trial. */
function takeKeptWakeDescriptors(): number[] {
  const kept: number[] = [];
  const empty = { eventfd: () => -1 } as unknown as SimKernel;
  for (;;) {
    try {
      kept.push(takeWakeDescriptor(empty));
    } catch {
      return kept;
    }
  }
}
