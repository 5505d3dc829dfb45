/**
 * A scripted peer outside of the process under test: a client, or a server's end of an accepted connection. It acts
 * only when the world's scheduler picks it. What it is told to do it does in its own time, in small pieces if its
 * habits say so; what it sees it records. It may be rude: never read, write byte by byte, end or reset at any time.
 */

import { EAGAIN, EINPROGRESS } from '../../src/base/errno.js';
import { ByteQueue } from './byte-queue.js';
import { parseUrl } from './sim-address.js';
import type { Watcher } from './sim-descriptors.js';
import type { Actor } from './sim-scheduler.js';
import type { SimSocket } from './sim-socket.js';
import type { SimWorld } from './sim-world.js';

export interface PeerHabits {
  /** The most bytes taken or given in one action. 65,536. */
  readonly readMax?: number;
  readonly writeMax?: number;
  /** Starts with reading stopped. */
  readonly isReadingStopped?: boolean;
  /** Sends back what it receives. */
  readonly isEchoing?: boolean;
  /** Ends its side when the other end has ended. On by default. */
  readonly endsWithPeer?: boolean;
  /** In each action: the probability of a reset, and of an early end of what it sends. */
  readonly resetChance?: number;
  readonly endChance?: number;
  /** Does not keep what it receives, and calls this instead. `bytes` is valid during the call. */
  readonly onData?: (peer: SimPeer, bytes: Uint8Array) => void;
  /** Called once when the connection is over for this peer: with what came last. */
  readonly onOver?: (peer: SimPeer) => void;
}

/** One buffer for all reads of all peers: they act one at a time. */
const scratch = new Uint8Array(65_536);

export class SimPeer implements Actor, Watcher {
  readonly #world: SimWorld;
  readonly #habits: PeerHabits;
  readonly #outbox = new ByteQueue();
  readonly #chunks: Uint8Array[] = [];
  #socket: SimSocket | undefined;
  /** What was taken from the outbox and did not fit: it goes first. */
  #held: Uint8Array | undefined;
  #isReading: boolean;
  #isEnding = false;
  #isOver = false;
  /** The handshake is done. */
  isConnected = false;
  /** All of what was to be sent was, and the FIN after it. */
  hasSentEnd = false;
  /** The other end's FIN was read. */
  hasEnded = false;
  /** The errno that ended the connection, such as ECONNRESET; 0 while there is none. */
  error = 0;
  /** Totals in bytes: given to the network, and taken from it. */
  bytesSent = 0;
  bytesReceived = 0;
  /** Anything of the test's. */
  context: unknown;

  constructor(world: SimWorld, habits: PeerHabits = {}) {
    this.#world = world;
    this.#habits = habits;
    this.#isReading = habits.isReadingStopped !== true;
  }

  /** This end's own address as a URL, once it has one. */
  get address(): string | undefined {
    return this.#socket?.url;
  }

  /** Nothing more will happen: ended on both sides, reset, or closed. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get wasReset(): boolean {
    return this.error !== 0;
  }

  /** Bytes that `send` was given and the network has not got. */
  get unsentBytes(): number {
    return this.#outbox.length + (this.#held?.length ?? 0);
  }

  /** A copy of all that was received, unless the habits have `onData`. */
  received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Connects to a URL such as `tcp://127.0.0.1:80`, from a socket bound to `from` if given. */
  connect(address: string, from?: string): void {
    const { domain, sockaddr } = parseUrl(address);
    const socket = this.#world.network.socket(domain);
    if (from !== undefined) must('bind', socket.bind(parseUrl(from).sockaddr));
    this.adopt(socket);
    const result = socket.connect(sockaddr);
    if (result === -EAGAIN) {
      // A full backlog of a Unix socket: try again in a while, as a blocking client would.
      this.#world.later(1, () => this.retryConnect(sockaddr));
    } else if (result < 0 && result !== -EINPROGRESS) this.fail(-result);
    this.wake();
  }

  /** Takes over a connected socket: what a listener accepted. */
  adopt(socket: SimSocket): void {
    this.#socket = socket;
    socket.references++;
    socket.watchers.push(this);
    this.wake();
  }

  /** Sends a copy of `bytes`, in its own time. */
  send(bytes: Uint8Array | string): void {
    const copy = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    this.#outbox.push(copy, 0, copy.length);
    this.wake();
  }

  /** Sends FIN after all that was given to `send`. */
  end(): void {
    this.#isEnding = true;
    this.wake();
  }

  /** Sends RST now. On a Unix socket: closes, which resets if there are unread bytes. */
  reset(): void {
    if (this.#socket === undefined || this.#isOver) return;
    this.#socket.abort();
    this.finish();
  }

  /** Closes both sides at once, dropping what is unsent; RST if there are unread bytes. */
  close(): void {
    if (this.#socket === undefined || this.#isOver) return;
    this.#socket.closed();
    this.finish();
  }

  stopReading(): void {
    this.#isReading = false;
  }

  startReading(): void {
    this.#isReading = true;
    this.wake();
  }

  wake(): void {
    if (!this.#isOver) this.#world.scheduler.ready(this);
  }

  gone(): void {}

  /** One action, by chance a read or a write first. */
  act(): boolean {
    const socket = this.#socket;
    if (socket === undefined || this.#isOver) return false;
    if (!this.isConnected && !this.establish(socket)) return false;
    const { random } = this.#world.network;
    if (random.chance(this.#habits.resetChance ?? 0)) {
      this.reset();
      return false;
    }
    if (!this.#isEnding && random.chance(this.#habits.endChance ?? 0)) this.#isEnding = true;
    const hasActed = random.chance(0.5)
      ? this.read(socket) || this.write(socket)
      : this.write(socket) || this.read(socket);
    if (!this.#isOver && this.hasEnded && this.hasSentEnd) this.close();
    return hasActed;
  }

  private establish(socket: SimSocket): boolean {
    if (socket.error !== 0) this.fail(socket.takeError());
    this.isConnected = socket.isConnected;
    return this.isConnected;
  }

  private retryConnect(sockaddr: Uint8Array): void {
    if (this.#isOver) return;
    const result = this.#socket!.connect(sockaddr);
    if (result === -EAGAIN) this.#world.later(1, () => this.retryConnect(sockaddr));
    else if (result < 0) this.fail(-result);
    this.wake();
  }

  private read(socket: SimSocket): boolean {
    if (!this.#isReading || this.hasEnded) return false;
    const most = Math.min(this.#habits.readMax ?? scratch.length, scratch.length);
    const n = socket.receive(most === scratch.length ? scratch : scratch.subarray(0, most));
    if (n === -EAGAIN) return false;
    if (n < 0) {
      this.fail(-n);
      return false;
    }
    if (n === 0) {
      this.hasEnded = true;
      if (this.#habits.endsWithPeer !== false) this.#isEnding = true;
      return true;
    }
    this.take(n);
    return true;
  }

  /** Records the first `n` bytes of the scratch buffer. */
  private take(n: number): void {
    this.bytesReceived += n;
    if (this.#habits.onData !== undefined) this.#habits.onData(this, scratch.subarray(0, n));
    else this.#chunks.push(scratch.slice(0, n));
    if (this.#habits.isEchoing === true) this.#outbox.push(scratch, 0, n);
  }

  private write(socket: SimSocket): boolean {
    if (this.hasSentEnd) return false;
    if (this.unsentBytes === 0) {
      if (!this.#isEnding) return false;
      this.hasSentEnd = true;
      // A connection that is over already says ENOTCONN; reading will tell why.
      socket.shutdown(1);
      return true;
    }
    const bytes = this.#held ?? this.takeFromOutbox();
    const n = socket.send(bytes);
    if (n < 0) {
      this.#held = bytes;
      if (n !== -EAGAIN) this.fail(-n);
      return false;
    }
    this.bytesSent += n;
    this.#held = n < bytes.length ? bytes.subarray(n) : undefined;
    return true;
  }

  private takeFromOutbox(): Uint8Array {
    const most = Math.min(this.#habits.writeMax ?? 65_536, this.#outbox.length);
    const bytes = new Uint8Array(most);
    this.#outbox.shift(bytes, 0, most);
    return bytes;
  }

  /** The connection is broken. What can still be read is read first, unless reading is stopped. */
  private fail(errno: number): void {
    if (this.#isOver) return;
    const socket = this.#socket!;
    this.error = errno;
    while (this.#isReading && this.isConnected && !this.hasEnded) {
      const n = socket.receive(scratch);
      if (n <= 0) break;
      this.take(n);
    }
    socket.closed();
    this.finish();
  }

  private finish(): void {
    this.#isOver = true;
    this.#socket!.unwatch(this);
    this.#habits.onOver?.(this);
  }
}

function must(call: string, result: number): void {
  if (result < 0) throw new Error(`a peer's ${call} failed with errno ${-result}`);
}
