/** The options of WebSockets, checked, with their defaults. */

import type { WebSocketHooks, WebSocketOptions } from './api.js';
import { type DeflateSettings, readDeflateOptions } from './deflate-options.js';
import type { ReceiverLimits } from './frame-sink.js';

export interface WebSocketSettings {
  readonly isClient: boolean;
  readonly limits: ReceiverLimits;
  readonly pingIntervalMs: number;
  readonly closeTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly deflate: DeflateSettings | undefined;
}

const MESSAGE_BYTES_MAX = 2 ** 31 - 1;
const INTEGER_MAX = 0xffff_ffff;

export function readSettings(options: WebSocketOptions, isClient: boolean): WebSocketSettings {
  const { deflate } = options;
  return Object.freeze({
    isClient,
    limits: Object.freeze({
      isServer: !isClient,
      messageBytesMax: integer(options, 'messageBytesMax', 1_048_576, 1, MESSAGE_BYTES_MAX),
      fragmentsMax: integer(options, 'fragmentsMax', 1_024, 1, INTEGER_MAX),
    }),
    pingIntervalMs: integer(options, 'pingIntervalMs', 30_000, 0, INTEGER_MAX),
    closeTimeoutMs: integer(options, 'closeTimeoutMs', 5_000, 1, INTEGER_MAX),
    handshakeTimeoutMs: integer(options, 'handshakeTimeoutMs', 10_000, 1, INTEGER_MAX),
    deflate:
      deflate === undefined || deflate === false
        ? undefined
        : readDeflateOptions(deflate === true ? {} : deflate),
  });
}

export function integer<Name extends string>(
  options: { readonly [Key in Name]?: unknown },
  name: Name,
  fallback: number,
  lowest: number,
  highest: number,
): number {
  const value: unknown = options[name] ?? fallback;
  if (!Number.isInteger(value) || (value as number) < lowest || (value as number) > highest) {
    throw new RangeError(
      `Expected ${name} to be an integer from ${lowest} to ${highest}, got ${String(value)}`,
    );
  }
  return value as number;
}

const HOOKS = ['onOpen', 'onMessage', 'onPing', 'onPong', 'onDrain', 'onClose'] as const;

/** The hooks taken out once, so that all sockets have them in one shape. `this` in a hook is the options object. */
export function readHooks(hooks: WebSocketHooks<never>): Hooks {
  for (const name of HOOKS) {
    const hook: unknown = hooks[name];
    if (hook !== undefined && typeof hook !== 'function') {
      throw new TypeError(`Expected ${name} to be a function, got ${typeof hook}`);
    }
  }
  const { onOpen, onMessage, onPing, onPong, onDrain, onClose } = hooks as WebSocketHooks;
  return { owner: hooks as WebSocketHooks, onOpen, onMessage, onPing, onPong, onDrain, onClose };
}

export interface Hooks {
  readonly owner: WebSocketHooks;
  readonly onOpen: WebSocketHooks['onOpen'];
  readonly onMessage: WebSocketHooks['onMessage'];
  readonly onPing: WebSocketHooks['onPing'];
  readonly onPong: WebSocketHooks['onPong'];
  readonly onDrain: WebSocketHooks['onDrain'];
  readonly onClose: WebSocketHooks['onClose'];
}
