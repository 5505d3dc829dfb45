/** Making listening sockets on the real kernel: what they are, and that nothing is left of those that cannot be. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';

import type { ListenerOptions, SocketOptions } from '../../src/api.js';
import { parseAddress } from '../../src/base/address.js';
import { DescriptorRegistry } from '../../src/base/descriptors.js';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_TCP,
  SO_ACCEPTCONN,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { listenOn, systemdDescriptors } from '../../src/connection/listen-socket.js';
import { MillraceError, type SystemError } from '../../src/errors.js';
import { rawKernel, RawListener, RawPeer } from '../support/raw-peer.js';

const OWNER = 7;
const registry = DescriptorRegistry.create(1_024);
const kernel = new LinuxKernel({ registry, owner: OWNER });
const folder = mkdtempSync(join(tmpdir(), 'millrace-listen-'));

after(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  for (const fd of registry.ownedBy(OWNER)) {
    kernel.close(fd);
  }
});

const listen = (url: string, options: ListenerOptions & SocketOptions = {}) =>
  listenOn(kernel, parseAddress(url), options);

function flag(fd: number, name: number): boolean {
  const value = new Uint8Array(4);
  assert.equal(kernel.getSocketOption(fd, SOL_SOCKET, name, value), 4);
  return value[0] !== 0;
}

/** Asserts that listening fails with a code, and that no descriptor is left. */
function expectFailure(url: string, code: string, options = {}): SystemError {
  const before = registry.count();
  let thrown: unknown;
  assert.throws(
    () => listen(url, options),
    (error: SystemError) => {
      thrown = error;
      return error.code === code;
    },
  );
  assert.equal(registry.count(), before, 'a descriptor is left');
  return thrown as SystemError;
}

describe('listenOn()', () => {
  it('listens, and tells the real address', async () => {
    const path = join(folder, 'plain');
    const abstract = `unix-abstract://millrace-listen-${process.pid}`;
    const kinds: [string, RegExp, number, string | undefined][] = [
      ['tcp://127.0.0.1:0', /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/, AF_INET, undefined],
      ['tcp4://0.0.0.0:0', /^tcp:\/\/0\.0\.0\.0:[1-9]\d*$/, AF_INET, undefined],
      ['tcp6://[::1]:0', /^tcp:\/\/\[::1\]:[1-9]\d*$/, AF_INET6, undefined],
      [`unix://${path}`, new RegExp(`^unix://${path}$`), AF_UNIX, path],
      [abstract, new RegExp(`^${abstract}$`), AF_UNIX, undefined],
    ];
    for (const [asked, url, family, file] of kinds) {
      const [socket] = listen(asked);
      assert.match(socket.url, url);
      assert.deepEqual(
        [socket.family, socket.path, flag(socket.fd, SO_ACCEPTCONN)],
        [family, file, true],
      );
      (await RawPeer.connect(socket.url.replace('0.0.0.0', '127.0.0.1'))).close();
    }
  });

  it('sets the options that were given, and reuseAddress unless told not to', () => {
    const [usual] = listen('tcp://127.0.0.1:0');
    const [other] = listen('tcp://127.0.0.1:0', { reuseAddress: false, reusePort: true });
    assert.deepEqual([flag(usual.fd, SO_REUSEADDR), flag(usual.fd, SO_REUSEPORT)], [true, false]);
    assert.deepEqual([flag(other.fd, SO_REUSEADDR), flag(other.fd, SO_REUSEPORT)], [false, true]);
    const [twin] = listen(other.url, { reuseAddress: false, reusePort: true });
    assert.equal(twin.url, other.url);
  });

  it('is dual-stack on [::] unless ipv6Only is set', async () => {
    const [dual] = listen('tcp://[::]:0');
    const port = dual.url.slice(dual.url.lastIndexOf(':') + 1);
    (await RawPeer.connect(`tcp://127.0.0.1:${port}`)).close();
    const [single] = listen('tcp://[::]:0', { ipv6Only: true });
    const url = `tcp://127.0.0.1:${single.url.slice(single.url.lastIndexOf(':') + 1)}`;
    await assert.rejects(RawPeer.connect(url), { code: 'ECONNREFUSED' });
  });

  it('leaves nothing behind when the system or an option refuses', () => {
    const [taken] = listen('tcp://127.0.0.1:0');
    const { syscall, address } = expectFailure(taken.url, 'EADDRINUSE');
    assert.deepEqual([syscall, address], ['bind', taken.url]);
    expectFailure('tcp://192.0.2.1:0', 'EADDRNOTAVAIL');
    expectFailure(`unix://${folder}/no/such/folder`, 'ENOENT');
    expectFailure('tcp://127.0.0.1:0', 'ENODEV', { bindToDevice: 'no-such-device' });
    assert.throws(
      () => listen('tcp://127.0.0.1:0', { reusePort: 1 as unknown as boolean }),
      TypeError,
    );
    assert.equal(registry.count(), 1);
  });
});

describe('a Unix socket’s file', () => {
  it('has the mode that was asked for', () => {
    const path = join(folder, 'mode');
    listen(`unix://${path}`, { mode: 0o640 });
    assert.equal(statSync(path).mode & 0o777, 0o640);
  });

  it('that nobody listens on is replaced', async () => {
    const path = join(folder, 'stale');
    RawListener.listen(`unix://${path}`).close();
    await assert.rejects(RawPeer.connect(`unix://${path}`), { code: 'ECONNREFUSED' });
    listen(`unix://${path}`);
    (await RawPeer.connect(`unix://${path}`)).close();
  });

  it('that somebody listens on stays, also when the backlog is full', async () => {
    const url = `unix://${join(folder, 'live')}`;
    const listener = RawListener.listen(url, 1);
    expectFailure(url, 'EADDRINUSE');
    // The first in the backlog was who looked whether anybody listens.
    const peer = await RawPeer.connect(url);
    await assert.rejects(RawPeer.connect(url), { code: 'EAGAIN' });
    expectFailure(url, 'EADDRINUSE');
    listener.close();
    peer.close();
  });

  it('that is no socket stays, and so does a link to one', () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'precious');
    expectFailure(`unix://${path}`, 'EADDRINUSE');
    RawListener.listen(`unix://${join(folder, 'target')}`).close();
    symlinkSync(join(folder, 'target'), join(folder, 'link'));
    expectFailure(`unix://${join(folder, 'link')}`, 'EADDRINUSE');
    assert.ok(
      existsSync(path) && existsSync(join(folder, 'link')) && existsSync(join(folder, 'target')),
    );
  });
});

describe('fd://', () => {
  it('takes over a listening socket, makes it ours, and leaves its file alone', async () => {
    const path = join(folder, 'inherited');
    const { fd } = RawListener.listen(`unix://${path}`);
    const [socket] = listen(`fd://${fd}`);
    assert.deepEqual(socket, { fd, url: `unix://${path}`, family: AF_UNIX, path: undefined });
    assert.equal(registry.ownerOf(fd), OWNER);
    assert.ok(kernel.accept(fd) < 0, 'it does not block');
  });

  it('sets the options that its connections are to inherit', () => {
    const { fd } = RawListener.listen('tcp://127.0.0.1:0');
    listen(`fd://${fd}`, { userTimeoutMs: 4_321 });
    const value = Buffer.alloc(4);
    kernel.getSocketOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value);
    assert.equal(value.readInt32LE(), 4_321);
    kernel.getSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, value);
    assert.equal(value.readInt32LE(), 1);
  });

  it('refuses what is no listening stream socket, and does not close it', () => {
    const udp = rawKernel.socket(AF_INET, 2, 0);
    const idle = rawKernel.socket(AF_INET, SOCK_STREAM, 0);
    const event = rawKernel.eventfd();
    expectFailure(`fd://${udp}`, 'EINVAL');
    expectFailure(`fd://${idle}`, 'EINVAL');
    expectFailure(`fd://${event}`, 'ENOTSOCK');
    expectFailure('fd://999999', 'EBADF');
    for (const fd of [udp, idle, event]) {
      assert.equal(rawKernel.close(fd), 0);
    }
  });
});

describe('systemd://', () => {
  const environment = (values: Record<string, string>) => ({
    LISTEN_PID: String(process.pid),
    ...values,
  });

  it('names the descriptors from 3 on, by name where one is given', () => {
    const given = environment({ LISTEN_FDS: '3', LISTEN_FDNAMES: 'web:admin:web' });
    assert.deepEqual(systemdDescriptors(undefined, given), [3, 4, 5]);
    assert.deepEqual(systemdDescriptors('web', given), [3, 5]);
    assert.deepEqual(systemdDescriptors('admin', given), [4]);
    assert.deepEqual(systemdDescriptors(undefined, environment({ LISTEN_FDS: '1' })), [3]);
  });

  it('without sockets for this process, or of that name, is an error with a code', () => {
    const wrong: [string | undefined, NodeJS.ProcessEnv][] = [
      [undefined, {}],
      [undefined, environment({})],
      [undefined, environment({ LISTEN_FDS: '0' })],
      [undefined, environment({ LISTEN_FDS: 'x' })],
      [undefined, { LISTEN_FDS: '1', LISTEN_PID: String(process.pid + 1) }],
      ['web', environment({ LISTEN_FDS: '1', LISTEN_FDNAMES: 'admin' })],
      ['web', environment({ LISTEN_FDS: '1' })],
    ];
    for (const [name, given] of wrong) {
      assert.throws(
        () => systemdDescriptors(name, given),
        (error) => error instanceof MillraceError && error.code === 'ERR_NO_SYSTEMD_SOCKETS',
      );
    }
  });
});
