/**
 * A server under test in one of the shapes that servers have, and the checks that every scenario ends with: all
 * connections closed, each exactly once; gauges back at zero; no warning that was not expected; no descriptor left.
 *
 * A handler is a module of test/support/handlers that exports `handler`, a function of the stage's `data`: with one
 * reactor its result runs in the calling thread as an object, with several the module is loaded in each thread.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Handler, type ServeOptions, type Server, serve } from '../../src/index.js';
import { type CloseRecord, HELLO_BYTES, type Report, reactorOf } from './observed.js';
import { descriptorCounts } from './open-descriptors.js';
import { RawClient, type RawOptions } from './raw-client.js';
import { rawPoller } from './raw-poller.js';
import { until, untilAnswer, within } from './until.js';

export interface Shape {
  readonly name: string;
  readonly reactors: number;
  readonly reusePort: boolean;
}

export const ONE: Shape = { name: 'one reactor', reactors: 1, reusePort: false };
export const THREE: Shape = {
  name: 'three reactors, main acceptor',
  reactors: 3,
  reusePort: false,
};
export const THREE_PORTS: Shape = {
  name: 'three reactors, reuse-port',
  reactors: 3,
  reusePort: true,
};
/** What most scenarios run on. */
export const SHAPES: readonly Shape[] = [ONE, THREE, THREE_PORTS];

export const KINDS = ['tcp4', 'tcp6', 'unix', 'unix-abstract'] as const;
export type Kind = (typeof KINDS)[number];

export interface Caller {
  readonly client: RawClient;
  /** The id of the server's connection, from the handler's `hello`. */
  readonly id: number;
}

/** Longer than any test. */
export const NEVER_MS = 600_000;

let abstractNames = 0;

export class Stage {
  readonly server: Server;
  readonly warnings: Error[];
  readonly #folder: string;
  readonly #before: Record<string, number>;
  readonly #callers: RawClient[] = [];
  #isEnded = false;

  private constructor(
    server: Server,
    warnings: Error[],
    folder: string,
    before: Record<string, number>,
  ) {
    this.server = server;
    this.warnings = warnings;
    this.#folder = folder;
    this.#before = before;
  }

  /** Starts a server on an address of each kind. */
  static async open(
    shape: Shape,
    handlerName: string,
    options: Partial<ServeOptions> = {},
    data: unknown = {},
  ): Promise<Stage> {
    await warmUp(shape.reactors);
    const before = descriptorCounts();
    const folder = mkdtempSync(join(tmpdir(), 'millrace-e2e-'));
    abstractNames += 1;
    const warnings: Error[] = [];
    const server = await serve({
      listen: [
        'tcp4://127.0.0.1:0',
        'tcp6://[::1]:0',
        `unix://${join(folder, 'socket')}`,
        `unix-abstract://millrace-e2e-${process.pid}-${abstractNames}`,
      ],
      reactors: shape.reactors,
      reusePort: shape.reusePort,
      // What a test does to a reactor in its own thread is not the watchdog's business.
      blockedAfterMs: 0,
      // However slow the machine is: a deadline that a scenario is not about must not pass.
      lingerTimeoutMs: NEVER_MS,
      halfOpenTimeoutMs: NEVER_MS,
      onWarning: (warning) => warnings.push(warning),
      ...(await handlerOptions(shape, handlerName, data)),
      ...options,
    });
    return new Stage(server, warnings, folder, before);
  }

  url(kind: Kind = 'tcp4'): string {
    return this.server.addresses[KINDS.indexOf(kind)]!;
  }

  /** A connected peer; it is closed with the stage at the latest. */
  async connect(kind: Kind = 'tcp4', options: RawOptions = {}): Promise<RawClient> {
    const client = await RawClient.connect(this.url(kind), options);
    this.#callers.push(client);
    return client;
  }

  /** A connected peer that has been told its id. */
  async call(kind: Kind = 'tcp4', options: RawOptions = {}): Promise<Caller> {
    const client = await this.connect(kind, options);
    const greeting = await within('the hello', client.read(HELLO_BYTES));
    return { client, id: greeting.readDoubleBE() };
  }

  /** Peers that all belong to the reactor of the first one. */
  async callSameReactor(
    n: number,
    kind: Kind = 'tcp4',
    options: RawOptions = {},
  ): Promise<Caller[]> {
    const callers: Caller[] = [];
    while (callers.length < n) {
      const caller = await this.call(kind, options);
      const [first] = callers;
      if (first === undefined || reactorOf(first.id) === reactorOf(caller.id)) {
        callers.push(caller);
      } else {
        caller.client.close();
      }
    }
    return callers;
  }

  /** Runs a task on the reactor that has, or had, this connection. */
  ask<T>(id: number, task: string, argument: unknown = id): Promise<T> {
    return this.server.execute(reactorOf(id), task, argument) as Promise<T>;
  }

  /** How the connection closed: resolves when it did. */
  async closeOf(id: number): Promise<CloseRecord> {
    const record = await untilAnswer(
      `connection ${id} closes`,
      () => this.ask<CloseRecord | undefined>(id, 'closeOf'),
      (answer) => answer !== undefined,
    );
    return record!;
  }

  async reports(): Promise<Report[]> {
    return (await this.server.executeAll('report')) as Report[];
  }

  /** Resolves when the server has no connection. */
  async empty(): Promise<void> {
    await until('all connections close', () => {
      const { connections, opened, closed } = this.server.stats.totals;
      return connections === 0 && opened === closed;
    });
  }

  /** Ends the scenario: all peers close, the server closes, and everything is as it was before. */
  async end(): Promise<Report> {
    for (const client of this.#callers) {
      client.close();
    }
    await this.empty();
    const reports = await this.reports();
    assert.deepEqual(
      reports.flatMap(({ violations }) => violations),
      [],
      'hooks came out of order',
    );
    const report = sumOf(reports);
    assert.equal(report.opened, report.closed, 'a connection was opened and not closed');
    await this.#close();
    const { totals } = this.server.stats;
    assert.equal(totals.opened, report.opened, 'a connection was never announced');
    assert.equal(totals.closed, report.closed, 'a close was never announced');
    for (const gauge of ['connections', 'queuedBytes', 'blockBytes'] as const) {
      assert.equal(totals[gauge], 0, `${gauge} after the close`);
    }
    assert.deepEqual(this.warnings.map(String), [], 'there were warnings');
    await untilDescriptorsAre(this.#before);
    return report;
  }

  /** Frees everything without any check, whatever state a failed test left. Harmless after `end`. */
  async discard(): Promise<void> {
    if (!this.#isEnded) {
      for (const client of this.#callers) {
        client.reset();
      }
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    this.#isEnded = true;
    await within('the server closes', this.server.close({ deadlineMs: 1_000 }));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Runs a scenario on a stage, and frees the stage in any case. */
export async function onStage(
  opening: Promise<Stage>,
  scenario: (stage: Stage) => Promise<void>,
): Promise<void> {
  const stage = await opening;
  try {
    await scenario(stage);
  } catch (error) {
    for (const warning of stage.warnings) {
      console.error('Warning before the failure:', warning);
    }
    throw error;
  } finally {
    await stage.discard();
  }
}

function handlerUrl(name: string): URL {
  return new URL(`./handlers/${name}.js`, import.meta.url);
}

async function handlerOptions(
  shape: Shape,
  name: string,
  data: unknown,
): Promise<{ handler: Handler | URL; data?: unknown }> {
  if (shape.reactors > 1) {
    return { handler: handlerUrl(name), data };
  }
  const module = (await import(handlerUrl(name).href)) as { handler(data: unknown): Handler };
  return { handler: module.handler(data) };
}

const warmReactors = new Set<number>();

/** What a first server leaves for the next ones (eventfds, threads' memory) is no leak: let there have been one. */
async function warmUp(reactors: number): Promise<void> {
  if (!warmReactors.has(reactors)) {
    warmReactors.add(reactors);
    rawPoller();
    const server = await serve({
      listen: 'tcp4://127.0.0.1:0',
      reactors,
      blockedAfterMs: 0,
      handler: reactors > 1 ? handlerUrl('nothing') : {},
    });
    await server.close();
  }
}

/** A thread's last descriptors may close a moment after it ended. */
async function untilDescriptorsAre(before: Record<string, number>): Promise<void> {
  try {
    await until('descriptors are as before', () => isEqual(descriptorCounts(), before));
  } catch {
    assert.deepEqual(descriptorCounts(), before, 'descriptors leak');
  }
}

function isEqual(a: Record<string, number>, b: Record<string, number>): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => a[name] === b[name]);
}

function sumOf(reports: readonly Report[]): Report {
  const codes: Record<string, number> = {};
  for (const report of reports) {
    for (const [code, n] of Object.entries(report.codes)) {
      codes[code] = (codes[code] ?? 0) + n;
    }
  }
  return {
    opened: reports.reduce((sum, { opened }) => sum + opened, 0),
    closed: reports.reduce((sum, { closed }) => sum + closed, 0),
    ended: reports.reduce((sum, { ended }) => sum + ended, 0),
    codes,
    violations: [],
  };
}
