/**
 * What datagram sockets of one `listen` or `datagram` call have in common: the hooks, taken out once, and the options,
 * checked and with their defaults.
 */

import type { Action, CloseReason } from '../../api.js';
import type {
  DatagramHooks,
  DatagramOptions,
  DatagramPeer,
  DatagramSession,
  DatagramSocket,
  MulticastGroup,
} from '../../datagrams.js';
import { count, countWithin } from '../profile.js';
import { BATCH } from './receive-batch.js';

/** What the kernel puts together at most. */
const GRO_BYTES = 65_536;

export const WHEN_FULL_REFUSE = 0;
export const WHEN_FULL_DROP_NEW = 1;
export const WHEN_FULL_DROP_OLDEST = 2;

const WHEN_FULL: ReadonlyMap<string, number> = new Map([
  ['refuse', WHEN_FULL_REFUSE],
  ['drop-new', WHEN_FULL_DROP_NEW],
  ['drop-oldest', WHEN_FULL_DROP_OLDEST],
]);

const NAMES: readonly (keyof DatagramOptions)[] = [
  'receiveBytesMax',
  'receiveBudget',
  'sendQueueMax',
  'sendQueueBytesMax',
  'whenQueueFull',
  'sessions',
  'receiveBufferBytes',
  'sendBufferBytes',
  'reusePort',
  'reuseAddress',
  'ipv6Only',
  'bindToDevice',
  'broadcast',
  'ttl',
  'multicastTtl',
  'multicastLoopback',
  'multicastInterface',
  'groups',
  'localAddresses',
  'gro',
  'mode',
  'allowHalfOpen',
  'writeTimeoutMs',
  'lingerTimeoutMs',
];

const HOOKS = [
  'onSocketOpen',
  'onDatagram',
  'onSessionOpen',
  'onSessionData',
  'onSessionDrain',
  'onSessionEnd',
  'onSessionClose',
  'onSocketDrain',
  'onDatagramError',
  'onSocketClose',
] as const;

type Hook<Arguments extends unknown[]> = ((...values: Arguments) => Action | void) | undefined;

export class DatagramProfile {
  readonly handler: DatagramHooks;
  readonly onSocketOpen: Hook<[DatagramSocket]>;
  readonly onDatagram: Hook<[DatagramSocket, Buffer, DatagramPeer, number]>;
  readonly onSessionOpen: Hook<[DatagramSession]>;
  readonly onSessionData: Hook<[DatagramSession, Buffer, number]>;
  readonly onSessionDrain: Hook<[DatagramSession]>;
  readonly onSessionEnd: Hook<[DatagramSession]>;
  readonly onSessionClose: Hook<[DatagramSession, CloseReason]>;
  readonly onSocketDrain: Hook<[DatagramSocket]>;
  readonly onDatagramError: Hook<[DatagramSocket, Error, DatagramPeer | undefined]>;
  readonly onSocketClose: Hook<[DatagramSocket, CloseReason]>;

  readonly options: DatagramOptions;
  readonly receiveBytesMax: number;
  readonly receiveBudget: number;
  readonly sendQueueMax: number;
  readonly sendQueueBytesMax: number;
  readonly whenFull: number;
  readonly hasSessions: boolean;
  readonly sessionsMax: number;
  readonly idleTimeoutMs: number;
  readonly groups: readonly (MulticastGroup | string)[];
  readonly gro: boolean;
  readonly localAddresses: boolean;
  readonly allowHalfOpen: boolean;
  readonly writeTimeoutMs: number;
  readonly lingerTimeoutMs: number;

  constructor(handler: DatagramHooks, options: DatagramOptions) {
    checkDatagramHooks(handler);
    checkDatagramOptions(options);
    this.handler = handler;
    this.onSocketOpen = handler.onSocketOpen;
    this.onDatagram = handler.onDatagram;
    this.onSessionOpen = handler.onSessionOpen;
    this.onSessionData = handler.onSessionData;
    this.onSessionDrain = handler.onSessionDrain;
    this.onSessionEnd = handler.onSessionEnd;
    this.onSessionClose = handler.onSessionClose;
    this.onSocketDrain = handler.onSocketDrain;
    this.onDatagramError = handler.onDatagramError;
    this.onSocketClose = handler.onSocketClose;
    this.options = options;
    this.receiveBytesMax = countWithin(options, 'receiveBytesMax', 65_536, 1, 1_048_576);
    this.receiveBudget = countWithin(options, 'receiveBudget', BATCH, 1, 65_536);
    this.sendQueueMax = countWithin(options, 'sendQueueMax', 1_024, 1, 1_048_576);
    this.sendQueueBytesMax = countWithin(options, 'sendQueueBytesMax', 1_048_576, 1, 1_073_741_824);
    this.whenFull = WHEN_FULL.get(options.whenQueueFull ?? 'refuse') ?? -1;
    if (this.whenFull < 0) {
      const expected = [...WHEN_FULL.keys()].join(', ');
      throw new TypeError(
        `Unknown whenQueueFull ${String(options.whenQueueFull)}: expected one of ${expected}`,
      );
    }
    const { sessions = false } = options;
    const limits = typeof sessions === 'object' ? sessions : {};
    this.hasSessions = sessions !== false;
    this.sessionsMax = countWithin(limits, 'max', 65_536, 1, 16_777_216);
    this.idleTimeoutMs = count(limits, 'idleTimeoutMs', 60_000);
    this.groups = options.groups ?? [];
    this.gro = options.gro ?? false;
    this.localAddresses = options.localAddresses ?? false;
    this.allowHalfOpen = options.allowHalfOpen ?? false;
    this.writeTimeoutMs = count(options, 'writeTimeoutMs', 30_000);
    this.lingerTimeoutMs = count(options, 'lingerTimeoutMs', 5_000);
    if (this.gro && this.receiveBytesMax < GRO_BYTES) {
      throw new RangeError(
        `With gro receiveBytesMax must be ${GRO_BYTES} or more: it holds many datagrams`,
      );
    }
  }
}

/** Throws TypeError for hooks that are no functions. */
function checkDatagramHooks(handler: DatagramHooks): void {
  if (typeof handler !== 'object' || handler === null) {
    throw new TypeError(`Expected an object with hooks such as onDatagram, got ${String(handler)}`);
  }
  for (const name of HOOKS) {
    if (handler[name] !== undefined && typeof handler[name] !== 'function') {
      throw new TypeError(`Expected handler.${name} to be a function, got ${typeof handler[name]}`);
    }
  }
}

function checkDatagramOptions(options: DatagramOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Expected datagram to be an object with options, got ${String(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (!(NAMES as readonly string[]).includes(name)) {
      throw new TypeError(`Unknown datagram option ${name}`);
    }
  }
  const { sessions = false, groups = [] } = options;
  if (typeof sessions !== 'boolean' && (typeof sessions !== 'object' || sessions === null)) {
    throw new TypeError(
      `Expected sessions to be true, false or an object, got ${String(sessions)}`,
    );
  }
  if (!Array.isArray(groups)) {
    throw new TypeError(`Expected groups to be a list, got ${String(groups)}`);
  }
  for (const name of ['gro', 'localAddresses', 'allowHalfOpen'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') {
      throw new TypeError(`Expected ${name} to be true or false, got ${String(options[name])}`);
    }
  }
}
