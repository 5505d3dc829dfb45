/** Servers that are started and stopped many times in one process leave no descriptor, no thread and no memory. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { type ServeOptions, serve } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import {
  descriptorsOf,
  type MemoryFigures,
  memoryFigures,
  threadsOf,
} from '../support/process-figures.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/echo.js', import.meta.url);

/** One life: starts, serves a few peers, of which some are cut off, and stops. */
async function live(options: Partial<ServeOptions>, i: number): Promise<void> {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: MODULE, ...options });
  const peers = await RawPeer.connectMany(server.addresses[0]!, 4);
  try {
    for (const peer of peers) {
      peer.send('ping');
      assert.equal((await peer.read(4)).toString(), 'ping');
    }
    server.post(0, Buffer.from('unheard'));
    if (i % 2 === 0) {
      peers[0]!.close();
    }
  } finally {
    const closing = server.close({ deadlineMs: i % 3 === 0 ? 0 : 10_000 });
    for (const peer of peers) {
      peer.close();
    }
    await closing;
  }
}

/**
 * Bytes of memory that a life costs in the long run: from the least of the first third of the samples to the
 * least of the last. What garbage collection leaves for a while goes up and down; what is lost raises the floor.
 */
function growth(samples: readonly number[], livesBetween: number): number {
  const third = Math.floor(samples.length / 3);
  const rise = Math.min(...samples.slice(-third)) - Math.min(...samples.slice(0, third));
  return rise / ((samples.length - third) * livesBetween);
}

/** Threads that Node starts when it first finds use for them (26 does, in any process): not one for each life. */
const HOST_THREADS = 2;

/** Objects that each reactor of a life may leave to this thread's heap: fewer than any connection or worker has. */
const HEAP_BYTES_MAX = 4_096;

interface Trial {
  readonly options: Partial<ServeOptions>;
  readonly lives: number;
  readonly warmUp: number;
  /** Memory beside the heap that a life may seem to cost: the allocators' noise. A lost buffer costs more. */
  readonly bytesMax: number;
}

/** Figures of the process when everything has settled. */
function figures(): { descriptors: number; threads: number } {
  return { descriptors: descriptorsOf('self').size, threads: threadsOf('self').length };
}

async function run({ options, lives, warmUp, bytesMax }: Trial): Promise<void> {
  for (let i = 0; i < warmUp; i += 1) {
    await live(options, i);
  }
  const before = figures();
  const samples: MemoryFigures[] = [];
  const between = Math.floor(lives / 20);
  for (let i = 0; i < lives; i += 1) {
    await live(options, i);
    if (i % between === between - 1) {
      samples.push(memoryFigures());
    }
  }
  await awaitCondition(
    () => {
      const { descriptors, threads } = figures();
      return descriptors <= before.descriptors && threads <= before.threads + HOST_THREADS;
    },
    `the figures of before, ${JSON.stringify(before)}; now ${JSON.stringify(figures())}`,
    10_000,
  );
  for (const kind of ['heap', 'other'] as const) {
    const series = samples.map((sample) => sample[kind]);
    const perLife = growth(series, between);
    const megabytes = series.map((bytes) => (bytes / 1e6).toFixed(1)).join(' ');
    const message = `${kind}: ${perLife.toFixed(0)} bytes for each life; megabytes: ${megabytes}`;
    const heapMax = HEAP_BYTES_MAX * Number(options.reactors ?? 1);
    assert.ok(perLife <= (kind === 'heap' ? heapMax : bytesMax), message);
  }
}

// A lost receive region alone would be 64 KiB; the allocators of Node 26 settle some megabytes later than those of 20.
it('1,000 times one reactor in this thread', () =>
  run({ options: {}, lives: 1_000, warmUp: 200, bytesMax: 60_000 }));

// The FFI package leaves some 55 KB behind for each thread that ends (measured without any code of ours).
it('100 times three reactors in threads', () =>
  run({ options: { reactors: 3 }, lives: 100, warmUp: 20, bytesMax: 393_216 }));

it('starts that fail leave nothing either', async () => {
  const failing: Partial<ServeOptions>[] = [
    { listen: ['tcp://127.0.0.1:0', 'tcp://192.0.2.1:0'] },
    { reactors: 2, listen: ['tcp://127.0.0.1:0', 'tcp://192.0.2.1:0'] },
    { reactors: 2, reusePort: true, listen: ['tcp://127.0.0.1:0', 'tcp://192.0.2.1:0'] },
    { handler: new URL('data:text/javascript,export default 5') },
    { reactors: 2, handler: new URL('data:text/javascript,throw new Error("as told")') },
    { reactors: 2, cpus: [4_095, 4_095] },
  ];
  const attempt = async () => {
    for (const options of failing) {
      const start = serve({ listen: 'tcp://127.0.0.1:0', handler: MODULE, ...options });
      await assert.rejects(start, JSON.stringify(options));
    }
  };
  await attempt();
  const before = figures();
  for (let i = 0; i < 5; i += 1) {
    await attempt();
  }
  await awaitCondition(
    () => {
      const { descriptors, threads } = figures();
      return descriptors <= before.descriptors && threads <= before.threads;
    },
    `the figures of before, ${JSON.stringify(before)}; now ${JSON.stringify(figures())}`,
    10_000,
  );
});
