/**
 * A session: one peer of a socket, or a seqpacket connection, which has a socket of its own. And the table by which a
 * socket finds the session of a datagram.
 */

import type { CloseReason, Reactor } from '../../api.js';
import type {
  DatagramSession,
  DatagramSocket,
  PeerCredentials,
  SendResult,
} from '../../datagrams.js';
import { Counter } from '../stats.js';
import { endSending } from './ending.js';
import type { DatagramEndpoint } from './endpoint.js';
import type { PeerAddress } from './peer-address.js';
import { peerCredentials } from './peer-credentials.js';
import { sendDatagram } from './send-path.js';

export class PeerSession implements DatagramSession {
  id = 0;
  context: unknown;
  datagramsReceived = 0;
  bytesReceived = 0;
  isOpen = true;
  readonly endpoint: DatagramEndpoint;
  /** Undefined where the socket is the session's own. */
  readonly peer: PeerAddress | undefined;
  /** In the hub's list. */
  index = -1;
  timer = 0;
  /** Milliseconds of the reactor's clock. */
  lastReceived: number;

  constructor(endpoint: DatagramEndpoint, peer: PeerAddress | undefined) {
    this.endpoint = endpoint;
    this.peer = peer;
    this.context = peer === undefined ? endpoint.context : undefined;
    this.lastReceived = endpoint.hub.state.now;
  }

  get socket(): DatagramSocket {
    return this.endpoint;
  }

  get reactor(): Reactor {
    return this.endpoint.reactor;
  }

  get localAddress(): string {
    return this.endpoint.localAddress;
  }

  get remoteAddress(): string {
    return this.peer?.address ?? this.endpoint.remoteAddress;
  }

  send(data: Uint8Array | string): SendResult {
    return this.isOpen ? sendDatagram(this.endpoint, data, this.peer, 0) : 'closed';
  }

  get peerCredentials(): PeerCredentials | undefined {
    const { hub, fd, isConnection, isOpen } = this.endpoint;
    return isConnection && isOpen ? peerCredentials(hub.state.kernel, fd) : undefined;
  }

  end(): void {
    endSending(this.endpoint);
  }

  close(): void {
    if (this.peer === undefined) {
      this.endpoint.close();
    } else {
      this.conclude('closed');
    }
  }

  abort(): void {
    this.conclude('aborted');
  }

  /** Ends the session now; its hook is called soon. */
  conclude(code: CloseReason['code'], error?: Error, timeout?: CloseReason['timeout']): void {
    if (!this.isOpen) {
      return;
    }
    const { endpoint } = this;
    if (this.peer === undefined) {
      // The socket ends, and with it the session: see `DatagramEndpoint.end`.
      endpoint.end(code, error, timeout);
      return;
    }
    endpoint.table?.remove(this);
    this.retire({
      code,
      unsentBytes: 0,
      ...(error === undefined ? {} : { error }),
      ...(timeout === undefined ? {} : { timeout }),
    });
  }

  /** Is no more; the hook follows. */
  retire(reason: CloseReason): void {
    this.isOpen = false;
    const { hub, profile } = this.endpoint;
    hub.dismiss(this);
    const { onSessionClose, handler } = profile;
    if (onSessionClose !== undefined) {
      hub.notify(() => hub.run(undefined, () => onSessionClose.call(handler, this, reason)));
    }
  }
}

export class SessionTable {
  readonly #endpoint: DatagramEndpoint;
  readonly #sessions = new Map<number | string, PeerSession>();

  constructor(endpoint: DatagramEndpoint) {
    this.#endpoint = endpoint;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** The session of a peer, which is opened if it has none; undefined if there may be no more. */
  find(peer: PeerAddress): PeerSession | undefined {
    const { lowSeed, highSeed } = this.#endpoint.hub;
    const key = peer.key(lowSeed, highSeed);
    return this.#sessions.get(key) ?? this.#open(key, peer);
  }

  #open(key: number | string, peer: PeerAddress): PeerSession | undefined {
    const { hub, profile } = this.#endpoint;
    // The end of a former session of the same peer is told first.
    hub.tell();
    if (this.#sessions.size >= profile.sessionsMax || !this.#endpoint.isOpen) {
      hub.state.stats.add(Counter.refusedSessionsMax, 1);
      return undefined;
    }
    const session = new PeerSession(this.#endpoint, peer.keep());
    if (!hub.enroll(session)) {
      hub.state.stats.add(Counter.refusedSessionsMax, 1);
      return undefined;
    }
    this.#sessions.set(key, session);
    const { onSessionOpen, handler } = profile;
    if (onSessionOpen !== undefined) {
      hub.run(session, () => onSessionOpen.call(handler, session));
    }
    return session;
  }

  remove(session: PeerSession): void {
    const { lowSeed, highSeed } = this.#endpoint.hub;
    this.#sessions.delete(session.peer!.key(lowSeed, highSeed));
  }

  /** Takes all sessions out. */
  clear(): PeerSession[] {
    const all = [...this.#sessions.values()];
    this.#sessions.clear();
    return all;
  }

  values(): IterableIterator<PeerSession> {
    return this.#sessions.values();
  }
}
