/**
 * The load generators in C (native/echo-load.c, native/idle-clients.c) as seen from TypeScript: a command is a
 * line, the answer a line of JSON.
 */
import { Child } from './children.js';

const READY_TIMEOUT_MS = 60_000;

/** What echo-load prints for one slice. Times of latency are microseconds. */
export interface SliceReport {
  readonly mode: 'echo' | 'stream';
  readonly connections: number;
  readonly open: number;
  readonly messageBytes: number;
  readonly seconds: number;
  readonly requests: number;
  readonly rate: number;
  readonly bytes: number;
  readonly megabytesPerSecond: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly errors: number;
  /** The three totals cover warm-up, measurement and the wait for the rest: the span that CPU time is read over. */
  readonly totalSeconds: number;
  readonly totalRequests: number;
  readonly totalBytes: number;
  readonly clientCpuSeconds: number;
}

/** What idle-clients prints for one command. */
export interface IdleReport {
  readonly event: string;
  readonly open: number;
  readonly done: number;
  readonly lost: number;
  readonly seconds: number;
  readonly maxUs: number;
}

/** What idle-clients prints for `load`. Requests and histogram are of the measured span. */
export interface LoadReport extends IdleReport {
  readonly active: number;
  readonly requests: number;
  /** From the first message to the last echo. */
  readonly allRequests: number;
  readonly longestUs: number;
  /** Nanoseconds, ascending: the highest value of a bucket, and how many fell into it. */
  readonly histogram: readonly (readonly [upToNs: number, count: number])[];
}

export interface Client<Report> {
  /** `onProgress` is given what idle-clients prints about once a second while it works on a long command. */
  command(line: string, timeoutMs: number, onProgress?: (report: Report) => void): Promise<Report>;
  /** What the generator wrote to standard error: why the first connection of a command failed. */
  complaints(): string;
  stop(): Promise<void>;
}

/** Starts a generator and waits until it is ready: for echo-load, until all its connections are open. */
export async function startClient<Report>(
  name: string,
  argv: readonly string[],
  cores: number | string,
): Promise<Client<Report>> {
  const child = new Child(name, argv, cores);
  await child.nextLine((line) => line.includes('"ready"'), READY_TIMEOUT_MS);
  return {
    async command(line, timeoutMs, onProgress) {
      child.send(line);
      const answer = await child.nextLine((text) => {
        if (!text.includes('"progress"')) return true;
        onProgress?.(JSON.parse(text) as Report);
        return false;
      }, timeoutMs);
      return JSON.parse(answer) as Report;
    },
    complaints: () => child.complaints,
    stop: () => child.stop(),
  };
}
