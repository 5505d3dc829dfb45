/**
 * What a connection costs a server that only holds it: memory for each, and what wakes the server while nothing
 * happens.
 *
 * One server at a time: started, warmed up (a few hundred connections that echo and close, so that code and pools
 * are there), then filled in two equal steps, each connection echoing once, then left alone, then asked for
 * another echo of everybody, then emptied. Memory is the server's own (RSS); what the kernel holds for a socket is
 * the same for all.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { nativePath } from './build-native.js';
import { type Client, type IdleReport, startClient } from './client-process.js';
import { checkServerLimits, sourcesFor } from './limits.js';
import type { Options } from './options.js';
import {
  type Memory,
  type ServerCommand,
  type ServerProcess,
  startServer,
} from './server-process.js';

const WARM_UP_CONNECTIONS = 500;
const IDLE_SECONDS = 3;

/** After a step, before memory is read: time for what a server does with a delay. */
const SETTLE_MS = 1_000;
const ANSWER_TIMEOUT_MS = 120_000;

export interface IdleResult {
  readonly server: string;
  readonly connections: number;
  /**
   * Memory before the first connection that counts, with half of them, all of them, after a second echo, after
   * close.
   */
  readonly before: Memory;
  readonly half: Memory;
  readonly full: Memory;
  readonly echoed: Memory;
  readonly closed: Memory;
  /** RSS gained for each connection, from none to all. */
  readonly bytesPerConnection: number;
  /** The same from half to all: without what is paid once. */
  readonly marginalBytes: number;
  readonly openSeconds: number;
  /** All connections echo once, at most 128 at a time. */
  readonly echoSeconds: number;
  readonly lost: number;
  /** Over `idleSeconds` with all connections open and silent. */
  readonly idleSeconds: number;
  readonly idleContextSwitches: number;
  readonly idleCpuSeconds: number;
}

export async function measureIdle(
  command: ServerCommand,
  connections: number,
  options: Options,
): Promise<IdleResult> {
  process.stderr.write(`bench: idle, ${connections} connections, ${command.name}\n`);
  const server = await startServer(command, options.serverCore);
  let client: Client<IdleReport> | undefined;
  try {
    checkServerLimits(server, connections);
    client = await startClient<IdleReport>(
      `the clients of ${command.name}`,
      [
        nativePath('idle-clients'),
        ...['--address', `tcp://127.0.0.1:${server.port}`],
        ...['--bytes', String(options.messageBytes)],
        ...['--sources', String(sourcesFor(connections))],
      ],
      options.clientCore,
    );
    return await measureWith(server, client, connections);
  } finally {
    await client?.stop();
    await server.stop();
  }
}

async function measureWith(
  server: ServerProcess,
  client: Client<IdleReport>,
  connections: number,
): Promise<IdleResult> {
  async function step(command: string): Promise<{ report: IdleReport; memory: Memory }> {
    const report = await client.command(command, ANSWER_TIMEOUT_MS);
    await sleep(SETTLE_MS);
    server.assertAlive();
    return { report, memory: server.memory() };
  }
  const firstHalf = connections >> 1;
  const secondHalf = connections - firstHalf;

  await step(`open ${WARM_UP_CONNECTIONS}`);
  const warm = await step('close');
  const half = await step(`open ${Math.max(1, firstHalf)}`);
  const full = await step(`open ${Math.max(1, secondHalf)}`);
  const idle = await observeIdle(server);
  const echoed = await step('echo');
  const closed = await step('close');

  const gained = full.memory.rssBytes - warm.memory.rssBytes;
  return {
    server: server.name,
    connections: full.report.open,
    before: warm.memory,
    half: half.memory,
    full: full.memory,
    echoed: echoed.memory,
    closed: closed.memory,
    bytesPerConnection: gained / full.report.open,
    marginalBytes: (full.memory.rssBytes - half.memory.rssBytes) / full.report.done,
    openSeconds: half.report.seconds + full.report.seconds,
    echoSeconds: echoed.report.seconds,
    lost: half.report.lost + full.report.lost + echoed.report.lost,
    ...idle,
  };
}

async function observeIdle(server: ServerProcess) {
  const switches = server.contextSwitches();
  const cpu = server.cpuSeconds();
  await sleep(IDLE_SECONDS * 1_000);
  return {
    idleSeconds: IDLE_SECONDS,
    idleContextSwitches: server.contextSwitches() - switches,
    idleCpuSeconds: server.cpuSeconds() - cpu,
  };
}
