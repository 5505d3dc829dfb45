/**
 * The life of a million connections, phase by phase: opened in tenths, left alone, some of them under load, each asked
 * for one message, ended. Every phase says what it cost the server and what was lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Memory } from '../server-process.js';
import { sum } from '../statistics.js';
import type { Fleet, FleetLoad, FleetReport } from './fleet.js';
import { type KernelMemory, kernelMemory } from './kernel-memory.js';
import type { MillionOptions } from './options.js';
import type { Inside, Subject } from './subject.js';

const STEPS = 10;
const WARM_UP_CONNECTIONS = 500;
/** Before memory is read, and before silence is measured: time for what a server does with a delay. */
const SETTLE_MS = 3_000;

/** The server's and the kernel's memory at one moment. */
export interface Reading {
  readonly memory: Memory;
  readonly kernel: KernelMemory;
  readonly inside: Inside | null;
}

export interface Step extends Reading {
  readonly connections: number;
  readonly seconds: number;
  readonly rate: number;
  /** The longest time from connect() to the whole echo. */
  readonly longestUs: number;
}

export interface Connected {
  readonly steps: readonly Step[];
  readonly seconds: number;
  readonly rate: number;
  readonly serverCpuSeconds: number;
  readonly lost: number;
  /** While they connected. */
  readonly gcMaxMs: number | null;
  /** Some seconds later, after a full collection where the server can be asked for one. */
  readonly settled: Reading;
  readonly fullCollectionMs: number | null;
}

export interface Silence {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
  /** Over as long again, as this wakes the server. */
  readonly gcMaxMs: number | null;
  readonly delayMaxMs: number | null;
  readonly delayP99Ms: number | null;
}

export interface Load {
  readonly share: number;
  readonly load: FleetLoad;
  readonly serverCpuSeconds: number;
  readonly cpuUsPerRequest: number;
  readonly gcMaxMs: number | null;
  readonly gcCount: number | null;
  /** Of a second slice, as this wakes the server. */
  readonly watched: FleetLoad;
  readonly delayMaxMs: number | null;
  readonly delayP99Ms: number | null;
}

export interface Everybody extends FleetReport {
  readonly serverCpuSeconds: number;
  readonly gcMaxMs: number | null;
  readonly delayMaxMs: number | null;
}

export interface Ended extends FleetReport {
  readonly serverCpuSeconds: number;
  readonly gcMaxMs: number | null;
  readonly atOnce: Reading;
  readonly settled: Reading;
}

export interface MillionResult {
  readonly empty: Reading;
  readonly connected: Connected;
  readonly silence: Silence;
  readonly loads: readonly Load[];
  readonly everybody: Everybody;
  readonly ended: Ended;
  readonly lost: number;
}

export async function runPhases(
  subject: Subject,
  fleet: Fleet,
  options: MillionOptions,
): Promise<MillionResult> {
  const { connections } = options;
  await fleet.open(Math.min(WARM_UP_CONNECTIONS, connections));
  await fleet.end();
  await subject.collect();
  await sleep(SETTLE_MS);
  const empty = await read(subject);
  const connected = await connect(subject, fleet, connections);
  tell(`${connections} connections; ${options.idleSeconds} s of silence, twice`);
  const silence = await observeSilence(subject, options.idleSeconds);
  const loads: Load[] = [];
  for (const share of options.shares) {
    tell(`load on ${share * 100} % of the connections`);
    loads.push(await runLoad(subject, fleet, share, options));
  }
  tell('a message on every connection');
  const everybody = await askEverybody(subject, fleet);
  tell('the end of every connection');
  const ended = await endAll(subject, fleet);
  const losses = loads.flatMap(({ load, watched }) => [load.lost, watched.lost]);
  const lost = connected.lost + everybody.lost + ended.lost + sum(losses);
  return { empty, connected, silence, loads, everybody, ended, lost };
}

async function read(subject: Subject): Promise<Reading> {
  const inside = await subject.stats();
  return { memory: subject.process.memory(), kernel: kernelMemory(), inside };
}

async function connect(subject: Subject, fleet: Fleet, connections: number): Promise<Connected> {
  await subject.reset();
  const cpu = subject.process.cpuSeconds();
  const steps: Step[] = [];
  let lost = 0;
  for (let i = 1; i <= STEPS; i += 1) {
    const total = Math.floor((connections * i) / STEPS);
    const before = steps.at(-1)?.connections ?? 0;
    const report = await showing(fleet, `connecting, ${before} and`, () => fleet.open(total));
    lost += report.lost;
    const { seconds, longestUs } = report;
    const rate = report.done / seconds;
    steps.push({ connections: total, seconds, rate, longestUs, ...(await read(subject)) });
    tell(`${total} connections, ${Math.round(rate)} a second`);
  }
  const serverCpuSeconds = subject.process.cpuSeconds() - cpu;
  const gcMaxMs = steps.at(-1)?.inside?.gcMaxMs ?? null;
  const fullCollectionMs = await subject.collect();
  await sleep(SETTLE_MS);
  const seconds = sum(steps.map((step) => step.seconds));
  const rate = connections / seconds;
  const settled = await read(subject);
  return { steps, seconds, rate, serverCpuSeconds, lost, gcMaxMs, settled, fullCollectionMs };
}

async function observeSilence(subject: Subject, seconds: number): Promise<Silence> {
  const cpu = subject.process.cpuSeconds();
  const switches = subject.process.contextSwitches();
  await sleep(seconds * 1_000);
  const contextSwitches = subject.process.contextSwitches() - switches;
  const cpuSeconds = subject.process.cpuSeconds() - cpu;
  const { inside } = await subject.watched(() => sleep(seconds * 1_000));
  return {
    seconds,
    cpuSeconds,
    contextSwitches,
    gcMaxMs: inside?.gcMaxMs ?? null,
    delayMaxMs: inside?.delayMaxMs ?? null,
    delayP99Ms: inside?.delayP99Ms ?? null,
  };
}

async function runLoad(
  subject: Subject,
  fleet: Fleet,
  share: number,
  options: MillionOptions,
): Promise<Load> {
  const active = Math.max(1, Math.round(options.connections * share));
  const run = () => fleet.load(active, options.warmUpSeconds, options.sliceSeconds);
  await subject.reset();
  const cpu = subject.process.cpuSeconds();
  const load = await run();
  const serverCpuSeconds = subject.process.cpuSeconds() - cpu;
  const inside = await subject.stats();
  const { result: watched, inside: delays } = await subject.watched(run);
  return {
    share,
    load,
    serverCpuSeconds,
    cpuUsPerRequest: (serverCpuSeconds / load.allRequests) * 1e6,
    gcMaxMs: inside?.gcMaxMs ?? null,
    gcCount: inside?.gcCount ?? null,
    watched,
    delayMaxMs: delays?.delayMaxMs ?? null,
    delayP99Ms: delays?.delayP99Ms ?? null,
  };
}

async function askEverybody(subject: Subject, fleet: Fleet): Promise<Everybody> {
  const cpu = subject.process.cpuSeconds();
  const { result, inside } = await subject.watched(() =>
    showing(fleet, 'echoed', () => fleet.echo()),
  );
  return {
    ...result,
    serverCpuSeconds: subject.process.cpuSeconds() - cpu,
    gcMaxMs: inside?.gcMaxMs ?? null,
    delayMaxMs: inside?.delayMaxMs ?? null,
  };
}

async function endAll(subject: Subject, fleet: Fleet): Promise<Ended> {
  await subject.reset();
  const cpu = subject.process.cpuSeconds();
  const report = await showing(fleet, 'ended', () => fleet.end());
  const atOnce = await read(subject);
  const serverCpuSeconds = subject.process.cpuSeconds() - cpu;
  await subject.collect();
  await sleep(SETTLE_MS);
  const gcMaxMs = atOnce.inside?.gcMaxMs ?? null;
  return { ...report, serverCpuSeconds, gcMaxMs, atOnce, settled: await read(subject) };
}

/** Shows the fleet's progress every two seconds while `work` goes on. */
async function showing<T>(fleet: Fleet, what: string, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => tell(`${what} ${fleet.progress}`), 2_000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

function tell(message: string): void {
  process.stderr.write(`bench: million: ${message}\n`);
}
