/**
 * The instrumented echo server of `npm run bench -- million`: millrace from dist/, with a session object and an idle
 * deadline for each connection, which answers questions on standard input. It prints "listening PORT".
 *
 *     node --expose-gc bench/servers/million-server.mjs [--reactors N] [--driver uring] [--direct] [--NAME VALUE …]
 *
 * Every flag is an option of `serve` in kebab-case (--idle-timeout-ms 60000), so that new ones need no change here.
 *
 * Commands, one on a line, each answered with one line of JSON:
 *   stats     memory, heaps, the longest pause of garbage collection and event-loop delay since `reset`, counters
 *   watch     starts to measure the event-loop delay, which wakes each thread every millisecond; `unwatch` ends it
 *   reset     forgets the maxima
 *   collect   a full collection in every thread: the longest, in milliseconds
 *   quit      ends, as does the end of input
 */
// @ts-check

import { createInterface } from 'node:readline';

import { serve } from '../../dist/index.js';
import { handler } from './million-handler.mjs';

/** Longer than any run: the deadlines are set and moved like real ones, and never met. */
const IDLE_TIMEOUT_MS = 3_600_000;

const options = readOptions(process.argv.slice(2));
/** One reactor needs no thread of its own, nor a second V8. */
const isAlone = (options.reactors ?? 1) === 1;
const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  handler: isAlone ? handler : new URL('./million-handler.mjs', import.meta.url),
  idleTimeoutMs: IDLE_TIMEOUT_MS,
  allowHalfOpen: true,
  halfOpenTimeoutMs: 0,
  whenFull: 'pause-source',
  ...options,
});
const port = /:(\d+)$/.exec(server.addresses[0] ?? '')?.[1];
process.stdout.write(`listening ${port} (${server.driver}, reactors: ${server.reactorCount})\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const command = line.trim();
  if (command === 'quit') break;
  process.stdout.write(`${JSON.stringify(await answer(command))}\n`);
}
await server.close({ deadlineMs: 1_000 });
process.exit(0);

/** @param {string} command */
async function answer(command) {
  switch (command) {
    case 'stats':
      return describe();
    case 'watch':
    case 'unwatch':
      await server.executeAll(command);
      return { done: command };
    case 'reset':
      await server.executeAll('clear');
      return { done: command };
    case 'collect':
      return { collectMs: largest(/** @type {number[]} */ (await server.executeAll('collect'))) };
    default:
      return { error: `not a command: ${command}` };
  }
}

async function describe() {
  const threads = /** @type {Record<string, number | null>[]} */ (
    await server.executeAll('figures')
  );
  /** @param {string} name */
  const total = (name) => threads.reduce((sum, figures) => sum + (figures[name] ?? 0), 0);
  /** @param {string} name */
  const most = (name) => largest(threads.map((figures) => figures[name] ?? null));
  const { totals } = server.stats;
  return {
    connections: totals.connections,
    rssBytes: process.memoryUsage.rss(),
    heapUsedBytes: total('heapUsed'),
    heapTotalBytes: total('heapTotal'),
    externalBytes: total('external'),
    gcCount: total('gcCount'),
    gcMaxMs: most('gcMaxMs'),
    delayMaxMs: most('delayMaxMs'),
    delayP99Ms: most('delayP99Ms'),
    counters: totals,
  };
}

/** Null if there is no figure. @param {(number | null)[]} figures */
function largest(figures) {
  return figures.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
}

/** `--idle-timeout-ms 5 --direct` as { idleTimeoutMs: 5, direct: true }. @param {string[]} args */
function readOptions(args) {
  /** @type {Record<string, string | number | boolean>} */
  const options = {};
  for (let i = 0; i < args.length; i += 1) {
    const flag = args[i] ?? '';
    if (!flag.startsWith('--')) throw new TypeError(`expected --NAME [VALUE], got ${flag}`);
    const name = flag.slice(2).replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
    const next = args[i + 1];
    if (next === undefined || next.startsWith('--')) options[name] = true;
    else {
      options[name] = /^(true|false)$/.test(next) ? next === 'true' : numberOr(next);
      i += 1;
    }
  }
  return options;
}

/** @param {string} text */
function numberOr(text) {
  return /^\d+$/.test(text) ? Number(text) : text;
}
