/**
 * Socket options of a connection, through its driver: those of its profile when it starts, and single ones that the
 * user sets or reads later.
 */

import type { SocketOptions } from '../api.js';
import { AF_UNIX } from '../base/linux.js';
import { SystemError } from '../errors.js';
import type { SocketConnection } from './connection.js';
import { DESTROYED } from './connection-table.js';
import type { Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { compileSocketOptions, encodeOption, readOption } from './socket-options.js';

type Compiled = ReturnType<typeof compileSocketOptions>;

/** Encoded once for each profile and family. */
const compiledTcp = new WeakMap<Profile, Compiled>();
const compiledUnix = new WeakMap<Profile, Compiled>();

/**
 * Sets the profile's options on an accepted connection, where it has not inherited them from its listener: TCP
 * connections have, Unix ones have not. One that the system refuses is told as a warning.
 */
export function applyProfile(
  state: ReactorState,
  slot: number,
  profile: Profile,
  family: number,
): void {
  if (family !== AF_UNIX) {
    return;
  }
  for (const { level, name, value } of compiledFor(profile, family)) {
    const n = state.driver.setOption(slot, level, name, value);
    if (n < 0) {
      state.warn(new SystemError('setsockopt', -n));
    }
  }
}

export function compiledFor(profile: Profile, family: number): Compiled {
  const known = family === AF_UNIX ? compiledUnix : compiledTcp;
  let compiled = known.get(profile);
  if (compiled === undefined) {
    compiled = compileSocketOptions(profile.options, family);
    known.set(profile, compiled);
  }
  return compiled;
}

/** Throws SystemError when the system refuses, TypeError or RangeError for a wrong value. */
export function setConnectionOption<Name extends keyof SocketOptions>(
  connection: SocketConnection,
  option: Name,
  value: SocketOptions[Name],
): void {
  const { owner, slot } = connection;
  const encoded = encodeOption(option, value, familyOfConnection(connection));
  if (encoded === 'not-applicable' || !isOpen(connection)) {
    return;
  }
  for (const { level, name, value: bytes } of encoded) {
    const n = owner.driver.setOption(slot, level, name, bytes);
    if (n < 0) {
      throw new SystemError(`set ${option} with setsockopt`, -n, connection.remoteAddress);
    }
  }
}

/** The value in force; undefined once closed, or where the socket has no such option. */
export function getConnectionOption<Name extends keyof SocketOptions>(
  connection: SocketConnection,
  option: Name,
): SocketOptions[Name] | undefined {
  if (!isOpen(connection)) {
    return undefined;
  }
  const { owner, slot } = connection;
  return readOption(
    (level, name, value) => owner.driver.getOption(slot, level, name, value),
    option,
    familyOfConnection(connection),
  );
}

function isOpen(connection: SocketConnection): boolean {
  const { owner, slot } = connection;
  return slot >= 0 && (owner.table.flags[slot] & DESTROYED) === 0;
}

const sockaddr = new Uint8Array(128);

function familyOfConnection(connection: SocketConnection): number {
  if (isOpen(connection)) {
    const n = connection.owner.driver.localAddress(connection.slot, sockaddr);
    if (n >= 2) {
      return sockaddr[0];
    }
  }
  return AF_UNIX;
}
