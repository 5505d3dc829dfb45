/**
 * One simulated process with its peers, made from one seed: the entry to the simulator.
 *
 *     const world = new SimWorld({ seed: 42, faults: 'swarm' });
 *     const kernel = world.kernel('main');            // one for each simulated thread
 *     … production code on `kernel` …
 *     const peer = world.peer();
 *     peer.connect('tcp://127.0.0.1:80');
 *     await world.run({ until: () => peer.hasEnded });
 *     world.finish();                                 // throws on violations and leaks
 *
 * Equal seeds and options give equal runs, down to `traceHash`, as long as the code under test uses no other source of
 * time, chance or events than its kernel.
 */

import { type FaultPlan, Faults } from './faults.js';
import { Random } from './random.js';
import { PLAIN_SHAPE, randomShape, type WorldShape } from './shape.js';
import { DescriptorTable } from './sim-descriptors.js';
import { SimFiles } from './sim-files.js';
import { SimKernel, type SimKernelOptions } from './sim-kernel.js';
import { SimMemory } from './sim-memory.js';
import { SimNetwork } from './sim-network.js';
import { type PeerHabits, SimPeer } from './sim-peer.js';
import { SimPeerListener } from './sim-peer-listener.js';
import { Scheduler } from './sim-scheduler.js';
import { Timeline } from './sim-timeline.js';
import { SimTrace } from './sim-trace.js';
import { SimViolation, ViolationLog } from './sim-violation.js';

export interface SimWorldOptions {
  readonly seed: number;
  /** Defaults to `none`. */
  readonly faults?: FaultPlan;
  /** `plain` (no delays, whole segments), or drawn from the seed (the default); single values replace either. */
  readonly shape?: 'plain' | 'random' | (Partial<WorldShape> & { base?: 'plain' | 'random' });
  /** So many are added to the limit of descriptors. 0. */
  readonly descriptorsMore?: number;
  /** Lines of the trace to keep as text; 0 by default, since text costs time. */
  readonly traceLines?: number;
}

export interface RunOptions {
  readonly until: () => boolean;
  /** Default 100,000. */
  readonly maxSteps?: number;
}

/** Rounds of the microtask queue after each step: as many promises may hang on each other. */
const MICROTASK_ROUNDS = 12;
const MAX_STEPS = 100_000;

export class SimWorld {
  readonly seed: number;
  readonly shape: WorldShape;
  readonly faults: Faults;
  readonly faultRandom: Random;
  readonly schedulerRandom: Random;
  readonly violations = new ViolationLog();
  readonly memory: SimMemory;
  readonly table: DescriptorTable;
  readonly files = new SimFiles();
  readonly timeline: Timeline;
  readonly network: SimNetwork;
  readonly scheduler: Scheduler;
  readonly trace: SimTrace;
  readonly kernels: SimKernel[] = [];
  /** For what a test draws itself: its own, so that it does not disturb the rest. */
  readonly random: Random;

  constructor(options: SimWorldOptions) {
    const { seed } = options;
    this.seed = seed;
    this.random = new Random(seed, 0);
    this.faultRandom = new Random(seed, 1);
    this.schedulerRandom = new Random(seed, 2);
    this.shape = shapeOf(options.shape ?? 'random', new Random(seed, 3));
    this.shape.descriptorLimit += options.descriptorsMore ?? 0;
    this.faults = new Faults(options.faults ?? 'none', this.faultRandom);
    this.trace = new SimTrace(options.traceLines ?? 0);
    this.memory = new SimMemory(this.violations);
    const { descriptorLimit, systemLimit, startMs } = this.shape;
    this.table = new DescriptorTable(descriptorLimit, systemLimit, this.violations);
    const networkRandom = new Random(seed, 4);
    this.timeline = new Timeline(startMs, networkRandom);
    this.network = new SimNetwork(
      this.timeline,
      this.files,
      this.shape,
      this.faults,
      networkRandom,
    );
    this.scheduler = new Scheduler(this.schedulerRandom, this.shape, this.timeline, this.trace);
  }

  /** A kernel for one more simulated thread. */
  kernel(name: string, options: SimKernelOptions = {}): SimKernel {
    const thread = this.kernels.length;
    const entropy = new Random(this.seed, 100 + thread);
    const kernel = new SimKernel(this, name, thread, entropy, options);
    this.kernels.push(kernel);
    this.scheduler.hosts.push(kernel.host);
    return kernel;
  }

  /** Someone outside of the process. */
  peer(habits: PeerHabits = {}): SimPeer {
    return new SimPeer(this, habits);
  }

  /** A server outside of the process, for the code under test to connect to. */
  listener(address: string, habits: PeerHabits = {}, backlog = 128): SimPeerListener {
    return new SimPeerListener(this, address, habits, backlog);
  }

  /** Runs `action` once at a later virtual time. */
  later(delayMs: number, action: () => void): void {
    this.timeline.schedule(delayMs, { deliver: () => action() }, 0);
  }

  /** Virtual monotonic milliseconds. */
  get now(): number {
    return this.timeline.now;
  }

  get traceHash(): string {
    return this.trace.hash;
  }

  /** Wake-ups and steps so far, to assert that nothing wakes an idle process. */
  get counters(): WorldCounters {
    const { steps, segments, peerActions, idleJumps } = this.scheduler;
    const counters = {
      steps,
      segments,
      peerActions,
      idleJumps,
      doorbells: 0,
      alarms: 0,
      deferred: 0,
    };
    for (const { host } of this.kernels) {
      counters.doorbells += host.doorbellRings;
      counters.alarms += host.alarmRings;
      counters.deferred += host.deferredRuns;
    }
    return counters;
  }

  /** Whether a kernel's host would keep the process alive. */
  get isAlive(): boolean {
    return this.kernels.some((kernel) => kernel.host.isAlive);
  }

  /** Runs one thing; false when nothing is left to run at any time. Throws what it throws, and violations. */
  step(): boolean {
    this.memory.forgetTemporaries();
    const hasRun = this.scheduler.step();
    this.violations.check();
    return hasRun;
  }

  /** Makes the deliveries of the network up to `forMs` from now and runs nothing else: for tests of the model. */
  settle(forMs = 500): void {
    this.scheduler.deliver(this.timeline.now + forMs);
  }

  /** Runs until `until` holds: true; false when nothing is left to run, or after `maxSteps`. */
  runSync(options: RunOptions): boolean {
    const maxSteps = options.maxSteps ?? MAX_STEPS;
    for (let i = 0; i < maxSteps; i++) {
      if (options.until()) return true;
      if (!this.step()) break;
    }
    return options.until();
  }

  /** The same, letting the promises of the code under test go on after each step. */
  async run(options: RunOptions): Promise<boolean> {
    const maxSteps = options.maxSteps ?? MAX_STEPS;
    let hadRun = true;
    for (let i = 0; i < maxSteps; i++) {
      await flushMicrotasks();
      if (options.until()) return true;
      const hasRun = this.step();
      // What the promises do may make something ready: look once more before giving up.
      if (!hasRun && !hadRun) break;
      hadRun = hasRun;
    }
    await flushMicrotasks();
    return options.until();
  }

  /** Throws if the process misused memory or descriptors, or has left any behind. */
  finish(): void {
    this.memory.verifyPoison();
    const { liveRegions, liveBlocks, liveMappings, liveBytes } = this.memory;
    if (liveRegions + liveBlocks + liveMappings > 0) {
      const mappings = liveMappings === 0 ? '' : `${liveMappings} mappings, `;
      this.violations.note(
        `leaked memory: ${liveRegions} regions, ${liveBlocks} blocks, ${mappings}${liveBytes} bytes`,
      );
    }
    if (this.table.count > 0) {
      this.violations.note(`leaked descriptors: ${this.table.list().join(', ')}`);
    }
    this.violations.check();
  }

  /** What to print when a seed fails. */
  describe(): string {
    const shape = JSON.stringify(this.shape);
    return `SEED=${this.seed}\nfaults: ${this.faults.describe()}\nshape: ${shape}\n${this.trace.text()}`;
  }
}

export interface WorldCounters {
  readonly steps: number;
  readonly segments: number;
  readonly peerActions: number;
  /** Steps in which time had to jump because nothing could run. */
  readonly idleJumps: number;
  readonly doorbells: number;
  readonly alarms: number;
  readonly deferred: number;
}

export { SimViolation };

function shapeOf(wanted: NonNullable<SimWorldOptions['shape']>, random: Random): WorldShape {
  if (wanted === 'plain') return { ...PLAIN_SHAPE };
  if (wanted === 'random') return randomShape(random);
  const { base, ...values } = wanted;
  return { ...(base === 'plain' ? PLAIN_SHAPE : randomShape(random)), ...values };
}

async function flushMicrotasks(): Promise<void> {
  for (let i = 0; i < MICROTASK_ROUNDS; i++) await undefined;
}
