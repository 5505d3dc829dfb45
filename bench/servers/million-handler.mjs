/**
 * The handler of million-server.mjs: echo as a real server would do it, with a session object for each connection, and
 * tasks that tell what V8 and the event loop of this reactor's thread are doing.
 */
// @ts-check

import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

/** @typedef {import('../../dist/index.js').Connection<Session>} Connection */

/** What a user keeps for a connection. */
class Session {
  constructor() {
    this.messages = 0;
    this.bytes = 0;
    this.lastMessageAt = 0;
  }
}

let gcCount = 0;
let gcMaxMs = 0;
/** One that times a pause costs nothing while there is none. */
const observer = new PerformanceObserver((list) => countPauses(list.getEntries()));
observer.observe({ entryTypes: ['gc'] });

/** Undefined unless asked for: it wakes the thread every millisecond. */
let delay = /** @type {ReturnType<typeof monitorEventLoopDelay> | undefined} */ (undefined);

/** @param {import('node:perf_hooks').PerformanceEntry[]} entries */
function countPauses(entries) {
  for (const { duration } of entries) {
    gcCount += 1;
    if (duration > gcMaxMs) gcMaxMs = duration;
  }
}

/** @type {import('../../dist/index.js').Handler<Session>} */
export const handler = {
  onOpen(connection) {
    connection.context = new Session();
  },

  onData(connection, bytes) {
    const session = connection.context;
    session.messages += 1;
    session.bytes += bytes.length;
    // Whole seconds: a small integer, where a fraction would be an object of its own.
    session.lastMessageAt = Math.trunc(connection.reactor.now / 1_000);
    // With `pause-source` it cannot be full; a hole in the echo would be worse than none.
    if (connection.write(bytes) === 'full') connection.abort();
  },

  onEnd(connection) {
    connection.end();
  },

  tasks: {
    /** Of this thread; the maxima are those since the last `clear`. */
    figures() {
      countPauses(observer.takeRecords());
      const { heapUsed, heapTotal, external } = process.memoryUsage();
      const delayMaxMs = delay === undefined ? null : delay.max / 1e6;
      const delayP99Ms = delay === undefined ? null : delay.percentile(99) / 1e6;
      return { heapUsed, heapTotal, external, gcCount, gcMaxMs, delayMaxMs, delayP99Ms };
    },

    clear() {
      observer.takeRecords();
      gcCount = 0;
      gcMaxMs = 0;
      delay?.reset();
    },

    watch() {
      delay ??= monitorEventLoopDelay({ resolution: 1 });
      delay.reset();
      delay.enable();
    },

    unwatch() {
      delay?.disable();
      delay = undefined;
    },

    /** A full collection, when V8 runs with --expose-gc: how long it took, in milliseconds. */
    collect() {
      const begin = performance.now();
      if (globalThis.gc === undefined) return null;
      globalThis.gc();
      return performance.now() - begin;
    },
  },
};
