/**
 * A datagram socket as the user sees it, and the state that its paths share (receive-path.ts, send-path.ts,
 * error-path.ts). The descriptor belongs to the driver; the calls for its data are made here.
 */

import type { CloseReason, Reactor } from '../../api.js';
import { type DatagramScheme, datagramUrl } from '../../base/datagram-address.js';
import { SOCKADDR_STORAGE_SIZE } from '../../base/layout.js';
import { AF_UNIX, EPOLLIN, EPOLLOUT } from '../../base/linux.js';
import type {
  DatagramPeer,
  DatagramSession,
  DatagramSocket,
  DatagramSocketStats,
  MulticastGroup,
  SendResult,
} from '../../datagrams.js';
import { makeId } from '../connection-table.js';
import { setUserTimer } from '../user-timers.js';
import { Backlog } from './backlog.js';
import { clearTimer, Ending, finish, onQueueEmpty, watchProgress } from './ending.js';
import type { DatagramHub } from './hub.js';
import * as multicast from './multicast.js';
import { PeerAddress } from './peer-address.js';
import { resolvePeer } from './peer-from-url.js';
import type { DatagramProfile } from './profile.js';
import { drainBacklog, nextRetry, sendDatagram, sendSegments } from './send-path.js';
import { PeerSession, SessionTable } from './session.js';

/** What a socket is made of, once its descriptor is bound or connected. */
export interface EndpointParts {
  readonly fd: number;
  /** AF_INET, AF_INET6 or AF_UNIX. */
  readonly family: number;
  readonly scheme: DatagramScheme;
  readonly profile: DatagramProfile;
  /** Of a connected socket. */
  readonly remote: PeerAddress | undefined;
  /** The socket file to remove. */
  readonly path: string | undefined;
  /** Errors of what was sent are queued, with whom it was sent to. */
  readonly hasErrorQueue: boolean;
  /** UDP_SEGMENT is there. */
  readonly canSegment: boolean;
  /** A seqpacket connection that is a session by itself. */
  readonly isSession: boolean;
  readonly context?: unknown;
}

export class DatagramEndpoint implements DatagramSocket {
  context: unknown;
  isOpen = true;
  isPaused = false;
  readonly id: number;
  readonly hub: DatagramHub;
  readonly slot: number;
  readonly fd: number;
  readonly family: number;
  readonly scheme: DatagramScheme;
  readonly profile: DatagramProfile;
  readonly remote: PeerAddress | undefined;
  readonly path: string | undefined;
  readonly hasErrorQueue: boolean;
  canSegment: boolean;
  /** Segments that are longer were refused: by the path of some peer. */
  segmentBytesMax = Number.POSITIVE_INFINITY;
  readonly backlog: Backlog;
  readonly ending = new Ending();
  /** The sender of the datagram that is being delivered. */
  readonly peer: PeerAddress;
  readonly table: SessionTable | undefined;
  /** The one that the socket itself is. */
  readonly session: PeerSession | undefined;
  /** What broke the connection, which ends once everything is read. */
  failure: Error | undefined = undefined;
  /** Called once when the socket ends. */
  onEnd: () => void = () => {};
  /** `full` was answered: `onSocketDrain` is owed. */
  hasRefused = false;
  retryMs = 0;
  received = 0;
  sent = 0;
  dropped = 0;
  truncated = 0;
  overflowed = 0;
  errors = 0;
  /** The kernel's own count of datagrams lost, as last told. */
  overflowSeen = 0;
  #localAddress: string | undefined;
  #wanted = -1;
  #isRetrying = false;
  #reason: CloseReason = { code: 'closed', unsentBytes: 0 };

  constructor(hub: DatagramHub, slot: number, parts: EndpointParts) {
    this.id = makeId(hub.state.index, hub.state.table.generations[slot], slot);
    this.hub = hub;
    this.slot = slot;
    this.fd = parts.fd;
    this.family = parts.family;
    this.scheme = parts.scheme;
    this.profile = parts.profile;
    this.remote = parts.remote;
    this.path = parts.path;
    this.hasErrorQueue = parts.hasErrorQueue;
    this.canSegment = parts.canSegment;
    this.context = parts.context;
    const { sendQueueMax, sendQueueBytesMax, hasSessions } = parts.profile;
    const isPerPeer = parts.family === AF_UNIX && parts.remote === undefined && !parts.isSession;
    this.backlog = new Backlog(isPerPeer, sendQueueMax, sendQueueBytesMax);
    this.peer = new PeerAddress(parts.scheme);
    this.table = hasSessions && !parts.isSession ? new SessionTable(this) : undefined;
    this.session = parts.isSession ? new PeerSession(this, undefined) : undefined;
  }

  get reactor(): Reactor {
    return this.hub.state.reactor;
  }

  /** What ends when its peer does. */
  get isConnection(): boolean {
    return this.scheme === 'seqpacket';
  }

  /** Whether what comes is delivered: not while it waits for the end. */
  get isReceiving(): boolean {
    return this.isOpen && this.ending.code === undefined;
  }

  /** A session ends after so long without a datagram; a connection only where that was asked for. */
  get idleTimeoutMs(): number {
    const { hasSessions, idleTimeoutMs } = this.profile;
    return hasSessions ? idleTimeoutMs : 0;
  }

  /** Whether each datagram's ancillary data have to be looked at. */
  get readsControl(): boolean {
    return this.profile.gro || this.profile.localAddresses;
  }

  get localAddress(): string {
    if (this.#localAddress === undefined && this.isOpen) {
      const name = new Uint8Array(SOCKADDR_STORAGE_SIZE);
      const n = this.hub.state.kernel.getSocketName(this.fd, name);
      this.#localAddress = n < 0 ? '' : datagramUrl(name, n, this.scheme);
    }
    return this.#localAddress ?? '';
  }

  get remoteAddress(): string {
    return this.remote?.address ?? '';
  }

  get queuedDatagrams(): number {
    return this.backlog.count;
  }

  get queuedBytes(): number {
    return this.backlog.byteLength;
  }

  get stats(): DatagramSocketStats {
    const { received, sent, dropped, truncated, overflowed, errors } = this;
    return { received, sent, dropped, truncated, overflowed, errors };
  }

  send(data: Uint8Array | string, to?: DatagramPeer | string): SendResult {
    return sendDatagram(this, data, to, 0);
  }

  sendSegments(data: Uint8Array, segmentBytes: number, to?: DatagramPeer | string): SendResult {
    return sendSegments(this, data, segmentBytes, to);
  }

  flush(): void {
    if (this.hub.gatheringFor === this) {
      this.hub.flush();
    }
  }

  /** The address to send to; undefined: to whom the socket is connected. Throws TypeError for what is none. */
  peerFor(to: DatagramPeer | string | undefined): PeerAddress | undefined {
    if (to instanceof PeerAddress && to.family === this.family) {
      return to;
    }
    if (to === undefined && this.remote === undefined && this.session === undefined) {
      throw new TypeError('Cannot send: the socket is not connected, and no peer was given');
    }
    return to === undefined ? undefined : resolvePeer(to, this.family, this.scheme);
  }

  pause(): void {
    this.isPaused = true;
    this.updateInterest();
  }

  resume(): void {
    this.isPaused = false;
    this.updateInterest();
  }

  joinGroup(group: MulticastGroup | string): void {
    multicast.changeMembership(this, group, true);
  }

  leaveGroup(group: MulticastGroup | string): void {
    multicast.changeMembership(this, group, false);
  }

  setMulticastInterface(device: string | number): void {
    multicast.setOption(this, 'multicastInterface', device);
  }

  setMulticastLoopback(isOn: boolean): void {
    multicast.setOption(this, 'multicastLoopback', isOn);
  }

  setMulticastTtl(hops: number): void {
    multicast.setOption(this, 'multicastTtl', hops);
  }

  setTtl(hops: number): void {
    multicast.setOption(this, 'ttl', hops);
  }

  setBroadcast(isOn: boolean): void {
    multicast.setOption(this, 'broadcast', isOn);
  }

  *sessions(): IterableIterator<DatagramSession> {
    if (this.session?.isOpen === true) {
      yield this.session;
    }
    yield* this.table?.values() ?? [];
  }

  get sessionCount(): number {
    return this.table?.size ?? (this.session?.isOpen === true ? 1 : 0);
  }

  close(): void {
    finish(this, 'closed');
  }

  // What the paths and the hub use.

  /** Tells the driver what to wait for. */
  updateInterest(): void {
    if (!this.isOpen) {
      return;
    }
    const waitsForRoom = this.backlog.count > 0 && !this.backlog.isPerPeer;
    const wantsMore = !this.isPaused && this.isReceiving && !this.ending.isReceiveEnded;
    const wanted = (wantsMore ? EPOLLIN : 0) | (waitsForRoom ? EPOLLOUT : 0);
    if (wanted !== this.#wanted) {
      this.#wanted = wanted;
      this.hub.state.driver.want(this.slot, wanted);
      this.hub.state.requestTurn();
    }
  }

  /** Something waits for room, or nothing does any more. */
  awaitRoom(): void {
    this.updateInterest();
    if (this.backlog.count > 0) {
      this.#retry();
      watchProgress(this);
      return;
    }
    onQueueEmpty(this);
    if (this.hasRefused && this.isOpen) {
      this.hasRefused = false;
      this.#reportDrain();
    }
  }

  #reportDrain(): void {
    const { hub, session, profile } = this;
    const { onSocketDrain, onSessionDrain, handler } = profile;
    if (session !== undefined && onSessionDrain !== undefined) {
      hub.notify(() => hub.run(session, () => onSessionDrain.call(handler, session)));
    } else if (onSocketDrain !== undefined) {
      hub.notify(() => hub.run(session, () => onSocketDrain.call(handler, this)));
    }
  }

  /** Where nothing tells that there is room: from time to time. */
  #retry(): void {
    if (this.backlog.isPerPeer && !this.#isRetrying && this.isOpen) {
      this.#isRetrying = true;
      setUserTimer(this.hub.state, nextRetry(this), () => {
        this.#isRetrying = false;
        if (this.isOpen) {
          drainBacklog(this);
        }
      });
    }
  }

  /** Closes, for whatever reason. `onSocketClose` follows. */
  end(code: CloseReason['code'], error?: Error, timeout?: CloseReason['timeout']): void {
    if (!this.isOpen) {
      return;
    }
    this.flush();
    // For those who ask afterwards.
    void this.localAddress;
    this.isOpen = false;
    clearTimer(this);
    this.onEnd();
    const { state } = this.hub;
    const cause = error ?? this.failure;
    this.#reason = {
      code: code === 'ended' && cause !== undefined ? 'reset' : code,
      unsentBytes: this.backlog.byteLength,
      ...(cause === undefined ? {} : { error: cause }),
      ...(timeout === undefined ? {} : { timeout }),
    };
    this.backlog.takeAll();
    for (const session of this.table?.clear() ?? []) {
      session.retire(
        code === 'closed' || code === 'shutdown'
          ? { ...this.#reason, unsentBytes: 0 }
          : this.#reason,
      );
    }
    if (this.session?.isOpen === true) {
      this.session.retire(this.#reason);
    }
    state.driver.close(this.slot, false);
    if (this.path !== undefined) {
      state.kernel.unlink(this.path);
    }
    state.requestTurn();
  }

  /** The descriptor is closed. */
  reportClose(): void {
    const { onSocketClose, handler } = this.profile;
    if (onSocketClose !== undefined && this.session === undefined) {
      this.hub.run(undefined, () => onSocketClose.call(handler, this, this.#reason));
    }
  }

  /** The first hook: of the socket, or of the session that it is. */
  announce(): void {
    const { hub, profile, session } = this;
    const { onSocketOpen, onSessionOpen, handler } = profile;
    if (session === undefined) {
      if (onSocketOpen !== undefined) {
        hub.run(undefined, () => onSocketOpen.call(handler, this));
      }
    } else if (onSessionOpen !== undefined) {
      hub.run(session, () => onSessionOpen.call(handler, session));
    }
  }
}
