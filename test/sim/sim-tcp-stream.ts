/**
 * An established TCP connection's end as in net/ipv4/tcp.c, without sequence numbers: what was sent lies in the
 * sender's queue until a delivery moves a piece of it to the receiver. Each direction has one delivery underway at
 * most, which keeps the order; FIN follows the last byte, RST overtakes what does not fit. Called by sim-tcp.ts, which
 * adds the life before the connection.
 */

import { EAGAIN, ECONNRESET, ENOTCONN, EPIPE } from '../../src/base/errno.js';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../src/base/linux.js';
import { ByteQueue } from './byte-queue.js';
import { BOTH_SHUT, RECEIVE_SHUT, SEND_SHUT, SimSocket } from './sim-socket.js';
import type { Target } from './sim-timeline.js';

/** `dead` is TCP_CLOSE after a connection or an attempt, `fresh` the same before any. */
export type TcpState = 'fresh' | 'listening' | 'connecting' | 'connected' | 'dead';

/** The delivery of a piece of data, a FIN or a RST. Other kinds are the handshake's. */
export const SEGMENT = 0;

/** From this size on segments are not cut at random. */
const WHOLE_SEGMENT = 65_536;

export abstract class TcpStream extends SimSocket implements Target {
  override readonly kind = 'tcp';
  protected state: TcpState = 'fresh';
  protected peer: TcpStream | undefined;
  /** No descriptor is left; the connection goes on until its end. */
  protected isOrphan = false;
  protected readonly sending = new ByteQueue();
  protected readonly received = new ByteQueue();
  protected isFinQueued = false;
  private isFinAcknowledged = false;
  private hasFin = false;
  private isSegmentUnderway = false;
  /** The receiver had no room: it asks for the next delivery once it has. */
  private isStalled = false;
  private isResetQueued = false;

  override get isListening(): boolean {
    return this.state === 'listening';
  }

  override get isConnected(): boolean {
    return this.state === 'connected';
  }

  override get hasInput(): boolean {
    return this.received.length > 0 || this.hasFin;
  }

  get isConnecting(): boolean {
    return this.state === 'connecting';
  }

  /** Makes a connection acceptable whose handshake is not over, as its first data does. */
  protected abstract completeHandshake(): void;
  /** The connection is over and nobody holds it: lets go of its port. */
  protected abstract retire(): void;
  abstract deliver(kind: number): void;

  override poll(): number {
    const state = this.state;
    if (state === 'listening') return this.backlogLength > 0 ? EPOLLIN : 0;
    let mask = this.error === 0 ? 0 : EPOLLERR;
    const shut = this.shutdownMask;
    if (shut === BOTH_SHUT || state === 'fresh' || state === 'dead') mask |= EPOLLHUP;
    if ((shut & RECEIVE_SHUT) !== 0) mask |= EPOLLIN | EPOLLRDHUP;
    if (state === 'connecting') return mask;
    if (this.received.length > 0) mask |= EPOLLIN;
    // sk_stream_is_writeable: a third of the buffer must be free.
    const isWritable = this.sending.length * 3 <= this.options.sendBuffer * 2;
    if (isWritable || (shut & SEND_SHUT) !== 0) mask |= EPOLLOUT;
    return mask;
  }

  override receive(target: Uint8Array): number {
    if (this.state === 'listening') return -ENOTCONN;
    if (this.received.length > 0) {
      const n = this.received.shift(target, 0, target.length);
      this.askForMore();
      return n;
    }
    if (this.hasFin) return 0;
    if (this.error !== 0) return -this.takeError();
    if ((this.shutdownMask & RECEIVE_SHUT) !== 0) return 0;
    return this.state === 'fresh' || this.state === 'dead' ? -ENOTCONN : -EAGAIN;
  }

  override send(source: Uint8Array): number {
    if (this.error !== 0) return -this.takeError();
    if (this.state === 'connecting') return -EAGAIN;
    if (this.state !== 'connected' || (this.shutdownMask & SEND_SHUT) !== 0) return -EPIPE;
    if (source.length === 0) return 0;
    const room = this.options.sendBuffer - this.sending.length;
    if (room < source.length) this.isRoomMissed = true;
    if (room <= 0) return -EAGAIN;
    const n = Math.min(room, source.length);
    this.sending.push(source, 0, n);
    this.startSegment();
    return n;
  }

  /** As if a RST had come from the network, for both ends. */
  override breakWith(errno: number): boolean {
    if (this.state !== 'connected') return false;
    this.sendReset();
    this.error = errno === ECONNRESET && this.isPassiveEnd ? EPIPE : errno;
    this.notify();
    return true;
  }

  protected queueFin(): void {
    if (this.isFinQueued) return;
    this.isFinQueued = true;
    this.startSegment();
  }

  /** Ends the connection here and sends RST, ahead of which some of what was in flight may still arrive. */
  protected sendReset(): void {
    this.state = 'dead';
    this.shutdownMask = BOTH_SHUT;
    this.isResetQueued = true;
    if (!this.network.random.chance(this.network.shape.dataBeforeReset)) this.sending.clear();
    this.startSegment();
  }

  /** A piece of this end's queue, its FIN or its RST reaches the peer. */
  protected arriveSegment(): void {
    this.isSegmentUnderway = false;
    const peer = this.peer!;
    peer.completeHandshake();
    if (this.isResetQueued) this.arriveReset(peer);
    else if (this.sending.length > 0) this.arriveData(peer);
    else if (this.isFinQueued && !this.isFinAcknowledged) this.arriveFin(peer);
  }

  private arriveData(peer: TcpStream): void {
    if (peer.refusesData) {
      peer.answerWithReset(this);
      return;
    }
    const room = peer.options.receiveBuffer - peer.received.length;
    if (room <= 0) {
      this.isStalled = true;
      return;
    }
    this.sending.moveTo(peer.received, this.cut(Math.min(room, this.sending.length)));
    peer.notify();
    this.notify();
    const { random, shape } = this.network;
    if (this.sending.length > 0) this.startSegment();
    else if (this.isFinQueued && random.chance(shape.finWithData)) this.arriveFin(peer);
    else if (this.isFinQueued) this.startSegment();
  }

  private startSegment(): void {
    if (this.isSegmentUnderway) return;
    this.isSegmentUnderway = true;
    this.network.timeline.schedule(this.network.latency(), this, SEGMENT);
  }

  /** How much of `most` bytes comes in one piece. */
  private cut(most: number): number {
    const { segmentMax } = this.network.shape;
    if (segmentMax >= WHOLE_SEGMENT) return most;
    return 1 + this.network.random.below(Math.min(most, segmentMax));
  }

  /** There is room again in this receiver's buffer. */
  private askForMore(): void {
    const sender = this.peer;
    if (sender === undefined || !sender.isStalled) return;
    sender.isStalled = false;
    sender.startSegment();
  }

  private arriveFin(peer: TcpStream): void {
    this.isFinAcknowledged = true;
    if (peer.state === 'connected') {
      peer.hasFin = true;
      peer.shutdownMask |= RECEIVE_SHUT;
      peer.finish();
      peer.notify();
    }
    this.finish();
    this.notify();
  }

  private arriveReset(peer: TcpStream): void {
    const room = peer.options.receiveBuffer - peer.received.length;
    if (room > 0 && this.sending.length > 0 && !peer.refusesData) {
      this.sending.moveTo(peer.received, room);
    }
    this.sending.clear();
    if (this.isOrphan) this.retire();
    if (peer.state !== 'connected') return;
    peer.error = peer.isPassiveEnd ? EPIPE : ECONNRESET;
    peer.state = 'dead';
    peer.shutdownMask = BOTH_SHUT;
    peer.sending.clear();
    if (peer.isOrphan) peer.retire();
    peer.notify();
  }

  /** In TCP_CLOSE_WAIT a RST is reported as EPIPE (tcp_reset). */
  private get isPassiveEnd(): boolean {
    return this.hasFin && !this.isFinQueued;
  }

  /** Nobody reads what comes: closed, or shut in both directions with the FIN sent (tcp_rcv_state_process). */
  private get refusesData(): boolean {
    if (this.state !== 'connected' || this.isOrphan) return true;
    return this.shutdownMask === BOTH_SHUT && this.isFinQueued && !this.hasFin;
  }

  private answerWithReset(sender: TcpStream): void {
    if (this.state !== 'connected') {
      // This end's own RST is on its way.
      sender.sending.clear();
      return;
    }
    if (!this.isOrphan) this.error = ECONNRESET;
    this.sending.clear();
    this.sendReset();
    this.notify();
  }

  /** Both FINs have arrived: TCP_CLOSE. The remains in TIME_WAIT are not modelled. */
  private finish(): void {
    if (!this.isFinAcknowledged || !this.hasFin) return;
    this.state = 'dead';
    this.shutdownMask = BOTH_SHUT;
    if (this.isOrphan) this.retire();
  }
}
