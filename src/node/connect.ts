/** `net.connect` on our reactors: a stream at once, which connects by itself. */

import type { SessionOptions } from 'node:http2';
import type { Duplex } from 'node:stream';

import type { Connection, DialOptions } from '../api.js';
import { dial } from '../engine/dial.js';
import { ConnectionDuplex, type DuplexOptions } from './connection-duplex.js';
import { guard } from './guard.js';

/** A URL as for `dial`, or what Node's clients pass to `createConnection`. */
export type ConnectTarget =
  | string
  | {
      /** As in a URL object, whose `host` has the port in it; it counts before `host`. */
      hostname?: string | null | undefined;
      host?: string | null | undefined;
      port?: number | string | null | undefined;
      /** A Unix socket; `path` counts only without a port, since HTTP has paths of its own. */
      socketPath?: string | null | undefined;
      path?: string | null | undefined;
    };

/** How to connect: `dial`, `reactor.dial`, `dialTls`. */
export type StreamDialer = (url: string, options: DialOptions) => Promise<Connection>;

export interface ConnectOptions
  extends DuplexOptions,
    Omit<DialOptions, 'handler' | 'context' | 'allowHalfOpen'> {
  /** `dial` by default: the connection lives in the calling thread's own reactor. */
  dialer?: StreamDialer;
}

/**
 * Connects as `net.connect` does: returns a stream that can be written to at once, and emits `connect` and `ready`, or
 * `error`. As `createConnection` of `http.request`, an `http.Agent` or `http2.connect`, as `socket` of `tls.connect`.
 *
 * @throws TypeError for a target that is none.
 */
export function connect(target: ConnectTarget, options?: ConnectOptions): ConnectionDuplex;
/** As Node's clients call their `createConnection`: a callback of http, or the options of an http2 session. */
export function connect(
  target: ConnectTarget,
  ofNode: ((error: Error | null, stream: Duplex) => void) | SessionOptions,
): ConnectionDuplex;
export function connect(
  target: ConnectTarget,
  options: ConnectOptions | ((error: Error | null, stream: Duplex) => void) | SessionOptions = {},
): ConnectionDuplex {
  return new DialedDuplex(
    urlOf(target),
    typeof options === 'object' ? (options as ConnectOptions) : {},
  );
}

function urlOf(target: ConnectTarget): string {
  if (typeof target === 'string') {
    return target;
  }
  const { host, hostname, path, socketPath } = target ?? {};
  const port = portOf(target ?? {});
  const file = socketPath ?? (port === undefined ? path : undefined);
  if (typeof file === 'string' && file !== '') {
    return file.startsWith('\0') ? `unix-abstract://${file.slice(1)}` : `unix://${file}`;
  }
  if (port === undefined) {
    throw new TypeError('Expected a URL, { port, host } or { path } to connect to');
  }
  const name = hostname ?? host ?? 'localhost';
  return `tcp://${name.includes(':') && !name.startsWith('[') ? `[${name}]` : name}:${port}`;
}

/** A URL object does not tell the port that its scheme implies. */
function portOf(target: Exclude<ConnectTarget, string>): number | string | undefined {
  const { port, protocol } = target as typeof target & { protocol?: string };
  if (port !== undefined && port !== null && port !== '') {
    return port;
  }
  return protocol === 'http:' ? 80 : protocol === 'https:' ? 443 : undefined;
}

class DialedDuplex extends ConnectionDuplex {
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #controller = new AbortController();

  constructor(url: string, options: ConnectOptions) {
    super(options);
    this.#url = url;
    this.#options = options;
    this.connecting = true;
  }

  /** Streams wait for it with everything else. */
  override _construct(callback: (error?: Error | null) => void): void {
    const { dialer = dial, signal, ...options } = this.#options;
    const own = this.#controller.signal;
    const signals = signal === undefined ? own : AbortSignal.any([signal, own]);
    dialer(this.#url, { ...dialOptionsOf(options), signal: signals }).then(
      (connection) => {
        if (this.destroyed) {
          connection.abort();
          callback();
          return;
        }
        this.attach(connection);
        guard(() => {
          callback();
          this.emit('connect');
          this.emit('ready');
        });
      },
      (error: Error) => {
        this.connecting = false;
        // Destroyed meanwhile: that was the reason.
        guard(() => callback(this.destroyed ? null : error));
      },
    );
  }

  /** Gives up the dial, too. */
  override destroy(error?: Error): this {
    this.#controller.abort();
    return super.destroy(error);
  }
}

/** Without those of the stream: options of http are passed along, too, and dial does not know them. */
function dialOptionsOf(options: ConnectOptions): DialOptions {
  const {
    allowHalfOpen: _allowHalfOpen,
    readableHighWaterMark: _readable,
    writableHighWaterMark: _writable,
    abortOnDestroy: _abort,
    ...rest
  } = options;
  return rest;
}
