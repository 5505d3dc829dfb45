/**
 * Connecting from a reactor. The steps: resolve the name; try the addresses in the order and with the delay of Happy
 * Eyeballs (RFC 8305), each on a slot of its own; the first that connects becomes the connection, the others are given
 * up. Name resolution, all attempts and the socket's own handshake share one deadline. Control plane: it throws, and
 * rejects with SystemError (`ECONNREFUSED`, `ETIMEDOUT`, …), or with the signal's reason.
 */

import type { Connection, ConnectionOptions, DialOptions, Handler } from '../api.js';
import { type Address, decodeSockaddr, encodeSockaddr, parseAddress } from '../base/address.js';
import { ECONNREFUSED, EMFILE, ETIMEDOUT } from '../base/errno.js';
import { AF_UNIX, IPPROTO_TCP, SOCK_STREAM, TCP_FASTOPEN_CONNECT } from '../base/linux.js';
import { MillraceError, SystemError } from '../errors.js';
import { compiledFor } from './descriptor-options.js';
import { areDialsHeard, watchDial } from './diagnostics.js';
import type { Race } from './draining.js';
import { count, Profile } from './profile.js';
import type { Reactor } from './reactor.js';
import { resolve } from './resolve.js';
import { Counter } from './stats.js';

const ON = new Uint8Array([1, 0, 0, 0]);

/** Connects to `url` on `reactor`'s thread. */
export async function dial(
  reactor: Reactor,
  url: string,
  options: DialOptions,
): Promise<Connection> {
  if (!reactor.draining.mayDial) {
    throw new MillraceError('ERR_CLOSED', 'Cannot dial: the reactor is closed');
  }
  const address = parseAddress(url);
  if (address.kind === 'fd' || address.kind === 'systemd') {
    throw new TypeError(
      `Cannot dial ${url}: expected tcp://, tcp4://, tcp6://, unix:// or unix-abstract://`,
    );
  }
  const profile = profileOf(options);
  const timeoutMs = count(options, 'connectTimeoutMs', 10_000);
  const local = options.localAddress === undefined ? undefined : localOf(options.localAddress);
  const race = new DialRace(reactor, url, profile, options, local);
  const dialing = race.run(address, timeoutMs);
  if (areDialsHeard()) {
    watchDial(url, dialing);
  }
  return dialing;
}

const defaultProfile = new Profile({}, {});
const profiles = new WeakMap<object, Profile>();

/** Dials, or adoptions, with the same options object share a profile. */
export function profileOf(options: ConnectionOptions & { handler?: Handler }): Profile {
  if (Object.keys(options).length === 0) {
    return defaultProfile;
  }
  let profile = profiles.get(options);
  if (profile === undefined) {
    profile = new Profile(options.handler ?? {}, options);
    profiles.set(options, profile);
  }
  return profile;
}

function localOf(url: string): Uint8Array {
  const address = parseAddress(url);
  return encodeSockaddr(address);
}

/** What can be dialed: no descriptors. */
type DialAddress = Exclude<Address, { kind: 'fd' } | { kind: 'systemd' }>;

class DialRace implements Race {
  readonly isDial = true;
  readonly #reactor: Reactor;
  readonly #url: string;
  readonly #profile: Profile;
  readonly #options: DialOptions;
  readonly #local: Uint8Array | undefined;
  readonly #pending = new Set<number>();
  readonly #delayMs: number;
  #queue: Uint8Array[] = [];
  #nextTimer = -1;
  #error: Error | undefined;
  #isOver = false;
  #resolve: (connection: Connection) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    reactor: Reactor,
    url: string,
    profile: Profile,
    options: DialOptions,
    local: Uint8Array | undefined,
  ) {
    this.#reactor = reactor;
    this.#url = url;
    this.#profile = profile;
    this.#options = options;
    this.#local = local;
    this.#delayMs = count(options, 'attemptDelayMs', 250);
  }

  run(address: DialAddress, timeoutMs: number): Promise<Connection> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    return new Promise<Connection>((resolvePromise, reject) => {
      this.#resolve = resolvePromise;
      this.#reject = reject;
      const onAbort = () => this.fail(signal!.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      const timer =
        timeoutMs === 0
          ? -1
          : this.#reactor.setTimer(timeoutMs, () => {
              this.fail(new SystemError('connect', ETIMEDOUT, this.#url));
            });
      const release = this.#reactor.keepAlive.hold();
      this.#reactor.draining.races.add(this);
      this.#finish = () => {
        signal?.removeEventListener('abort', onAbort);
        this.#reactor.clearTimer(timer);
        this.#reactor.clearTimer(this.#nextTimer);
        this.#reactor.draining.races.delete(this);
        release();
      };
      this.#start(address);
    });
  }

  #finish: () => void = () => {};

  #start(address: DialAddress): void {
    if (address.kind === 'unix' || address.kind === 'unix-abstract') {
      this.#begin([encodeSockaddr(address)]);
      return;
    }
    resolve(address, this.#options.signal).then(
      (addresses) => {
        if (!this.#isOver) {
          this.#begin(addresses.map((each) => encodeSockaddr(each)));
        }
      },
      (error: unknown) => this.fail(error),
    );
  }

  #begin(queue: Uint8Array[]): void {
    this.#queue = queue;
    this.#attempt();
  }

  /** Starts the next attempt, and the timer for the one after it. */
  #attempt(): void {
    this.#reactor.clearTimer(this.#nextTimer);
    while (!this.#isOver) {
      const sockaddr = this.#queue.shift();
      if (sockaddr === undefined) {
        if (this.#pending.size === 0) {
          this.fail(this.#error ?? new SystemError('connect', ECONNREFUSED, this.#url));
        }
        return;
      }
      if (this.#connect(sockaddr)) {
        if (this.#queue.length > 0) {
          this.#nextTimer = this.#reactor.setTimer(this.#delayMs, () => this.#attempt());
        }
        return;
      }
    }
  }

  /** False when it failed at once; the error is noted. */
  #connect(sockaddr: Uint8Array): boolean {
    const { kernel } = this.#reactor.options;
    const target = decodeSockaddr(sockaddr, sockaddr.length);
    const family = sockaddr[0];
    const fd = kernel.socket(family, SOCK_STREAM, 0);
    if (fd < 0) {
      return this.#note('socket', -fd, target);
    }
    for (const { level, name, value } of compiledFor(this.#profile, family)) {
      const n = kernel.setSocketOption(fd, level, name, value);
      if (n < 0) {
        kernel.close(fd);
        return this.#note('setsockopt', -n, target);
      }
    }
    if (this.#options.fastOpen === true && family !== AF_UNIX) {
      kernel.setSocketOption(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, ON);
    }
    if (this.#local !== undefined && this.#local[0] === family) {
      const n = kernel.bind(fd, this.#local);
      if (n < 0) {
        kernel.close(fd);
        return this.#note('bind', -n, decodeSockaddr(this.#local, this.#local.length));
      }
    }
    const slot = this.#reactor.beginConnect(fd, sockaddr, (errno) => {
      this.#onConnected(slot, errno, target);
    });
    if (slot < 0) {
      kernel.close(fd);
      return this.#note('connect', slot === NO_SLOT ? EMFILE : -slot, target);
    }
    this.#pending.add(slot);
    return true;
  }

  #onConnected(slot: number, errno: number, target: string): void {
    this.#pending.delete(slot);
    const code = errno === 0 && isSelfConnected(this.#reactor, slot) ? ECONNREFUSED : errno;
    if (code !== 0 || this.#isOver) {
      this.#reactor.discard(slot);
      this.#note('connect', code, target);
      this.#attempt();
      return;
    }
    this.#end();
    this.#reactor.stats.add(Counter.dialed, 1);
    const { context } = this.#options;
    this.#resolve(
      this.#reactor.establish(slot, this.#profile, (connection) => {
        connection.context = context;
      }),
    );
  }

  #note(syscall: string, errno: number, target: string): false {
    this.#error ??= new SystemError(syscall, errno, target);
    return false;
  }

  /** Gives up, for the given reason. */
  fail(error: unknown): void {
    if (!this.#isOver) {
      this.#end();
      this.#reject(error);
    }
  }

  #end(): void {
    this.#isOver = true;
    for (const slot of this.#pending) {
      this.#reactor.cancelConnect(slot);
    }
    this.#pending.clear();
    this.#finish();
  }
}

/** `beginConnect` answers so when all slots are in use. */
export const NO_SLOT = -0x10000;

/**
 * A connect to a local ephemeral port that nobody listens on can meet itself (TCP's simultaneous open): the socket is
 * its own peer. Nobody wants that connection.
 */
function isSelfConnected(reactor: Reactor, slot: number): boolean {
  const { driver } = reactor.state;
  const n = driver.localAddress(slot, localName);
  const m = driver.peerAddress(slot, peerName);
  if (n <= 2 || n !== m || localName[0] === AF_UNIX) {
    return false;
  }
  for (let i = 0; i < n; i += 1) {
    if (localName[i] !== peerName[i]) {
      return false;
    }
  }
  return true;
}

const localName = new Uint8Array(128);
const peerName = new Uint8Array(128);
