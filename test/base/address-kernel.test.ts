/** Encoded addresses are what the real kernel binds to and reports. The IPv6 part needs a loopback that has ::1. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { decodeSockaddr, encodeSockaddr, familyOf, parseAddress } from '../../src/base/address.js';
import { SOCKADDR_STORAGE_SIZE } from '../../src/base/layout.js';
import { SOCK_STREAM } from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';

const onLinux = { skip: process.platform === 'linux' ? false : 'needs Linux' };
const hasIpv6 = networkInterfaces().lo?.some(({ address }) => address === '::1') === true;
const onIpv6 = { skip: process.platform === 'linux' && hasIpv6 ? false : 'needs Linux and ::1' };

/** Binds and listens; the descriptor. */
function listenAt(kernel: LinuxKernel, sockaddr: Uint8Array, family: number): number {
  const fd = kernel.socket(family, SOCK_STREAM, 0);
  assert.ok(fd >= 0);
  assert.equal(kernel.bind(fd, sockaddr), 0);
  assert.equal(kernel.listen(fd, 8), 0);
  return fd;
}

function nameOf(kernel: LinuxKernel, fd: number): { url: string; sockaddr: Uint8Array } {
  const storage = new Uint8Array(SOCKADDR_STORAGE_SIZE);
  const length = kernel.getSocketName(fd, storage);
  return { url: decodeSockaddr(storage, length), sockaddr: storage.slice(0, length) };
}

test('the kernel reports an address as it was encoded', onLinux, () => {
  const kernel = new LinuxKernel();
  const folder = mkdtempSync(join(tmpdir(), 'millrace-address-'));
  const paths = [`${folder}/a b%41.sock`, `${folder}/`.padEnd(107, 'p')];
  const names = [`millrace-${process.pid}`, `${process.pid}-`.padEnd(107, 'n')];
  try {
    for (const url of [
      ...paths.map((path) => `unix://${path}`),
      ...names.map((name) => `unix-abstract://${name}`),
    ]) {
      const address = parseAddress(url);
      const sockaddr = encodeSockaddr(address);
      const fd = listenAt(kernel, sockaddr, familyOf(address));
      assert.deepEqual(nameOf(kernel, fd), { url, sockaddr });
      kernel.close(fd);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('TCP addresses come back with the real port, and can be connected to', onIpv6, () => {
  const kernel = new LinuxKernel();
  for (const [url, shown] of [
    ['tcp://127.0.0.1:0', /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/],
    ['tcp6://[::1]:0', /^tcp:\/\/\[::1\]:[1-9]\d*$/],
  ] as const) {
    const address = parseAddress(url);
    const listener = listenAt(kernel, encodeSockaddr(address), familyOf(address));
    const { url: real, sockaddr } = nameOf(kernel, listener);
    assert.match(real, shown);
    assert.deepEqual(encodeSockaddr(parseAddress(real)), sockaddr);
    const client = kernel.socket(familyOf(address), SOCK_STREAM, 0);
    kernel.connect(client, encodeSockaddr(parseAddress(real)));
    const storage = new Uint8Array(SOCKADDR_STORAGE_SIZE);
    assert.equal(decodeSockaddr(storage, kernel.getPeerName(client, storage)), real);
    kernel.close(client);
    kernel.close(listener);
  }
});

test('an IPv4 peer of a dual-stack listener is shown with its IPv4 address', onIpv6, () => {
  const kernel = new LinuxKernel();
  const any = parseAddress('tcp://[::]:0');
  const listener = listenAt(kernel, encodeSockaddr(any), familyOf(any));
  const port = nameOf(kernel, listener).url.split(':').at(-1);
  const target = parseAddress(`tcp://127.0.0.1:${port}`);
  const client = kernel.socket(familyOf(target), SOCK_STREAM, 0);
  kernel.connect(client, encodeSockaddr(target));
  const accepted = kernel.accept(listener);
  assert.ok(accepted >= 0);
  const storage = new Uint8Array(SOCKADDR_STORAGE_SIZE);
  const peer = decodeSockaddr(storage, kernel.getPeerName(accepted, storage));
  assert.equal(peer, nameOf(kernel, client).url);
  assert.match(peer, /^tcp:\/\/127\.0\.0\.1:\d+$/);
  for (const fd of [accepted, client, listener]) kernel.close(fd);
});

test('the peer of a Unix listener that did not bind is unix://', onLinux, () => {
  const kernel = new LinuxKernel();
  const address = parseAddress(`unix-abstract://millrace-peer-${process.pid}`);
  const listener = listenAt(kernel, encodeSockaddr(address), familyOf(address));
  const client = kernel.socket(familyOf(address), SOCK_STREAM, 0);
  assert.equal(kernel.connect(client, encodeSockaddr(address)), 0);
  const accepted = kernel.accept(listener);
  const storage = new Uint8Array(SOCKADDR_STORAGE_SIZE);
  assert.equal(decodeSockaddr(storage, kernel.getPeerName(accepted, storage)), 'unix://');
  for (const fd of [accepted, client, listener]) kernel.close(fd);
});
