/**
 * The datagram sockets of one reactor, and what they share: the memory of the batches, the numbers of sessions, and
 * the list of what is to be told at the end of the turn. Made with the first socket: a reactor without any has none.
 *
 * What was sent in a turn is gathered for one socket at a time and goes to the kernel when another one sends, when the
 * batch is full, and at the end of the turn. News that come up inside a call of the user's (a send that failed, a
 * session that was closed) wait on `notices`: no hook is entered from within another.
 */

import { slotOfId } from '../connection-table.js';
import type { ReactorState } from '../reactor-state.js';
import { Counter, Hook } from '../stats.js';
import { USER_TIMER } from '../user-timers.js';
import { finish } from './ending.js';
import { DatagramEndpoint, type EndpointParts } from './endpoint.js';
import { DatagramProfile } from './profile.js';
import { ReceiveBatch } from './receive-batch.js';
import { onReady } from './receive-path.js';
import { SendBatch } from './send-batch.js';
import { flushGathered } from './send-path.js';
import type { PeerSession } from './session.js';
import { makeSessionId } from './session-id.js';

/** Notices worked off in one turn, and the most that may wait: beyond, errors are only counted. */
const NOTICES_BUDGET = 1_024;
const NOTICES_MAX = 16_384;
/** Bytes kept of a datagram that the error queue gives back: none are looked at. */
const ERROR_BYTES = 8;
/** Timers of sessions have the wheel's payloads below the user's. */
const FIRST_PAYLOAD = USER_TIMER - 1;

export class DatagramHub {
  readonly state: ReactorState;
  readonly endpoints = new Map<number, DatagramEndpoint>();
  /** By index. */
  readonly #sessions: (PeerSession | undefined)[] = [];
  readonly #freeIndexes: number[] = [];
  /** Counts all sessions that ever were, for their ids. */
  #sessionSerial = 0;
  /** By id; made when one is looked for, since most are not. */
  #byId: Map<number, PeerSession> | undefined;
  sessionCount = 0;
  /** Sockets that are sessions. */
  connectionCount = 0;
  readonly lowSeed: number;
  readonly highSeed: number;
  /** The socket whose datagrams are gathered. */
  gatheringFor: DatagramEndpoint | undefined = undefined;
  #gathered: SendBatch | undefined;
  readonly #receiveBatches = new Map<number, ReceiveBatch>();
  #errorBatch: ReceiveBatch | undefined;
  #notices: (() => void)[] = [];
  readonly #profiles = new WeakMap<object, DatagramProfile>();

  constructor(state: ReactorState) {
    this.state = state;
    this.lowSeed = state.kernel.random();
    this.highSeed = state.kernel.random() & 0xffff;
  }

  get isEmpty(): boolean {
    return this.endpoints.size === 0;
  }

  /** Takes over a bound or connected socket. Throws SystemError or RangeError, and then has not taken it. */
  open(parts: EndpointParts): DatagramEndpoint {
    const { state } = this;
    const slot = state.table.take();
    if (slot < 0) {
      throw new RangeError('Cannot open a datagram socket: all slots are in use');
    }
    const endpoint = new DatagramEndpoint(this, slot, parts);
    state.driver.watch(slot, parts.fd);
    this.endpoints.set(slot, endpoint);
    this.connectionCount += endpoint.session === undefined ? 0 : 1;
    state.stats.set(Counter.datagramSockets, this.endpoints.size);
    endpoint.updateInterest();
    state.requestTurn();
    return endpoint;
  }

  ready(slot: number, events: number): void {
    const endpoint = this.endpoints.get(slot);
    if (endpoint !== undefined) {
      onReady(endpoint, events);
    }
  }

  /** The driver has closed a slot: true if it was of a datagram socket. */
  closed(slot: number): boolean {
    const endpoint = this.endpoints.get(slot);
    if (endpoint === undefined) {
      return false;
    }
    this.endpoints.delete(slot);
    this.connectionCount -= endpoint.session === undefined ? 0 : 1;
    const { stats, table } = this.state;
    stats.set(Counter.datagramSockets, this.endpoints.size);
    table.release(slot);
    this.notify(() => endpoint.reportClose());
    return true;
  }

  // The batches.

  receiveBatch(bytesMax: number): ReceiveBatch {
    let batch = this.#receiveBatches.get(bytesMax);
    if (batch === undefined) {
      batch = new ReceiveBatch(this.state.kernel, bytesMax);
      this.#receiveBatches.set(bytesMax, batch);
    }
    return batch;
  }

  get errorBatch(): ReceiveBatch {
    this.#errorBatch ??= new ReceiveBatch(this.state.kernel, ERROR_BYTES);
    return this.#errorBatch;
  }

  /** The batch in which `endpoint` gathers: what another one has in it goes out first. */
  gatherFor(endpoint: DatagramEndpoint): SendBatch {
    if (this.gatheringFor !== endpoint) {
      const batch = this.emptyBatch();
      this.gatheringFor = endpoint;
      return batch;
    }
    return this.#gathered!;
  }

  /** The batch after what was gathered in it has gone out: for who sends it at once. */
  emptyBatch(): SendBatch {
    this.#gathered ??= new SendBatch(this.state.kernel);
    this.flush();
    return this.#gathered;
  }

  /** Sends what is gathered. */
  flush(): void {
    const { gatheringFor } = this;
    // First: sending may end the socket, which would send what it has gathered.
    this.gatheringFor = undefined;
    if (gatheringFor !== undefined && this.#gathered?.isEmpty === false) {
      flushGathered(gatheringFor, this.#gathered);
    }
  }

  // Sessions.

  /** Gives a session its number and, if it has an idle timeout, its timer. False if there are too many timers. */
  enroll(session: PeerSession): boolean {
    const index = this.#freeIndexes.pop() ?? this.#sessions.length;
    session.index = index;
    if (!this.armIdle(session)) {
      this.#freeIndexes.push(index);
      return false;
    }
    this.#sessions[index] = session;
    this.#sessionSerial += 1;
    session.id = makeSessionId(this.state.index, this.#sessionSerial);
    this.#byId?.set(session.id, session);
    this.sessionCount += 1;
    this.state.stats.set(Counter.sessions, this.sessionCount);
    this.state.stats.add(Counter.sessionsOpened, 1);
    return true;
  }

  dismiss(session: PeerSession): void {
    this.#byId?.delete(session.id);
    this.#sessions[session.index] = undefined;
    this.#freeIndexes.push(session.index);
    this.state.wheel.clear(session.timer);
    this.sessionCount -= 1;
    this.state.stats.set(Counter.sessions, this.sessionCount);
    this.state.stats.add(Counter.sessionsClosed, 1);
  }

  /** The open session of that id. */
  findSession(id: number): PeerSession | undefined {
    if (this.#byId === undefined) {
      this.#byId = new Map();
      for (const session of this.#sessions) {
        if (session !== undefined) {
          this.#byId.set(session.id, session);
        }
      }
    }
    return this.#byId.get(id);
  }

  /** The socket of that id. */
  findSocket(id: number): DatagramEndpoint | undefined {
    const endpoint = this.endpoints.get(slotOfId(id));
    return endpoint?.id === id ? endpoint : undefined;
  }

  /** Sets the timer for when the session will have been idle for too long, as things stand. */
  armIdle(session: PeerSession): boolean {
    const { idleTimeoutMs } = session.endpoint;
    if (idleTimeoutMs > 0) {
      const due = session.lastReceived + idleTimeoutMs;
      session.timer = this.state.wheel.set(due, FIRST_PAYLOAD - session.index);
    }
    return session.timer >= 0;
  }

  /** A timer of the wheel. */
  onTimer(payload: number): void {
    const session = this.#sessions[FIRST_PAYLOAD - payload];
    if (session === undefined) {
      return;
    }
    // Receiving has only noted the time.
    const { idleTimeoutMs } = session.endpoint;
    if (this.state.now >= session.lastReceived + idleTimeoutMs || !this.armIdle(session)) {
      this.state.stats.add(Counter.timeoutIdle, 1);
      session.conclude('timeout', undefined, 'idle');
    }
  }

  // The turn.

  /** Has `notice` called, which runs a hook, outside of any call of the user's. False if too many wait. */
  notify(notice: () => void, isDroppable = false): boolean {
    if (isDroppable && this.#notices.length >= NOTICES_MAX) {
      return false;
    }
    this.#notices.push(notice);
    this.state.requestTurn();
    return true;
  }

  /** Runs what waits, some of it. Not from within a hook. */
  tell(): void {
    for (let i = 0; i < NOTICES_BUDGET && this.#notices.length > 0; ) {
      const list = this.#notices;
      this.#notices = [];
      i += list.length;
      for (const notice of list) {
        notice();
      }
    }
  }

  /** The end of a turn; true if another one is to follow. */
  settle(): boolean {
    this.flush();
    if (this.#notices.length > 0) {
      this.tell();
      this.flush();
    }
    return this.#notices.length > 0;
  }

  // The end.

  /** Connections send what is queued first. */
  closeAll(): void {
    for (const endpoint of [...this.endpoints.values()]) {
      finish(endpoint, 'shutdown');
    }
  }

  abortAll(): void {
    for (const endpoint of [...this.endpoints.values()]) {
      endpoint.end('shutdown');
    }
  }

  /** The profile of a listening handler with its server's options, made once for each reactor. */
  profileOf(handler: object, options: object): DatagramProfile {
    let profile = this.#profiles.get(handler);
    if (profile === undefined) {
      profile = new DatagramProfile(handler, options);
      this.#profiles.set(handler, profile);
    }
    return profile;
  }

  destroy(): void {
    for (const batch of this.#receiveBatches.values()) {
      batch.release();
    }
    this.#receiveBatches.clear();
    this.#errorBatch?.release();
    this.#gathered?.release();
    this.#errorBatch = undefined;
    this.#gathered = undefined;
    // Their files, where nobody has closed them before.
    for (const { path } of this.endpoints.values()) {
      if (path !== undefined) {
        this.state.kernel.unlink(path);
      }
    }
    this.endpoints.clear();
  }

  /** Runs a hook; the session whose hook throws, if it is one's, is closed. */
  run(session: PeerSession | undefined, hook: () => unknown): void {
    const { stats } = this.state;
    let action: unknown;
    stats.enterHook(Hook.onDatagram, -1);
    try {
      action = hook();
    } catch (error) {
      this.failed(session, error);
    }
    stats.leaveHook();
    this.act(session, action);
  }

  /** A hook threw. */
  failed(session: PeerSession | undefined, thrown: unknown): void {
    this.state.stats.add(Counter.handlerErrors, 1);
    this.state.warn(thrown);
    const error = thrown instanceof Error ? thrown : new Error(`A hook threw ${String(thrown)}`);
    session?.conclude('handler', error);
  }

  /** Carries out what a hook returned. */
  act(session: PeerSession | undefined, action: unknown): void {
    if (action === 'shutdown') {
      this.state.requestShutdown();
    } else if (action === 'close') {
      session?.close();
    }
  }
}

/** The reactor's hub, made now if it has none. */
export function hubOf(state: ReactorState): DatagramHub {
  state.datagrams ??= new DatagramHub(state);
  return state.datagrams;
}
