/** TLS for clients: a dial whose connection is ready when the server has shown who it is. */

import type { Action, Connection, DialOptions, Handler, Reactor } from '../api.js';
import { parseAddress } from '../base/address.js';
import { parseIpv4, parseIpv6 } from '../base/ip-address.js';
import { withCopy } from '../base/openssl.js';
import { checkHandler } from '../connection/profile.js';
import { dial } from '../engine/dial.js';
import { check } from './certificates.js';
import { RECALLED } from './connection-flags.js';
import { failHandshake } from './giving-up.js';
import { continueHandshake, startHandshake, step } from './handshake.js';
import { HandshakeQueue } from './handshake-queue.js';
import { Layer } from './layer.js';
import type { DialTlsOptions, SecureConnection } from './options.js';
import { receive } from './read-path.js';
import { SecureContext } from './secure-context.js';
import { createSsl } from './ssl-object.js';
import { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';
import { transportHooks } from './transport-hooks.js';

const CTRL_SET_HOSTNAME = 55;
/** X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS: `f*.example.org` is no pattern. */
const NO_PARTIAL_WILDCARDS = 4;

/**
 * Connects to `url` and resolves when the handshake is done, after the handler's `onOpen`. The server's certificate
 * must come from `ca`, or from node's root certificates, and be for the URL's host, or for `serverName`.
 *
 * @throws SystemError as `dial`; TlsError `ERR_TLS_CERTIFICATE`, `ERR_TLS_HANDSHAKE`, `ERR_TLS_TIMEOUT`, or
 *   `ERR_TLS_CONTEXT` for options that cannot be used; the signal's reason; TypeError for a bad URL.
 */
export async function dialTls(
  url: string,
  options: DialTlsOptions = {},
): Promise<SecureConnection> {
  const serverName = options.serverName ?? hostOf(url);
  if (options.verify !== false && serverName === undefined) {
    throw new TypeError(
      `Cannot verify who answers at ${url}: expected serverName, or verify: false`,
    );
  }
  const inner = options.handler ?? {};
  checkHandler(inner);
  const context = options.secureContext ?? SecureContext.client(options);
  if (context.role !== 'client') {
    throw new TypeError('Expected a client context: SecureContext.client(…)');
  }
  try {
    return await new Dial(url, options, inner, context, serverName).run();
  } finally {
    // The connection has a reference of its own.
    if (options.secureContext === undefined) {
      context.close();
    }
  }
}

function hostOf(url: string): string | undefined {
  const address = parseAddress(url);
  return 'host' in address ? address.host : undefined;
}

class Dial {
  readonly #url: string;
  readonly #options: DialTlsOptions;
  readonly #layer: Layer;
  readonly #context: SecureContext;
  readonly #serverName: string | undefined;
  #connection: TlsConnection | undefined;
  #resolve: (connection: SecureConnection) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    url: string,
    options: DialTlsOptions,
    inner: Handler,
    context: SecureContext,
    serverName: string | undefined,
  ) {
    this.#url = url;
    this.#options = options;
    this.#layer = new Layer(inner);
    this.#context = context;
    this.#serverName = serverName;
  }

  async run(): Promise<SecureConnection> {
    const { signal, reactor } = this.#options;
    const established = new Promise<SecureConnection>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // It may be rejected before it is awaited.
    established.catch(() => {});
    const options = this.#transportOptions();
    await (reactor === undefined ? dial(this.#url, options) : reactor.dial(this.#url, options));
    const onAbort = () => {
      this.#reject(signal!.reason);
      this.#connection?.abort();
    };
    if (signal?.aborted === true) {
      onAbort();
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await established;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#forget();
    }
  }

  /** The transport's hooks hold this object as long as it is open: from now on the connection is its user's. */
  #forget(): void {
    this.#connection = undefined;
    this.#resolve = () => {};
    this.#reject = () => {};
  }

  #transportOptions(): DialOptions {
    const layer = this.#layer;
    return {
      ...this.#options,
      context: undefined,
      handler: {
        ...transportHooks(layer),
        onOpen: (base: Connection): void => this.#start(base),
        onData(base: Connection, bytes: Buffer): Action | void {
          const c = base.context as TlsConnection;
          if (c.handshake === undefined) {
            receive(c, bytes);
          } else {
            c.flags &= ~RECALLED;
            continueHandshake(c, bytes);
          }
          return layer.takeAction();
        },
      },
    };
  }

  /** Sends the ClientHello. */
  #start(base: Connection): void {
    const c = new TlsConnection(base, this.#layer);
    this.#connection = c;
    c.context = this.#options.context;
    const timeoutMs = this.#options.handshakeTimeoutMs ?? 10_000;
    const handshake = startHandshake(c, queueOf(base.reactor, timeoutMs));
    handshake.mustVerify = this.#options.verify !== false;
    handshake.settle = (error) => {
      if (error === undefined) {
        this.#resolve(c);
      } else {
        this.#reject(error);
      }
    };
    try {
      createSsl(c, this.#context);
      this.#expectServer(c);
      this.#resume(c);
    } catch (error) {
      const known = error instanceof TlsError;
      const failure = known
        ? error
        : new TlsError('ERR_TLS_CONTEXT', 'Cannot start', String(error));
      failHandshake(c, failure, true);
      return;
    }
    c.pipe.load(NO_BYTES, 0);
    step(c);
  }

  /** SNI is for names alone (RFC 6066 section 3); an address is looked for among the certificate's addresses. */
  #expectServer(c: TlsConnection): void {
    const name = this.#serverName;
    if (name === undefined) {
      return;
    }
    const { calls } = c.pipe;
    withCopy(Buffer.from(name), (text) => {
      if (parseIpv4(name) !== undefined || parseIpv6(name) !== undefined) {
        const param = calls.SSL_get0_param(c.ssl);
        check(calls, calls.X509_VERIFY_PARAM_set1_ip_asc(param, text), 'expect the address');
        return;
      }
      c.serverName = name;
      check(calls, calls.SSL_ctrl(c.ssl, CTRL_SET_HOSTNAME, 0, text), 'send the server name');
      calls.SSL_set_hostflags(c.ssl, NO_PARTIAL_WILDCARDS);
      check(calls, calls.SSL_set1_host(c.ssl, text), 'expect the server name');
    });
  }

  /** Offers an earlier session. One that cannot be read is none: the handshake is a full one then. */
  #resume(c: TlsConnection): void {
    const { session: bytes } = this.#options;
    if (bytes === undefined) {
      return;
    }
    const { calls } = c.pipe;
    const session = withCopy(bytes, (address, byteLength) => {
      const pointer = Buffer.alloc(8);
      pointer.writeBigUInt64LE(BigInt(address));
      return withCopy(pointer, (at) => calls.d2i_SSL_SESSION(0, at, byteLength));
    });
    if (session !== 0) {
      calls.SSL_set_session(c.ssl, session);
      calls.SSL_SESSION_free(session);
    }
    calls.ERR_clear_error();
  }
}

const NO_BYTES = new Uint8Array(0);
const queues = new WeakMap<Reactor, Map<number, HandshakeQueue>>();

/** Dials of one reactor with the same timeout share a queue: those who dial have no budget for a turn. */
function queueOf(reactor: Reactor, timeoutMs: number): HandshakeQueue {
  let byTimeout = queues.get(reactor);
  if (byTimeout === undefined) {
    byTimeout = new Map();
    queues.set(reactor, byTimeout);
  }
  let queue = byTimeout.get(timeoutMs);
  if (queue === undefined) {
    queue = new HandshakeQueue(reactor, {
      timeoutMs,
      perTurn: Number.POSITIVE_INFINITY,
      onTimeout: (c) => {
        const text = `No TLS handshake within ${timeoutMs} ms`;
        failHandshake(c, new TlsError('ERR_TLS_TIMEOUT', text), true);
      },
      onTurn: () => {},
    });
    byTimeout.set(timeoutMs, queue);
  }
  return queue;
}
