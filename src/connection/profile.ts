/**
 * A profile is what connections of one listener or dial have in common: the handler's hooks, taken out once, and the
 * options with their defaults filled in. Every profile has the same shape, so that the hot path stays monomorphic
 * whatever the user's handlers look like.
 */

import type { Action, CloseReason, Connection, ConnectionOptions, Handler } from '../api.js';
import { AF_INET } from '../base/linux.js';
import { dataAtOf, type OnDataAt } from '../hooks.js';
import type { ReactorState } from './reactor-state.js';
import { compileSocketOptions } from './socket-options.js';

export const WHEN_FULL_REFUSE = 0;
export const WHEN_FULL_CLOSE = 1;
export const WHEN_FULL_PAUSE_SOURCE = 2;

const WHEN_FULL: ReadonlyMap<string, number> = new Map([
  ['refuse', WHEN_FULL_REFUSE],
  ['close', WHEN_FULL_CLOSE],
  ['pause-source', WHEN_FULL_PAUSE_SOURCE],
]);

type Hook<Arguments extends unknown[]> = ((...values: Arguments) => Action | void) | undefined;

export class Profile {
  /** The reactor whose connections have this profile; set by `bind`. */
  owner: ReactorState | undefined = undefined;
  /** The same for other reactors of the thread. */
  #copies: WeakMap<ReactorState, Profile> | undefined;
  readonly handler: Handler;
  readonly onOpen: Hook<[Connection]>;
  readonly onData: Hook<[Connection, Buffer]>;
  readonly onDataAt: OnDataAt | undefined;
  readonly onReadable: Hook<[Connection]>;
  readonly onDrain: Hook<[Connection]>;
  readonly onEnd: Hook<[Connection]>;
  readonly onClose: Hook<[Connection, CloseReason]>;
  readonly onServerClose: Hook<[Connection]>;
  readonly onBeforeWrite: ((connection: Connection) => void) | undefined;

  readonly options: ConnectionOptions;
  /** The options without the handler's defaults. */
  readonly given: ConnectionOptions;
  readonly defaults: ConnectionOptions | undefined;
  readonly allowHalfOpen: boolean;
  readonly halfOpenTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly lingerTimeoutMs: number;
  readonly highWaterMark: number;
  readonly lowWaterMark: number;
  /** Internal: with more than this queued `onDrain` is owed. The high-water mark, unless each byte matters. */
  drainAbove: number;
  /** Internal: memory that received bytes may go to straight; what is there then is reported to `onData` as ever. */
  roomFor: ((connection: Connection) => Uint8Array | undefined) | undefined = undefined;
  readonly writeQueueMax: number;
  readonly whenFull: number;
  readonly readQueueMax: number;

  /** `defaults`: what is below the given options, where that is not the handler's own. */
  constructor(
    handler: Handler,
    given: ConnectionOptions,
    defaults: ConnectionOptions | undefined = handler?.defaults,
  ) {
    checkHandler(handler);
    const options = defaults === undefined ? given : over(defaults, given);
    this.handler = handler;
    this.given = given;
    this.defaults = defaults;
    this.onOpen = handler.onOpen;
    this.onData = handler.onData;
    this.onDataAt = dataAtOf(handler.onData);
    this.onReadable = handler.onReadable;
    this.onDrain = handler.onDrain;
    this.onEnd = handler.onEnd;
    this.onClose = handler.onClose;
    this.onServerClose = handler.onServerClose;
    this.onBeforeWrite = handler.onBeforeWrite;
    this.options = options;
    this.allowHalfOpen = options.allowHalfOpen ?? false;
    this.halfOpenTimeoutMs = count(options, 'halfOpenTimeoutMs', 30_000);
    this.idleTimeoutMs = count(options, 'idleTimeoutMs', 0);
    this.readTimeoutMs = count(options, 'readTimeoutMs', 0);
    this.writeTimeoutMs = count(options, 'writeTimeoutMs', 30_000);
    this.lingerTimeoutMs = count(options, 'lingerTimeoutMs', 5_000);
    this.writeQueueMax = count(options, 'writeQueueMax', 1_048_576);
    this.highWaterMark = count(options, 'highWaterMark', Math.min(65_536, this.writeQueueMax));
    this.lowWaterMark = count(options, 'lowWaterMark', Math.min(16_384, this.highWaterMark));
    this.drainAbove = this.highWaterMark;
    this.readQueueMax = count(options, 'readQueueMax', 1_048_576);
    this.whenFull = WHEN_FULL.get(options.whenFull ?? 'refuse') ?? -1;
    if (this.whenFull < 0) {
      const expected = [...WHEN_FULL.keys()].join(', ');
      throw new TypeError(
        `Unknown whenFull ${String(options.whenFull)}: expected one of ${expected}`,
      );
    }
    if (this.lowWaterMark > this.highWaterMark) {
      throw new RangeError(
        `lowWaterMark ${this.lowWaterMark} is above highWaterMark ${this.highWaterMark}`,
      );
    }
    // Only to check them: a wrong value would throw at the first connection, in the midst of a turn.
    compileSocketOptions(options, AF_INET);
  }

  /** The profile as that of a reactor's connections, which find their reactor by it. */
  bind(owner: ReactorState): Profile {
    if (this.owner === owner) {
      return this;
    }
    if (this.owner === undefined) {
      this.owner = owner;
      return this;
    }
    this.#copies ??= new WeakMap();
    let copy = this.#copies.get(owner);
    if (copy === undefined) {
      copy = new Profile(this.handler, this.given, this.defaults ?? {}).bind(owner);
      this.#copies.set(owner, copy);
    }
    return copy;
  }

  /** Whether received bytes go to `connection.reader` rather than to `onData`. */
  get isPull(): boolean {
    return this.onReadable !== undefined;
  }
}

/** The handler's defaults, under what was given. */
function over(defaults: ConnectionOptions, given: ConnectionOptions): ConnectionOptions {
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(said) };
}

const HOOKS = [
  'onBoot',
  'onShutdown',
  'onOpen',
  'onData',
  'onReadable',
  'onDrain',
  'onEnd',
  'onClose',
  'onServerClose',
  'onTick',
  'onBeforeWrite',
  'onMessage',
] as const;

/** Throws TypeError for what is not a handler. */
export function checkHandler(handler: Handler): void {
  if (typeof handler !== 'object' || handler === null) {
    throw new TypeError(
      `Expected a handler object with hooks such as onData, got ${String(handler)}`,
    );
  }
  for (const name of HOOKS) {
    if (handler[name] !== undefined && typeof handler[name] !== 'function') {
      throw new TypeError(`Expected handler.${name} to be a function, got ${typeof handler[name]}`);
    }
  }
  const { defaults } = handler;
  if (defaults !== undefined && (typeof defaults !== 'object' || defaults === null)) {
    throw new TypeError(`Expected handler.defaults to be options, got ${String(defaults)}`);
  }
  if (handler.onData !== undefined && handler.onReadable !== undefined) {
    throw new TypeError('A handler has onData (push) or onReadable (pull), not both');
  }
}

/** A non-negative integer option, or its default. */
export function count<Name extends string>(
  options: { readonly [Key in Name]?: unknown },
  name: Name,
  fallback: number,
): number {
  const value = options[name];
  if (value === undefined) {
    return fallback;
  }
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new RangeError(
      `Expected ${name} to be an integer from 0 to 4294967295, got ${String(value)}`,
    );
  }
  return value;
}

/** The same, between two bounds. */
export function countWithin<Name extends string>(
  options: { readonly [Key in Name]?: unknown },
  name: Name,
  fallback: number,
  min: number,
  max: number,
): number {
  const value = count(options, name, fallback);
  if (value < min || value > max) {
    throw new RangeError(`Expected ${name} to be ${min} to ${max}, got ${value}`);
  }
  return value;
}
