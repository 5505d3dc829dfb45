/**
 * Echo by watchers, one in each of one or three reactors, on both drivers: what is sent comes back, tiny and huge, to
 * thousands at once, full duplex, and nothing is left afterwards.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { probeUring } from '../../src/connection/drivers/uring-setup.js';
import { type Server, serve } from '../../src/index.js';
import { Watcher, type WatcherStats } from '../../src/proactor/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import type { ProactorData } from '../support/engine-handlers/proactor.js';
import { noise, noiseAt, noiseHash, randomCuts, randomOf } from '../support/noise.js';
import { RawClient } from '../support/raw-client.js';

const MODULE = new URL('../support/engine-handlers/proactor.js', import.meta.url);
const MEGABYTE = 1_048_576;

async function withServer(
  driver: 'epoll' | 'uring',
  reactors: number,
  data: ProactorData,
  use: (server: Server, url: string) => Promise<void>,
): Promise<void> {
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: MODULE,
    reactors,
    driver,
    data,
  });
  try {
    await use(server, server.addresses[0]!);
    await awaitCondition(async () => {
      const all = (await server.executeAll('stats')) as WatcherStats[];
      return all.every(({ connections, operations }) => connections + operations === 0);
    }, 'the end of all connections and operations');
    for (const stats of (await server.executeAll('stats')) as WatcherStats[]) {
      assert.equal(stats.heldBytes, 0);
      assert.equal(stats.leaksFound, 0);
    }
  } finally {
    await server.close({ deadlineMs: 0 });
  }
}

/** Sends at random cuts, receives at the same time, ends, and expects the end. */
async function echoStream(url: string, seed: number, length: number, most: number): Promise<void> {
  const client = await RawClient.connect(url);
  const hash = createHash('sha256');
  const send = async () => {
    let at = 0;
    for (const size of randomCuts(randomOf(`stream ${seed}`), length, most)) {
      await client.send(noiseAt(seed, at, size));
      at += size;
    }
    client.halfClose();
  };
  const [total] = await Promise.all([client.drain((bytes) => hash.update(bytes)), send()]);
  assert.equal(total, length);
  assert.equal(hash.digest('hex'), noiseHash(seed, length));
  client.close();
}

const hasUring = typeof probeUring(new LinuxKernel()) !== 'number';
/** Both ends are in this process. */
const DESCRIPTORS_MAX = Math.floor(new LinuxKernel().descriptorLimit() / 2) - 200;
const DRIVERS = hasUring ? (['epoll', 'uring'] as const) : (['epoll'] as const);

for (const driver of DRIVERS) {
  for (const reactors of [1, 3]) {
    describe(`watchers on ${driver}, ${reactors}`, () => {
      it('echo what is tiny, byte by byte', () =>
        withServer(driver, reactors, { mode: 'own', bytes: 128 }, async (_, url) => {
          await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => echoStream(url, seed, 1_500, 1)));
        }));

      it('echo what is huge, by shared memory and by own buffers', async () => {
        for (const mode of ['shared', 'own'] as const) {
          await withServer(driver, reactors, { mode, bytes: 100_000 }, async (_, url) => {
            const lengths = [16 * MEGABYTE, 3 * MEGABYTE + 1, 65_536];
            await Promise.all(lengths.map((n, i) => echoStream(url, i, n, 200_000)));
          });
        }
      });

      it('echo frames that are filled, and the part of the last one', () =>
        withServer(driver, reactors, { mode: 'full', bytes: 1_000 }, async (_, url) => {
          await Promise.all(
            [0, 1, 999, 1_000, 1_001, 123_456].map((n, i) => echoStream(url, i, n, 5_000)),
          );
        }));

      const count = Math.min(reactors === 1 ? 1_000 : 8_000, DESCRIPTORS_MAX);
      it(`echo to ${count} at once`, () =>
        withServer(driver, reactors, { mode: 'shared', bytes: 0 }, async (server, url) => {
          const clients: RawClient[] = [];
          for (let i = 0; i < count; i += 1) {
            clients.push(await RawClient.connect(url));
          }
          await awaitCondition(() => server.stats.totals.connections === count, 'all connections');
          for (const [i, client] of clients.entries()) {
            await client.send(noiseAt(i, 0, 1_024));
          }
          for (const [i, client] of clients.entries()) {
            assert.ok((await client.read(1_024)).equals(noiseAt(i, 0, 1_024)));
          }
          const each = (await server.executeAll('stats')) as WatcherStats[];
          assert.ok(each.every(({ connections }) => connections >= count / reactors / 2));
          for (const client of clients) {
            client.close();
          }
        }));

      it('survive peers that reset and that never read', () =>
        withServer(driver, reactors, { mode: 'shared', bytes: 0 }, async (_, url) => {
          for (let i = 0; i < 100; i += 1) {
            const client = await RawClient.connect(url, { receiveBufferBytes: 8_192 });
            client.trySend(noise(i, 60_000));
            if (i % 2 === 0) {
              client.reset();
            } else {
              client.close();
            }
          }
          await echoStream(url, 7, 100_000, 9_999);
        }));
    });
  }
}

describe('several watchers in one thread', () => {
  it('take the connections of one server in turn, and both ends of them', async () => {
    const watchers = [new Watcher(), new Watcher(), new Watcher()];
    let next = 0;
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: {
        onOpen(connection) {
          watchers[next++ % 3]!.read(connection);
        },
      },
    });
    const loops = watchers.map(async (watcher) => {
      for await (const results of watcher) {
        for (const { operation, connection, buffer, error } of results) {
          if (error !== undefined) {
            watcher.free(connection);
          } else if (operation === 'read') {
            watcher.write(connection, Buffer.from(buffer));
          } else {
            watcher.read(connection);
          }
        }
      }
    });
    await Promise.all(
      Array.from({ length: 30 }, (_, i) => echoStream(server.addresses[0]!, i, 50_000, 10_000)),
    );
    await Promise.all(watchers.map((watcher) => settled(watcher.close(), 'the close')));
    await Promise.all(loops);
    assert.ok(watchers.every(({ stats }) => stats.batches > 0));
    await server.close();
  });
});
