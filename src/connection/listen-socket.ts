/**
 * Making a listening socket from an address: options, bind, listen, the file of a Unix socket, and taking over one that
 * exists already (an inherited descriptor, systemd's socket activation). Control plane: it throws.
 */

import type { ListenerOptions, SocketOptions } from '../api.js';
import { type Address, decodeSockaddr, encodeSockaddr } from '../base/address.js';
import { EADDRINUSE, EAGAIN, ECONNREFUSED, EINPROGRESS, EINVAL } from '../base/errno.js';
import type { Kernel } from '../base/kernel.js';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SO_ACCEPTCONN,
  SO_TYPE,
  SOCK_STREAM,
  SOL_SOCKET,
  SOMAXCONN,
} from '../base/linux.js';
import { MillraceError, SystemError } from '../errors.js';
import { compileListenerOptions, compileSocketOptions } from './socket-options.js';

export interface ListenSocket {
  readonly fd: number;
  /** With the real port. */
  readonly url: string;
  /** AF_INET, AF_INET6 or AF_UNIX. */
  readonly family: number;
  /** The file to remove when closing; none for a socket that was taken over. */
  readonly path: string | undefined;
}

const SYSTEMD_FIRST_FD = 3;

/** Listens on a resolved address (hosts are numeric), or throws SystemError. */
export function listenOn(
  kernel: Kernel,
  address: Address,
  options: ListenerOptions & SocketOptions,
): ListenSocket[] {
  if (address.kind === 'fd') {
    return [takeOver(kernel, address.fd, options)];
  }
  if (address.kind === 'systemd') {
    return systemdDescriptors(address.name).map((fd) => takeOver(kernel, fd, options));
  }
  return [create(kernel, address, options)];
}

/** Listens on an address that is no descriptor. `type`: SOCK_STREAM, or SOCK_SEQPACKET for a Unix socket. */
export function create(
  kernel: Kernel,
  address: Address,
  options: ListenerOptions & SocketOptions,
  type = SOCK_STREAM,
): ListenSocket {
  const sockaddr = encodeSockaddr(address);
  const url = decodeSockaddr(sockaddr, sockaddr.length);
  const family = sockaddr[0];
  const fd = kernel.socket(family, type, 0);
  if (fd < 0) {
    throw new SystemError('socket', -fd, url);
  }
  try {
    const compiled = compileListenerOptions(options, family, address);
    setAll(kernel, fd, compiled.beforeBind, url);
    const path = address.kind === 'unix' ? address.path : undefined;
    bindSocket(kernel, fd, sockaddr, path, url, type);
    if (path !== undefined && options.mode !== undefined) {
      expect('chmod', kernel.changeMode(path, options.mode), url);
    }
    expect('listen', kernel.listen(fd, options.backlog ?? SOMAXCONN), url);
    setAll(kernel, fd, compiled.afterListen, url);
    return { fd, url: nameOf(kernel, fd), family, path };
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}

interface EncodedOption {
  readonly level: number;
  readonly name: number;
  readonly value: Uint8Array;
}

function setAll(kernel: Kernel, fd: number, list: readonly EncodedOption[], url: string): void {
  for (const { level, name, value } of list) {
    expect('setsockopt', kernel.setSocketOption(fd, level, name, value), url);
  }
}

/** A Unix socket's file that nobody listens on is left from a process that ended badly: it is replaced. */
export function bindSocket(
  kernel: Kernel,
  fd: number,
  sockaddr: Uint8Array,
  path: string | undefined,
  url: string,
  type: number,
): void {
  const n = kernel.bind(fd, sockaddr);
  if (n === -EADDRINUSE && path !== undefined && isStale(kernel, sockaddr, path, type)) {
    expect('unlink', kernel.unlink(path), url);
    expect('bind', kernel.bind(fd, sockaddr), url);
    return;
  }
  expect('bind', n, url);
}

function isStale(kernel: Kernel, sockaddr: Uint8Array, path: string, type: number): boolean {
  if (kernel.isSocketFile(path) !== 1) {
    return false;
  }
  const fd = kernel.socket(AF_UNIX, type, 0);
  if (fd < 0) {
    return false;
  }
  const n = kernel.connect(fd, sockaddr);
  kernel.close(fd);
  return n === -ECONNREFUSED && n !== -EAGAIN && n !== -EINPROGRESS;
}

/** An existing listening stream socket becomes ours, with the options that its connections are to inherit. */
function takeOver(kernel: Kernel, fd: number, options: SocketOptions): ListenSocket {
  const url = `fd://${fd}`;
  const value = new Uint8Array(4);
  expect('getsockopt', kernel.getSocketOption(fd, SOL_SOCKET, SO_TYPE, value), url);
  const isStream = value[0] === SOCK_STREAM;
  expect('getsockopt', kernel.getSocketOption(fd, SOL_SOCKET, SO_ACCEPTCONN, value), url);
  if (!isStream || value[0] !== 1) {
    throw new SystemError(
      'listen on a descriptor that is not a listening stream socket',
      EINVAL,
      url,
    );
  }
  expect('fcntl', kernel.adopt(fd), url);
  const name = new Uint8Array(128);
  const n = kernel.getSocketName(fd, name);
  expect('getsockname', n, url);
  const family = name[0];
  if (family !== AF_INET && family !== AF_INET6 && family !== AF_UNIX) {
    throw new SystemError('listen on a descriptor of an unknown family', EINVAL, url);
  }
  setAll(kernel, fd, compileSocketOptions(options, family), url);
  return { fd, url: decodeSockaddr(name, n), family, path: undefined };
}

/** sd_listen_fds(3): descriptors from 3 on, meant for this process only. */
export function systemdDescriptors(
  name: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): number[] {
  const count = Number(environment.LISTEN_FDS ?? 0);
  if (Number(environment.LISTEN_PID) !== process.pid || !Number.isInteger(count) || count < 1) {
    throw new MillraceError(
      'ERR_NO_SYSTEMD_SOCKETS',
      'Cannot listen on systemd://: LISTEN_PID and LISTEN_FDS name no sockets for this process',
    );
  }
  const names = (environment.LISTEN_FDNAMES ?? '').split(':');
  const list: number[] = [];
  for (let i = 0; i < count; i += 1) {
    if (name === undefined || names[i] === name) {
      list.push(SYSTEMD_FIRST_FD + i);
    }
  }
  if (list.length === 0) {
    throw new MillraceError(
      'ERR_NO_SYSTEMD_SOCKETS',
      `Cannot listen on systemd://${name}: the names given are ${names.join(', ')}`,
    );
  }
  return list;
}

/** The local address of a socket as a URL. */
export function nameOf(kernel: Kernel, fd: number): string {
  const name = new Uint8Array(128);
  const n = kernel.getSocketName(fd, name);
  expect('getsockname', n);
  return decodeSockaddr(name, n);
}

function expect(syscall: string, n: number, url?: string): void {
  if (n < 0) {
    throw new SystemError(syscall, -n, url);
  }
}
