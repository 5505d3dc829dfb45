/** Choosing a driver, and direct descriptors: more connections than the process has descriptors. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { chooseDriver } from '../../src/connection/drivers/choose.js';
import { probeUring } from '../../src/connection/drivers/uring-setup.js';
import { type Connection, type Handler, type ServeOptions, serve } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { ChildProgram } from '../support/child-program.js';
import { RawPeer } from '../support/raw-peer.js';

const features = probeUring(new LinuxKernel());
/** Where io_uring is forbidden, or old, there is nothing to test but that it is said. */
const hasUring = typeof features !== 'number';
const hasDirect = hasUring && features.directDescriptors;

const ECHO: Handler = { onData: (connection, bytes) => void connection.write(bytes) };

/** A kernel without io_uring: none at all, forbidden, or an old one. */
function kernelThatAnswers(errno: number): LinuxKernel {
  const kernel = new LinuxKernel();
  kernel.ringCreate = () => -errno;
  return kernel;
}

describe('chooseDriver()', () => {
  it('auto falls back to epoll where io_uring cannot be used, and says why', () => {
    for (const [errno, name] of [
      [38, 'ENOSYS'],
      [1, 'EPERM'],
      [22, 'EINVAL'],
    ] as const) {
      const choice = chooseDriver(kernelThatAnswers(errno), 'auto', false);
      assert.equal(choice.name, 'epoll');
      assert.match(choice.reason, new RegExp(name));
    }
  });

  it('refuses what was asked for by name and cannot be had', () => {
    assert.throws(() => chooseDriver(kernelThatAnswers(1), 'uring', false), { code: 'EPERM' });
    assert.throws(() => chooseDriver(kernelThatAnswers(1), 'auto', true), { code: 'EPERM' });
  });

  it('gives epoll to whoever asks for it', () => {
    assert.equal(chooseDriver(new LinuxKernel(), 'epoll', false).name, 'epoll');
  });
});

async function withServer(
  options: Partial<ServeOptions>,
  body: (url: string, server: Awaited<ReturnType<typeof serve>>) => Promise<void>,
): Promise<void> {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: ECHO, ...options });
  try {
    await body(server.addresses[0]!, server);
  } finally {
    await server.close({ deadlineMs: 0 });
  }
}

describe('serve()', () => {
  for (const driver of hasUring
    ? (['epoll', 'uring', 'auto'] as const)
    : (['epoll', 'auto'] as const)) {
    it(`echoes with driver ${driver}, and says which one it is`, async () => {
      await withServer({ driver }, async (url, server) => {
        const peer = await RawPeer.connect(url);
        peer.send('ping');
        assert.equal((await peer.read(4)).toString(), 'ping');
        peer.close();
        assert.ok(server.driver === driver || driver === 'auto');
        assert.ok(server.driverReason.length > 0);
      });
    });
  }

  it('rejects direct descriptors with epoll, and names that are no drivers', async () => {
    const wrong = [{ driver: 'epoll', direct: true }, { driver: 'kqueue' }, { direct: 1 }];
    for (const options of wrong) {
      await assert.rejects(
        serve({ listen: 'tcp://127.0.0.1:0', handler: ECHO, ...(options as object) }),
        TypeError,
      );
    }
  });
});

describe('direct descriptors', {
  skip: hasDirect ? false : 'no io_uring with direct descriptors here',
}, () => {
  it('have options, addresses and all ways to end', async () => {
    const seen: string[] = [];
    const opened: Connection[] = [];
    const handler: Handler = {
      onOpen(connection) {
        opened.push(connection);
        seen.push(connection.localAddress, connection.remoteAddress);
      },
      onData: (connection, bytes) => void connection.write(bytes),
      onClose: (_connection, { code }) => void seen.push(code),
    };
    await withServer({ direct: true, handler }, async (url, server) => {
      const peers = await RawPeer.connectMany(url, 3);
      for (const peer of peers) {
        peer.send('ping');
        assert.equal((await peer.read(4)).toString(), 'ping');
      }
      assert.equal(seen[0], url);
      assert.match(seen[1]!, /^tcp:\/\/127\.0\.0\.1:\d+$/);
      seen.length = 0;
      peers[0]!.end();
      assert.equal((await peers[0]!.readToEnd()).end, 'end');
      peers[1]!.reset();
      await awaitCondition(() => server.stats.totals.connections === 1, 'two closes');
      for (const connection of opened) {
        connection.abort();
      }
      assert.equal((await peers[2]!.readToEnd()).end, 'ECONNRESET');
      await awaitCondition(() => seen.length === 3, 'three closes');
      assert.deepEqual(seen.sort(), ['aborted', 'ended', 'reset']);
      for (const peer of peers) {
        peer.close();
      }
    });
  });

  it('hold more connections than the process may have descriptors', async () => {
    const child = new ChildProgram('direct-server', {}, { shell: 'ulimit -n 256' });
    try {
      const url = (await child.next()) as string;
      const peers = await RawPeer.connectMany(url, 600);
      for (const peer of peers) {
        peer.send('ping');
      }
      for (const peer of peers) {
        assert.equal((await peer.read(4)).toString(), 'ping');
      }
      const totals = (await child.ask('stats')) as { connections: number };
      assert.equal(totals.connections, peers.length);
      for (const peer of peers) {
        peer.close();
      }
      await awaitCondition(async () => {
        const { connections } = (await child.ask('stats')) as { connections: number };
        return connections === 0;
      }, 'the closes');
      child.process.send('stop');
      assert.equal(await child.exit(), 0);
    } finally {
      child.kill();
    }
  });
});
