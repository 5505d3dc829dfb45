/**
 * A WebSocket over a connection: joins the receiver to what a connection reports, and messages to what it sends. It
 * knows nothing of how the connection came about, nor of its transport.
 *
 *   open ──(our close frame)──> closing ──(the peer's)──> connection.close() ──> closed
 *     └───(the peer's, answered with ours)────────────────────┘
 *
 * A server then closes the connection; a client waits for it to (RFC 6455 section 7.1.1). Whatever is wrong on the wire
 * gets a close frame with its code, and the connection is closed.
 *
 * One of a million that are idle: small, without buffers, and without a timer of its own (deadline-list.ts). What only
 * some have is in Rare.
 */

import type { CloseReason, Connection, WriteResult } from '../api.js';
import type { SendOptions, WebSocket, WebSocketState } from './api.js';
import { CloseCode } from './close-code.js';
import type { Compression } from './compression.js';
import type { Side, Timed } from './endpoint.js';
import { BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT } from './frame.js';
import type { FrameSink } from './frame-sink.js';
import type { Receiver } from './receiver.js';
import { giveBack, takeReceiver } from './receiver-pool.js';
import { checkMessage, controlPayload, sendFrame, sendText } from './send-frame.js';
import { sendMessage } from './send-message.js';
import {
  cannotSend,
  checkedClosePayload,
  closeOf,
  closePayload,
  Flag,
  NO_SENDING,
  PONG_BACKLOG_BYTES,
  Rare,
  type Subscription,
} from './socket-state.js';
import type { Stage } from './stage.js';
import type { Violation } from './violation.js';

const EMPTY = Buffer.alloc(0);

export class WebSocketConnection implements WebSocket, FrameSink, Timed, Stage {
  readonly connection: Connection;
  readonly side: Side;
  readonly protocol: string;
  context: unknown = undefined;
  readonly compression: Compression | undefined;
  /** While something is received in part, paused or over: an idle one has none. */
  #receiver: Receiver | undefined = undefined;
  #flags = 0;
  #rare: Rare | undefined = undefined;
  /** What the hub has noted of it: see hub.ts. */
  subscriptions: Subscription[] | undefined = undefined;
  previous: Timed | undefined = undefined;
  next: Timed | undefined = undefined;
  deadline = 0;

  constructor(
    side: Side,
    connection: Connection,
    protocol: string,
    compression: Compression | undefined,
  ) {
    this.side = side;
    this.connection = connection;
    this.protocol = protocol;
    this.compression = compression;
  }

  // The user's face.

  get state(): WebSocketState {
    if ((this.#flags & Flag.ENDED) !== 0) {
      return 'closed';
    }
    return (this.#flags & (Flag.CLOSE_SENT | Flag.CLOSE_RECEIVED)) === 0 ? 'open' : 'closing';
  }

  get isDeflating(): boolean {
    return this.compression !== undefined;
  }

  get queuedBytes(): number {
    return this.connection.queuedBytes;
  }

  get isPaused(): boolean {
    return (this.#flags & Flag.IS_PAUSED) !== 0;
  }

  /** Whether a frame of a whole message may be sent now. */
  get canPublish(): boolean {
    return (this.#flags & (NO_SENDING | Flag.IN_FRAGMENTS)) === 0;
  }

  get isClient(): boolean {
    return this.side.endpoint.settings.isClient;
  }

  send(data: string | Uint8Array, options?: SendOptions): WriteResult {
    if (!this.canPublish) {
      checkMessage('send', data);
      return cannotSend(this.#flags);
    }
    return sendMessage(this, data, options);
  }

  sendFragment(data: string | Uint8Array, isFinal: boolean): WriteResult {
    checkMessage('sendFragment', data);
    if ((this.#flags & NO_SENDING) !== 0) {
      return 'closed';
    }
    const isFirst = (this.#flags & Flag.IN_FRAGMENTS) === 0;
    const opcode = isFirst ? (typeof data === 'string' ? TEXT : BINARY) : CONTINUATION;
    const send = typeof data === 'string' ? sendText : sendFrame;
    const first = isFinal ? FIN | opcode : opcode;
    const result = send(this.connection, first, data as string & Uint8Array, this.isClient);
    if (result === 'sent' || result === 'queued') {
      this.#flags = isFinal ? this.#flags & ~Flag.IN_FRAGMENTS : this.#flags | Flag.IN_FRAGMENTS;
      this.side.endpoint.counts.messagesSent += isFinal ? 1 : 0;
    }
    return result;
  }

  ping(data: string | Uint8Array = EMPTY): WriteResult {
    return this.#control(PING, 'ping', data);
  }

  pong(data: string | Uint8Array = EMPTY): WriteResult {
    return this.#control(PONG, 'pong', data);
  }

  close(code: number = CloseCode.NORMAL, reason = ''): void {
    const payload = checkedClosePayload(code, reason);
    if ((this.#flags & (Flag.CLOSE_SENT | Flag.ENDED)) === 0) {
      this.#sendClose(payload);
    }
  }

  abort(): void {
    this.connection.abort();
  }

  pause(): void {
    if ((this.#flags & (Flag.IS_PAUSED | Flag.ENDED)) === 0) {
      this.#flags |= Flag.IS_PAUSED;
      this.#receiver?.pause();
      this.connection.pause();
    }
  }

  resume(): void {
    if ((this.#flags & Flag.IS_PAUSED) !== 0) {
      this.#flags &= ~Flag.IS_PAUSED;
      this.#receiver?.resume();
      this.#goOn();
    }
  }

  /** Receives again, unless something is in the way. */
  #goOn(): void {
    if ((this.#flags & (Flag.IS_PAUSED | Flag.IS_INFLATING)) === 0) {
      this.connection.resume();
      if (this.#receiver !== undefined) {
        // It may have something to report. Not now: hooks are not called from within a call of the user's.
        this.connection.wake();
      }
    }
  }

  // What the connection reports.

  open(): void {
    const { counts, hooks } = this.side.endpoint;
    counts.opened += 1;
    counts.sockets += 1;
    this.side.open.add(this);
    hooks.onOpen?.call(hooks.owner, this);
  }

  receive(bytes: Buffer, start: number, end: number): void {
    if ((this.#flags & Flag.ENDED) !== 0) {
      return;
    }
    this.#flags |= Flag.HEARD;
    const held = this.#rare?.held;
    if (held !== undefined) {
      this.#rare!.held = undefined;
      const all = start === end ? held : Buffer.concat([held, bytes.subarray(start, end)]);
      this.receive(all, 0, all.length);
      return;
    }
    this.#receiver ??= takeReceiver(this);
    const receiver = this.#receiver;
    const at = receiver.receive(bytes, start, end, this);
    if (receiver.isSpare) {
      this.#receiver = undefined;
      giveBack(this, receiver);
    }
    if (at < end) {
      // Paused: at most one batch of the driver's, since the connection is paused too.
      this.#rareOf().held = Buffer.from(bytes.subarray(at, end));
      this.connection.pause();
    }
  }

  drained(): void {
    const rare = this.#rare;
    if (rare?.close !== undefined) {
      this.#writeClose(rare.close);
      return;
    }
    if (rare?.pong !== undefined) {
      this.#flushPong();
    }
    const { hooks } = this.side.endpoint;
    if (hooks.onDrain !== undefined && this.state === 'open') {
      hooks.onDrain.call(hooks.owner, this);
    }
  }

  peerEnded(): void {
    // FIN for FIN, after what is queued: also where half-open connections are allowed.
    this.connection.end();
  }

  ended(reason: CloseReason): void {
    if ((this.#flags & Flag.ENDED) !== 0) {
      return;
    }
    this.#flags |= Flag.ENDED;
    this.#receiver?.stop();
    this.side.open.remove(this);
    this.side.closing.remove(this);
    this.compression?.end();
    for (const subscription of this.subscriptions ?? []) {
      subscription.remove(this);
    }
    this.subscriptions = undefined;
    const { hooks, counts } = this.side.endpoint;
    counts.sockets -= 1;
    const rare = this.#rare;
    this.#rare = undefined;
    hooks.onClose?.call(hooks.owner, this, closeOf(this.#flags, rare, reason));
  }

  // What the receiver reports.

  onMessage(data: Buffer, isBinary: boolean): void {
    const { hooks, counts } = this.side.endpoint;
    counts.messagesReceived += 1;
    hooks.onMessage?.call(hooks.owner, this, data, isBinary);
  }

  onPing(data: Buffer): void {
    if ((this.#flags & Flag.CLOSE_SENT) === 0) {
      if (this.#rare?.pong === undefined && this.connection.queuedBytes <= PONG_BACKLOG_BYTES) {
        sendFrame(this.connection, FIN | PONG, data, this.isClient);
      } else {
        this.#keepPong(data);
      }
    }
    const { hooks } = this.side.endpoint;
    hooks.onPing?.call(hooks.owner, this, data);
  }

  onPong(data: Buffer): void {
    const { hooks } = this.side.endpoint;
    hooks.onPong?.call(hooks.owner, this, data);
  }

  onCloseFrame(code: number, reason: Buffer): void {
    this.#flags |= Flag.CLOSE_RECEIVED;
    const rare = this.#rareOf();
    rare.peerCode = code;
    rare.peerReason = reason.toString();
    if ((this.#flags & Flag.CLOSE_SENT) === 0) {
      this.#sendClose(code === CloseCode.NO_STATUS ? EMPTY : closePayload(code, EMPTY));
    }
    if (!this.isClient && rare.close === undefined) {
      this.connection.close();
    }
  }

  onViolation(violation: Violation): void {
    this.side.endpoint.counts.violations += 1;
    const rare = this.#rareOf();
    rare.violation = violation;
    if ((this.#flags & Flag.CLOSE_SENT) === 0) {
      this.#sendClose(closePayload(violation.closeCode, Buffer.from(violation.message)));
    }
    if (rare.close === undefined) {
      this.connection.close();
    }
  }

  onDeferred(): void {
    this.#flags |= Flag.IS_INFLATING;
    this.connection.pause();
  }

  onInflated(): void {
    this.#flags &= ~Flag.IS_INFLATING;
    this.#goOn();
  }

  // Deadlines.

  onSilence(): void {
    if ((this.#flags & (Flag.HEARD | Flag.IS_PAUSED | Flag.IS_INFLATING)) !== 0) {
      // While paused nothing can be heard.
      this.#flags &= ~(Flag.HEARD | Flag.PING_SENT);
    } else if ((this.#flags & Flag.PING_SENT) !== 0) {
      this.side.endpoint.counts.pingTimeouts += 1;
      this.#rareOf().timeout = 'ping';
      this.connection.abort();
      return;
    } else if (this.ping() !== 'full') {
      // Full: the peer has not read for long, and the write timeout is what ends it.
      this.#flags |= Flag.PING_SENT;
    }
    if ((this.#flags & Flag.ENDED) === 0 && this.deadline === 0) {
      this.side.open.add(this);
    }
  }

  onHandshakeDue(): void {
    if ((this.#flags & Flag.CLOSE_RECEIVED) !== 0 && this.#rare?.close === undefined) {
      // The handshake is done; it is the server that does not close.
      this.connection.close();
      return;
    }
    this.side.endpoint.counts.closeTimeouts += 1;
    this.#rareOf().timeout = 'close';
    this.connection.abort();
  }

  // Frames.

  #control(opcode: number, method: string, data: string | Uint8Array): WriteResult {
    const payload = controlPayload(method, data);
    return (this.#flags & (Flag.CLOSE_SENT | Flag.ENDED)) !== 0
      ? 'closed'
      : sendFrame(this.connection, FIN | opcode, payload, this.isClient);
  }

  /** The last ping replaces the one before it (section 5.5.3 allows to answer only that). */
  #keepPong(data: Buffer): void {
    const rare = this.#rareOf();
    if (rare.pong !== undefined) {
      this.side.endpoint.counts.pongsCoalesced += 1;
    }
    rare.pong = Buffer.from(data);
    if ((this.#flags & Flag.PONG_LISTED) === 0) {
      this.#flags |= Flag.PONG_LISTED;
      this.connection.receipt(() => {
        this.#flags &= ~Flag.PONG_LISTED;
        this.#flushPong();
      });
    }
  }

  #flushPong(): void {
    const pong = this.#rare?.pong;
    if (pong !== undefined && (this.#flags & (Flag.CLOSE_SENT | Flag.ENDED)) === 0) {
      const result = sendFrame(this.connection, FIN | PONG, pong, this.isClient);
      if (result !== 'full' && this.#rare !== undefined) {
        this.#rare.pong = undefined;
      }
    }
  }

  #sendClose(payload: Buffer): void {
    this.#flags |= Flag.CLOSE_SENT;
    this.side.open.remove(this);
    this.side.closing.add(this);
    if (sendFrame(this.connection, FIN | CLOSE, payload, this.isClient) === 'full') {
      this.#rareOf().close = payload;
    }
  }

  /** A close frame that had to wait. What was to follow it follows it. */
  #writeClose(payload: Buffer): void {
    if (sendFrame(this.connection, FIN | CLOSE, payload, this.isClient) === 'full') {
      return;
    }
    const rare = this.#rareOf();
    rare.close = undefined;
    const isAnswered = (this.#flags & Flag.CLOSE_RECEIVED) !== 0 && !this.isClient;
    if (isAnswered || rare.violation !== undefined) {
      this.connection.close();
    }
  }

  #rareOf(): Rare {
    this.#rare ??= new Rare();
    return this.#rare;
  }
}
