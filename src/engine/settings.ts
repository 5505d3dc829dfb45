/**
 * What `serve` was asked for, checked and with defaults, split in what can be cloned to a thread and what cannot.
 */

import { availableParallelism } from 'node:os';

import type { Balance, ConnectionOptions, Handler, ListenerOptions, ServeOptions } from '../api.js';
import { type ListenAddress, parseListenAddress } from '../base/datagram-address.js';
import { SLOTS_MAX } from '../connection/connection-table.js';
import { DatagramProfile } from '../connection/datagram/profile.js';
import { events } from '../connection/diagnostics.js';
import type { DriverChoice, DriverName } from '../connection/drivers/choose.js';
import { count, countWithin } from '../connection/profile.js';
import type { DatagramOptions } from '../datagrams.js';

/** `chooseDriver` on the kernel at hand. */
export type ChooseDriver = (wanted: DriverName | 'auto', wantsDirect: boolean) => DriverChoice;

/** Everything that a reactor needs to know, cloneable. */
export interface ReactorSettings {
  readonly driver: DriverChoice;
  readonly connectionsMax: number;
  readonly refuseWhenMax: boolean;
  readonly acceptBudget: number;
  readonly receiveBytes: number;
  readonly receiveBudget: number;
  readonly blockBytesMax: number;
  readonly guardMemory: boolean;
  readonly connection: ConnectionOptions & ListenerOptions;
  readonly datagram: DatagramOptions;
}

export interface ServeSettings {
  readonly addresses: readonly ListenAddress[];
  readonly reactors: number;
  readonly reactor: ReactorSettings;
  readonly balance: Balance;
  readonly reusePort: boolean;
  readonly cpus: readonly number[];
  readonly blockedAfterMs: number;
  readonly replaceAfterMs: number;
  readonly onWarning: (warning: Error) => void;
}

const BALANCES: readonly Balance[] = [
  'round-robin',
  'least-connections',
  'source-hash',
  'descriptor-hash',
  'random',
  'power-of-two',
];
const DRIVERS = ['auto', 'epoll', 'uring'] as const;
const REACTORS_MAX = 256;
/** Connections of one reactor when neither the user nor the descriptor limit says less. */
const CONNECTIONS_DEFAULT_MAX = 1_048_576;
const BLOCK_BYTES_MAX = 256 * 1024 * 1024;

/** The names that a connection's or a listener's options have, to be picked from a server's. */
const CONNECTION_OPTIONS = [
  'allowHalfOpen',
  'halfOpenTimeoutMs',
  'idleTimeoutMs',
  'readTimeoutMs',
  'writeTimeoutMs',
  'lingerTimeoutMs',
  'highWaterMark',
  'lowWaterMark',
  'writeQueueMax',
  'whenFull',
  'readQueueMax',
  'noDelay',
  'keepAlive',
  'lingerSeconds',
  'sendBufferBytes',
  'receiveBufferBytes',
  'userTimeoutMs',
  'notSentLowWaterBytes',
  'bindToDevice',
  'backlog',
  'reuseAddress',
  'reusePort',
  'ipv6Only',
  'deferAcceptSeconds',
  'fastOpenQueue',
  'mode',
] as const;

const OTHER_OPTIONS = [
  'listen',
  'handler',
  'reactors',
  'driver',
  'direct',
  'datagram',
  'balance',
  'connectionsMax',
  'whenConnectionsMax',
  'acceptBudget',
  'receiveBytes',
  'receiveBudget',
  'cpus',
  'blockedAfterMs',
  'replaceAfterMs',
  'resourceLimits',
  'data',
  'signal',
  'onWarning',
];

/** Throws TypeError or RangeError for what `serve` cannot take. */
export function readSettings(
  options: ServeOptions,
  descriptorLimit: number,
  choose: ChooseDriver,
): ServeSettings {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Expected an object with listen and handler, got ${String(options)}`);
  }
  checkNames(options);
  const reactors = reactorCount(options);
  const balance = options.balance ?? 'round-robin';
  if (!BALANCES.includes(balance)) {
    throw new TypeError(
      `Unknown balance ${String(balance)}: expected one of ${BALANCES.join(', ')}`,
    );
  }
  const reactor = reactorSettings(options, reactors, descriptorLimit, choose);
  return {
    addresses: listOf(options.listen).map((url) => parseListenAddress(url)),
    reactors,
    reactor,
    balance,
    reusePort: reactor.connection.reusePort === true,
    cpus: options.cpus ?? [],
    blockedAfterMs: count(options, 'blockedAfterMs', 1_000),
    replaceAfterMs: count(options, 'replaceAfterMs', 0),
    onWarning: guard(options.onWarning ?? ((warning) => process.emitWarning(warning))),
  };
}

/** Warnings come from the midst of things: a listener that throws must not stop them. The error surfaces by itself. */
function guard(onWarning: (warning: Error) => void): (warning: Error) => void {
  return (warning) => {
    events.warning.publish({ warning });
    try {
      onWarning(warning);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

function reactorSettings(
  options: ServeOptions,
  reactors: number,
  descriptorLimit: number,
  choose: ChooseDriver,
): ReactorSettings {
  const { driver = 'auto', whenConnectionsMax = 'refuse', direct = false } = options;
  if (!DRIVERS.includes(driver)) {
    throw new TypeError(`Unknown driver ${String(driver)}: expected one of ${DRIVERS.join(', ')}`);
  }
  if (typeof direct !== 'boolean') {
    throw new TypeError(`Expected direct to be true or false, got ${String(direct)}`);
  }
  if (direct && driver === 'epoll') {
    throw new TypeError('Direct descriptors need io_uring: the driver cannot be epoll');
  }
  if (whenConnectionsMax !== 'refuse' && whenConnectionsMax !== 'wait') {
    throw new TypeError(
      `Unknown whenConnectionsMax ${String(whenConnectionsMax)}: expected refuse or wait`,
    );
  }
  const fallback = direct
    ? CONNECTIONS_DEFAULT_MAX
    : Math.min(descriptorLimit, CONNECTIONS_DEFAULT_MAX);
  return {
    driver: choose(driver, direct),
    connectionsMax: countWithin(options, 'connectionsMax', fallback, 1, SLOTS_MAX - 2_048),
    refuseWhenMax: whenConnectionsMax === 'refuse',
    acceptBudget: countWithin(options, 'acceptBudget', 64, 1, 65_536),
    receiveBytes: countWithin(options, 'receiveBytes', 65_536, 64, 16_777_216),
    receiveBudget: countWithin(options, 'receiveBudget', 262_144, 1, 1_073_741_824),
    blockBytesMax: BLOCK_BYTES_MAX,
    guardMemory: process.env.MILLRACE_GUARD === '1',
    // Only to check them here.
    datagram: new DatagramProfile({}, options.datagram ?? {}).options,
    connection: {
      ...pickConnection(options),
      // A direct descriptor cannot go from one ring to another: each reactor accepts its own.
      ...(direct && reactors > 1 ? { reusePort: true } : {}),
    },
  };
}

/** The options of connections and listeners among those of a server. */
export function pickConnection(options: ServeOptions): ConnectionOptions & ListenerOptions {
  const picked: Record<string, unknown> = {};
  for (const name of CONNECTION_OPTIONS) {
    if (options[name] !== undefined) {
      picked[name] = options[name];
    }
  }
  return picked as ConnectionOptions & ListenerOptions;
}

/** A misspelt option would silently be none. */
function checkNames(options: ServeOptions): void {
  for (const name of Object.keys(options)) {
    if (
      !OTHER_OPTIONS.includes(name) &&
      !(CONNECTION_OPTIONS as readonly string[]).includes(name)
    ) {
      throw new TypeError(`Unknown option ${name}`);
    }
  }
}

function reactorCount(options: ServeOptions): number {
  const { reactors = 1 } = options;
  if (reactors === 'auto') {
    return isModule(options.handler) ? Math.min(availableParallelism(), REACTORS_MAX) : 1;
  }
  if (!Number.isInteger(reactors) || reactors < 1 || reactors > REACTORS_MAX) {
    throw new RangeError(`Expected reactors to be auto or 1 to ${REACTORS_MAX}, got ${reactors}`);
  }
  if (reactors > 1 && !isModule(options.handler)) {
    throw new TypeError(
      'More than one reactor needs a module as handler (a URL or a path): a closure cannot cross threads',
    );
  }
  return reactors;
}

/** A handler given as a module rather than as an object. */
export function isModule(handler: Handler | URL | string): handler is URL | string {
  return typeof handler === 'string' || handler instanceof URL;
}

function listOf(listen: string | readonly string[]): readonly string[] {
  const list = typeof listen === 'string' ? [listen] : listen;
  if (!Array.isArray(list) || list.length === 0) {
    throw new TypeError(`Expected listen to be a URL or a list of them, got ${String(listen)}`);
  }
  return list;
}
