/**
 * The server's side of handshakes: waits for the ClientHello, finds the context for its server name, waits for a place
 * in the turn, and lets OpenSSL begin. Until then a connection has nothing of OpenSSL's: who connects and says nothing
 * costs a small object.
 */

import type { Connection, Reactor } from '../api.js';
import { HELLO_BYTES_MAX, readClientHello } from './client-hello.js';
import { ADMITTED, GONE, WAITING } from './connection-flags.js';
import { failHandshake } from './giving-up.js';
import { continueHandshake, startHandshake } from './handshake.js';
import { HandshakeQueue } from './handshake-queue.js';
import type { Layer } from './layer.js';
import type { TlsOptions } from './options.js';
import { clearPause, recall, setPause } from './pause.js';
import { SecureContext, type TicketSettings } from './secure-context.js';
import { ServerContexts } from './server-contexts.js';
import { createSsl } from './ssl-object.js';
import { TicketKeys } from './ticket-keys.js';
import { TlsConnection } from './tls-connection.js';
import { TlsError } from './tls-error.js';

/** An alert record in the clear (RFC 8446 section 6): fatal, and which. */
const ALERT_INTERNAL_ERROR = 80;
const ALERT_UNRECOGNIZED_NAME = 112;
/** Records of a ClientHello that is split as finely as it can be have this many bytes for each of it. */
const RECORD_BYTES_PER_BYTE_MAX = 6;

export class TlsServer {
  readonly layer: Layer;
  readonly #options: TlsOptions;
  readonly #tickets: TicketSettings;
  readonly #keys: TicketKeys | undefined;
  #contexts: ServerContexts;
  readonly #queues = new WeakMap<Reactor, HandshakeQueue>();

  constructor(options: TlsOptions, layer: Layer) {
    this.#options = { ...options };
    this.layer = layer;
    this.#keys = keysOf(options.tickets);
    this.#tickets = {
      isEnabled: this.#keys !== undefined,
      count: integer(options.ticketCount, 'ticketCount', 2, 1, 16),
      lifetimeSeconds: integer(
        options.ticketLifetimeSeconds,
        'ticketLifetimeSeconds',
        7_200,
        1,
        604_800,
      ),
    };
    integer(options.handshakeTimeoutMs, 'handshakeTimeoutMs', 10_000, 1, 0xffff_ffff);
    integer(options.handshakesPerTurn, 'handshakesPerTurn', 5, 1, 0xffff_ffff);
    this.#contexts = new ServerContexts(options, this.#tickets);
  }

  /** New certificates for new handshakes. If they cannot be used it throws, and the old ones stay. */
  reload(options: Partial<TlsOptions>): void {
    const next = new ServerContexts({ ...this.#options, ...options }, this.#tickets);
    Object.assign(this.#options, options);
    this.#contexts.close();
    this.#contexts = next;
  }

  close(): void {
    this.#contexts.close();
  }

  get ticketKeys(): TicketKeys | undefined {
    return this.#keys;
  }

  accept(base: Connection): TlsConnection {
    const c = new TlsConnection(base, this.layer);
    startHandshake(c, this.#queueOf(base.reactor));
    return c;
  }

  /** Bytes of a connection in its handshake; none if it is its turn, or its context is there. */
  receive(c: TlsConnection, bytes: Buffer): void {
    if (c.ssl !== 0) {
      continueHandshake(c, bytes);
      return;
    }
    const handshake = c.handshake!;
    if (bytes.length > 0) {
      const { bytes: before } = handshake;
      handshake.bytes = before === undefined ? Buffer.from(bytes) : Buffer.concat([before, bytes]);
    }
    if (handshake.context === undefined && (c.flags & WAITING) === 0) {
      this.#findContext(c);
    }
    if (handshake.context !== undefined && (c.flags & (WAITING | GONE)) === 0) {
      this.#begin(c, handshake.context);
    }
  }

  #findContext(c: TlsConnection): void {
    const handshake = c.handshake!;
    const hello = handshake.bytes === undefined ? 'incomplete' : readClientHello(handshake.bytes);
    if (hello === 'incomplete') {
      const bytesMax = HELLO_BYTES_MAX * RECORD_BYTES_PER_BYTE_MAX;
      if ((handshake.bytes?.length ?? 0) > bytesMax) {
        this.#refuse(c, ALERT_INTERNAL_ERROR, handshakeError('the ClientHello is too long'));
      }
      return;
    }
    if (hello === 'invalid') {
      // OpenSSL knows which alert that deserves.
      handshake.context = this.#contexts.fallback;
      return;
    }
    handshake.hello = hello;
    c.serverName = hello.serverName;
    const name = hello.serverName;
    if (name === undefined) {
      handshake.context = this.#contexts.fallback;
      return;
    }
    const known = this.#contexts.names.find(name);
    if (known !== undefined) {
      handshake.context = known;
    } else {
      this.#askProvider(c, name);
    }
  }

  #askProvider(c: TlsConnection, name: string): void {
    const { onServerName } = this.#options;
    if (onServerName === undefined) {
      this.#useProvided(c, name, undefined);
      return;
    }
    let answer: ReturnType<typeof onServerName>;
    try {
      answer = onServerName(name, c.base);
    } catch (error) {
      this.#providerFailed(c, name, error);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#useProvided(c, name, answer);
      return;
    }
    setPause(c, WAITING);
    answer.then(
      (context) => this.#onAnswer(c, () => this.#useProvided(c, name, context)),
      (error: unknown) => this.#onAnswer(c, () => this.#providerFailed(c, name, error)),
    );
  }

  #onAnswer(c: TlsConnection, use: () => void): void {
    if (c.handshake !== undefined) {
      use();
      clearPause(c, WAITING);
      recall(c);
    }
  }

  #useProvided(c: TlsConnection, name: string, context: SecureContext | undefined): void {
    if (context !== undefined) {
      if (!(context instanceof SecureContext) || context.role !== 'server') {
        this.#providerFailed(c, name, new TypeError('onServerName gave no server context'));
      } else if (context.address === 0) {
        this.#providerFailed(c, name, new TypeError('onServerName gave a closed context'));
      } else {
        c.handshake!.context = context;
      }
    } else if (this.#options.unknownServerName === 'reject') {
      const text = `There is no certificate for ${JSON.stringify(name)}`;
      this.#refuse(c, ALERT_UNRECOGNIZED_NAME, new TlsError('ERR_TLS_SERVER_NAME', text));
    } else {
      c.handshake!.context = this.#contexts.fallback;
    }
  }

  #providerFailed(c: TlsConnection, name: string, cause: unknown): void {
    const text = `The provider failed for the server name ${JSON.stringify(name)}`;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const error = new TlsError('ERR_TLS_SERVER_NAME', text, reason, { cause });
    this.#refuse(c, ALERT_INTERNAL_ERROR, error);
  }

  /** Before there is anything of OpenSSL's that could send the alert. */
  #refuse(c: TlsConnection, alert: number, error: TlsError): void {
    c.transportWrite.call(c.base, new Uint8Array([21, 3, 3, 0, 2, 2, alert]));
    failHandshake(c, error, true);
  }

  #begin(c: TlsConnection, context: SecureContext): void {
    const handshake = c.handshake!;
    if ((c.flags & ADMITTED) === 0 && !handshake.queue.admit(c)) {
      this.layer.stats.handshakesDeferred += 1;
      setPause(c, WAITING);
      return;
    }
    const bytes = handshake.bytes!;
    handshake.bytes = undefined;
    if (context.address === 0) {
      // It was reloaded while this connection waited.
      this.#findAgain(c);
    }
    const chosen = handshake.context!;
    try {
      createSsl(c, chosen);
      this.#setKeys(c, chosen);
      if (handshake.hello?.wantsOcsp === true) {
        chosen.staple(c.ssl);
      }
    } catch (error) {
      failHandshake(c, error instanceof TlsError ? error : handshakeError(String(error)), true);
      return;
    }
    continueHandshake(c, bytes);
  }

  #findAgain(c: TlsConnection): void {
    const name = c.serverName;
    const { names, fallback } = this.#contexts;
    c.handshake!.context = (name === undefined ? undefined : names.find(name)) ?? fallback;
  }

  /** The current key for new tickets; and the one before, while the ClientHello is read, if its ticket needs that. */
  #setKeys(c: TlsConnection, context: SecureContext): void {
    const keys = this.#keys;
    if (keys === undefined) {
      return;
    }
    context.useTicketKeys(keys, keys.refresh(c.base.reactor.now));
    const names = c.handshake!.hello?.ticketKeyNames ?? [];
    const isOld = names.some((name) => keys.isPrevious(name));
    if (isOld && !names.some((name) => keys.isCurrent(name))) {
      const { calls } = c.pipe;
      c.handshake!.openTickets = (isBefore) => {
        // Once it is resumed, what is still to be done is to issue new tickets: under the current key.
        if (!isBefore) {
          context.setTicketKey(keys.current);
        } else if (calls.SSL_session_reused(c.ssl) !== 1) {
          context.setTicketKey(keys.previous);
        }
      };
    }
  }

  #queueOf(reactor: Reactor): HandshakeQueue {
    let queue = this.#queues.get(reactor);
    if (queue === undefined) {
      queue = new HandshakeQueue(reactor, {
        timeoutMs: this.#options.handshakeTimeoutMs ?? 10_000,
        perTurn: this.#options.handshakesPerTurn ?? 5,
        onTimeout: (c) => {
          const text = 'The TLS handshake took too long';
          failHandshake(c, new TlsError('ERR_TLS_TIMEOUT', text), true);
        },
        onTurn: (c) => {
          c.flags |= ADMITTED;
          clearPause(c, WAITING);
          recall(c);
        },
      });
      this.#queues.set(reactor, queue);
    }
    return queue;
  }
}

function handshakeError(reason: string): TlsError {
  return new TlsError('ERR_TLS_HANDSHAKE', 'The TLS handshake failed', reason);
}

function keysOf(tickets: TlsOptions['tickets']): TicketKeys | undefined {
  if (tickets === false) {
    return undefined;
  }
  if (tickets === undefined) {
    return TicketKeys.create();
  }
  return tickets instanceof TicketKeys ? tickets : TicketKeys.from(tickets);
}

function integer(
  value: number | undefined,
  name: string,
  fallback: number,
  min: number,
  max: number,
): number {
  const given = value ?? fallback;
  if (!Number.isInteger(given) || given < min || given > max) {
    throw new RangeError(`Expected ${name} to be an integer from ${min} to ${max}, got ${given}`);
  }
  return given;
}
