/**
 * A server under measurement: started pinned to cores, known to be listening, observed through /proc (proc(5)),
 * stopped.
 *
 * A server may be several processes (node:cluster): all figures are sums over the process and its descendants,
 * which are looked up once, when it listens.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Child } from './children.js';

const LISTEN_TIMEOUT_MS = 20_000;

/** Times in /proc are in ticks of USER_HZ, which is 100 on every architecture that Node runs on. */
export const TICKS_PER_SECOND = 100;

/** "listening 4711" or "millrace: listening on tcp://127.0.0.1:4711 (epoll, …)". */
const LISTENING = /listening (?:on tcp:\/\/[^ ]*:)?(\d+)/;

export interface ServerCommand {
  readonly name: string;
  readonly argv: readonly string[];
}

export interface Memory {
  readonly rssBytes: number;
  /** The part of RSS that no file stands behind: heaps and stacks, without the program's own pages. */
  readonly anonymousBytes: number;
}

export interface ServerProcess {
  readonly name: string;
  readonly port: number;
  /** Of the first process. */
  readonly pid: number;
  readonly processes: number;
  /** User and system time since the start, of all threads, ended ones included. Resolution: 10 ms. */
  cpuSeconds(): number;
  memory(): Memory;
  /** Voluntary and involuntary context switches of all living threads: each wake-up of a sleeping thread is one. */
  contextSwitches(): number;
  /** The soft limit of open files that the server runs with. */
  filesMax(): number;
  assertAlive(): void;
  /** For servers that take commands on standard input: sends a line and resolves with the next line of output. */
  ask(line: string, timeoutMs: number): Promise<string>;
  stop(): Promise<void>;
}

export async function startServer(
  command: ServerCommand,
  cores: number | string,
): Promise<ServerProcess> {
  const child = new Child(command.name, command.argv, cores);
  const line = await child.nextLine((text) => LISTENING.test(text), LISTEN_TIMEOUT_MS);
  const port = Number(LISTENING.exec(line)?.[1]);
  const pids = withDescendants(child.pid);
  return {
    name: command.name,
    port,
    pid: child.pid,
    processes: pids.length,
    cpuSeconds: () => sum(pids, processCpuSeconds),
    memory: () => ({
      rssBytes: sum(pids, (pid) => memoryBytes(pid, 'Rss')),
      anonymousBytes: sum(pids, (pid) => memoryBytes(pid, 'Anonymous')),
    }),
    contextSwitches: () => sum(pids, processContextSwitches),
    filesMax: () => filesMax(pids[0] ?? child.pid),
    assertAlive: () => child.assertAlive(),
    ask(line, timeoutMs) {
      child.send(line);
      return child.nextLine(() => true, timeoutMs);
    },
    stop: () => child.stop(),
  };
}

/** The soft limit of open files of a process, "self" being the benchmark. */
export function filesMax(pid: number | 'self'): number {
  const text = readFileSync(`/proc/${pid}/limits`, 'utf8');
  const value = /^Max open files\s+(\S+)/m.exec(text)?.[1];
  return value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value);
}

function sum(pids: readonly number[], measure: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + measure(pid), 0);
}

/**
 * Fields of /proc/PID/stat from the third on; the second is the program's name, which may contain anything but `)`
 * last.
 */
function statFields(pid: number | string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function processCpuSeconds(pid: number): number {
  const fields = statFields(pid);
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  return (userTicks + systemTicks) / TICKS_PER_SECOND;
}

function memoryBytes(pid: number, field: 'Rss' | 'Anonymous'): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1_024;
}

function processContextSwitches(pid: number): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    for (const match of text.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)) {
      total += Number(match[1]);
    }
  }
  return total;
}

/** The process and everything below it. /proc/PID/task/TID/children would be shorter, but not every kernel has it. */
function withDescendants(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      parents.set(Number(entry), Number(statFields(entry)[1]));
    } catch {
      // A process that ended meanwhile.
    }
  }
  const found = [root];
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child);
  }
  return found;
}
