/**
 * The server of a million connections: what the system tells of it, and, when it is instrumented
 * (servers/million-server.mjs), what it tells of itself. Of any other server those figures are null.
 */
import type { ServerProcess } from '../server-process.js';

/** What the instrumented server answers to `stats`. Maxima are those since `reset`. */
export interface Inside {
  readonly connections: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  readonly externalBytes: number;
  readonly gcCount: number;
  readonly gcMaxMs: number;
  /** Null unless watched. What is measured is the time between two ticks of 1 ms. */
  readonly delayMaxMs: number | null;
  readonly delayP99Ms: number | null;
  readonly counters: Readonly<Record<string, unknown>>;
}

/** A full collection of a large heap takes its time. */
const ANSWER_TIMEOUT_MS = 60_000;

export class Subject {
  readonly process: ServerProcess;
  readonly #isInstrumented: boolean;

  constructor(server: ServerProcess, isInstrumented: boolean) {
    this.process = server;
    this.#isInstrumented = isInstrumented;
  }

  async stats(): Promise<Inside | null> {
    return (await this.#ask('stats')) as Inside | null;
  }

  /** The longest of the threads' full collections, in milliseconds. */
  async collect(): Promise<number | null> {
    const answer = (await this.#ask('collect')) as { collectMs: number | null } | null;
    return answer?.collectMs ?? null;
  }

  async reset(): Promise<void> {
    await this.#ask('reset');
  }

  /** Forgets the maxima and measures the event-loop delay as well, while `work` goes on. */
  async watched<T>(work: () => Promise<T>): Promise<{ result: T; inside: Inside | null }> {
    await this.#ask('reset');
    await this.#ask('watch');
    const result = await work();
    const inside = await this.stats();
    await this.#ask('unwatch');
    return { result, inside };
  }

  async #ask(command: string): Promise<unknown> {
    this.process.assertAlive();
    if (!this.#isInstrumented) return null;
    const answer = JSON.parse(await this.process.ask(command, ANSWER_TIMEOUT_MS));
    if ('error' in answer) throw new Error(`the server: ${answer.error}`);
    return answer;
  }
}
