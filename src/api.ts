/**
 * The public face, as types: what a handler is given and what a server takes. Plain classes below implement these
 * interfaces. Every call on a closed connection has a defined result; none throws, except for a wrong argument.
 */

import type { Socket } from 'node:net';

import type { DatagramHooks, DatagramSession, SendResult } from './datagrams.js';
import type {
  AdoptOptions,
  CloseOptions,
  ConnectionOptions,
  DialOptions,
  SocketOptions,
} from './options.js';
import type { Reader, Writer } from './streams.js';

export type {
  AdoptOptions,
  Balance,
  CloseOptions,
  ConnectionOptions,
  DialOptions,
  ListenerOptions,
  ServeOptions,
  SocketOptions,
} from './options.js';

/** What a hook may return. Nothing returned means `none`. */
export type Action = 'none' | 'close' | 'shutdown';

/**
 * What became of a write.
 * - `sent`: the kernel has all of it.
 * - `queued`: taken, and some of it waits; it will be sent in order.
 * - `full`: nothing was taken, since the queue would exceed `writeQueueMax`; `onDrain` follows.
 * - `closed`: nothing was taken; this side has ended or the connection is gone.
 */
export type WriteResult = 'sent' | 'queued' | 'full' | 'closed';

export type ConnectionState =
  | 'connecting'
  | 'open'
  /** We sent FIN, the peer may still send. */
  | 'half-closed-local'
  /** The peer sent FIN, we may still send. */
  | 'half-closed-remote'
  /** Flushing what is queued and waiting for the peer's FIN, within the linger deadline. */
  | 'closing'
  | 'closed';

/** Why a connection closed. Exactly one for each connection. */
export interface CloseReason {
  readonly code: /** The peer ended its side and everything of ours was sent. */
    | 'ended'
    /** `close` was called, or a hook returned `close`. */
    | 'closed'
    /** `abort` was called. */
    | 'aborted'
    /** The peer reset the connection. */
    | 'reset'
    /** Any other system error. */
    | 'error'
    /** A deadline passed; see `timeout`. */
    | 'timeout'
    /**
     * The write queue passed its cap and the policy is to close; a write from another thread, which was `queued`, found
     * no room there; or a pull handler left more than `readQueueMax` unread.
     */
    | 'overflow'
    /** The handler threw; see `error`. */
    | 'handler'
    /** The server was shut down. */
    | 'shutdown';
  /** The system's or the handler's error. */
  readonly error?: Error;
  /** Which deadline passed. */
  readonly timeout?: 'connect' | 'read' | 'write' | 'idle' | 'linger';
  /** Bytes that were accepted by `write` or `sendFile` and that the kernel never got. */
  readonly unsentBytes: number;
}

export interface Connection<Context = unknown> extends AsyncDisposable {
  /** Names this connection in the whole process, on any thread, and never another one: see `Server.write`. */
  readonly id: number;
  readonly state: ConnectionState;
  /** The reactor that owns this connection. All calls below must be made on its thread. */
  readonly reactor: Reactor;
  /** Anything of the user's. */
  context: Context;
  /** This socket's own address, as a URL such as `tcp://127.0.0.1:9000`. */
  readonly localAddress: string;
  /** The peer's address as a URL; `unix://` without a path for an unnamed Unix socket. */
  readonly remoteAddress: string;
  /** Bytes accepted by `write` that the kernel does not have yet. */
  readonly queuedBytes: number;
  /** Bytes of files accepted by `sendFile` that the kernel does not have yet: they take no memory. */
  readonly queuedFileBytes: number;
  /** Bytes received from the peer and reported. */
  readonly bytesReceived: number;
  /** Bytes handed to the kernel. */
  readonly bytesSent: number;

  /** Sends or copies all of `data` (a string as UTF-8), or takes nothing of it. */
  write(data: Uint8Array | string): WriteResult;
  /** The same for several pieces at once, in one call to the kernel where possible. All or nothing. */
  writev(pieces: readonly Uint8Array[]): WriteResult;
  /**
   * Takes `bytes` without a copy: it must not be changed or transferred until `onFree` is called, which happens exactly
   * once, also when the connection closes first. With `full` or `closed`, nothing was taken and `onFree` is not called.
   */
  writeOwned(bytes: Uint8Array, onFree?: () => void): WriteResult;
  /**
   * Sends `byteLength` bytes of a regular file from `offset` on, in order with the writes before and after it,
   * without a copy through the process where the transport allows it (sendfile(2)); others, such as TLS, read it piece
   * by piece.
   *
   * The descriptor stays the caller's: it must be open until `onDone`, which comes exactly once, in this call or later:
   * with true when the kernel has all of the part, with false when the connection closed first. Close it there. After
   * `full` or `closed` nothing was taken, and `onDone` is not called.
   *
   * No limit of queued bytes concerns a file; at most 64 parts may wait in a connection, one more is `full`. Transports
   * that read the file answer `full` to writes until they are done with it. The write timeout counts from the last byte
   * that the peer took. A file that ends before the part does costs the connection: `error` with ENODATA.
   *
   * A read from a slow disk holds up the reactor.
   *
   * @throws TypeError or RangeError for wrong arguments.
   */
  sendFile(
    file: number | { readonly fd: number },
    offset: number,
    byteLength: number,
    onDone?: (isSent: boolean) => void,
  ): WriteResult;
  /**
   * Calls back once all that was written before has been handed to the kernel (true), or the connection closed first
   * (false). Handed to the kernel does not mean received by the peer.
   */
  receipt(callback: (handedOver: boolean) => void): void;
  /** Resolves when the queue is below the low-water mark: true, or false if the connection closed first. */
  drained(): Promise<boolean>;
  /** Between `cork` and `uncork` writes are gathered and then sent together. Calls nest. */
  cork(): void;
  uncork(): void;

  /** Pull side: unread bytes. See `Handler.onReadable`. */
  readonly reader: Reader;
  /** Gathers output in place: reserve, commit, append, flush. */
  readonly writer: Writer;
  /** Stops reporting received bytes, and with that, through the kernel's window, the peer. Calls do not nest. */
  pause(): void;
  resume(): void;
  readonly isPaused: boolean;
  /** Reports `onReadable` (pull handlers) or `onData` with no bytes (push handlers) soon, once. */
  wake(): void;

  /** Sends FIN after what is queued. Receiving goes on. */
  end(): void;
  /** Graceful close: no more data is reported; sends what is queued, then FIN; bounded by the linger deadline. */
  close(): void;
  /** Closes at once with RST and drops what is queued. */
  abort(): void;
  /** Resolves when the connection has closed, for whatever reason; at once if it has. */
  closed(): Promise<void>;
  /** `close`, and resolves when that is done: `await using connection = await dial(…)`. */
  [Symbol.asyncDispose](): Promise<void>;

  /** Deadlines in milliseconds from now; 0 removes one. When it passes, the connection is aborted with `timeout`. */
  setReadTimeout(milliseconds: number): void;
  setWriteTimeout(milliseconds: number): void;
  setIdleTimeout(milliseconds: number): void;
  /** Calls back after a delay unless the connection closes first. Cancel with `clearTimer`. */
  setTimer(milliseconds: number, callback: (connection: this) => void): number;
  clearTimer(timer: number): void;

  /** Sets one option of the socket. Throws SystemError when the system refuses; does nothing once closed. */
  setOption<Name extends keyof SocketOptions>(name: Name, value: SocketOptions[Name]): void;
  getOption<Name extends keyof SocketOptions>(name: Name): SocketOptions[Name] | undefined;

  /**
   * Gives the connection to another handler, of either style, such as when its peer goes on in another protocol. The
   * `context` is cleared, a pause ended, `handler.onOpen` called before this returns, and the other hooks from then on,
   * first with `head` (copied: what was received and belongs to the new protocol) and what was not read yet, then with
   * the peer's end, also if it was reported before. The handler's `defaults` hold in place of those of the handler
   * before, which still gets its one `onClose`, after the new one's.
   *
   * False, doing nothing, once it is closed or being closed.
   *
   * @throws TypeError for what is no handler, and for a connection that is iterated over or in a proactor.
   */
  handOver(handler: Handler, head?: Uint8Array): boolean;

  /** The received chunks, each a copy that the consumer owns; ends with the peer's FIN, throws on reset. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer>;
}

/** Hooks of a handler. All run on the reactor's thread; a hook that throws costs its own connection only. */
export interface Handler<Context = unknown> extends DatagramHooks {
  /** Before the first connection. May be asynchronous: the reactor starts when it resolves. */
  onBoot?(reactor: Reactor): void | Promise<void>;
  /** After the last connection closed. */
  onShutdown?(reactor: Reactor): void | Promise<void>;
  onOpen?(connection: Connection<Context>): Action | void;
  /** Push style. `bytes` is borrowed until the hook returns: copy what you keep. */
  onData?(connection: Connection<Context>, bytes: Buffer): Action | void;
  /**
   * Pull style, instead of `onData`: there are unread bytes in `connection.reader`. A hook that read something and left
   * something is called again soon; one that read nothing waits for more bytes.
   */
  onReadable?(connection: Connection<Context>): Action | void;
  /** The write queue, which was above the high-water mark or refused a write, is below the low-water mark again. */
  onDrain?(connection: Connection<Context>): Action | void;
  /** The peer will send no more. Afterwards the connection is closed gracefully, unless `allowHalfOpen` is set. */
  onEnd?(connection: Connection<Context>): Action | void;
  /** Exactly once for each connection that was opened. */
  onClose?(connection: Connection<Context>, reason: CloseReason): Action | void;
  /** On the loop, first right after the boot. Returns the delay to the next in milliseconds; nothing: no more ticks. */
  onTick?(reactor: Reactor): number | Action | void;
  /**
   * The server closes, accepts no more, and wants this connection to end. With this hook it is the handler that closes
   * it, when what is under way is done and the protocol's goodbye is said; what is open at `Server.close`'s deadline is
   * aborted. Without it the connection is closed gracefully at once.
   */
  onServerClose?(connection: Connection<Context>): Action | void;
  /** Before queued bytes are handed to the kernel, once for each connection and turn, such as to sync a log. */
  onBeforeWrite?(connection: Connection<Context>): void;
  /** A message that another reactor, or a thread with a `Remote`, sent to this reactor. `bytes` is the callee's. */
  onMessage?(reactor: Reactor, bytes: Buffer, from: number): void;
  /** What the protocol needs of its connections, where the options of the listener or dial say nothing. */
  defaults?: Omit<ConnectionOptions, keyof SocketOptions>;
  /** Named functions for `Server.execute` and `Server.executeAll`. Arguments and results are structured clones. */
  tasks?: Record<string, (reactor: Reactor, argument: never) => unknown>;
}

/** One thread's event loop with the connections it owns. */
export interface Reactor {
  /** 0 to `count` - 1. */
  readonly index: number;
  /** How many reactors the server has. */
  readonly count: number;
  /** The driver's name, such as `epoll`. */
  readonly driver: string;
  readonly connectionCount: number;
  /** Monotonic milliseconds, read once a turn. */
  readonly now: number;
  /** The open connections; may be changed while iterated. */
  connections(): IterableIterator<Connection>;
  /**
   * The open connection of that id, if this reactor owns it: the one that its handler has, also where that stands on
   * others, as with TLS. Not those in a handshake.
   */
  find(id: number): Connection | undefined;
  /** Runs a function on this reactor's loop, soon, in order. */
  execute(task: (reactor: Reactor) => void): void;
  setTimer(milliseconds: number, callback: () => void): number;
  clearTimer(timer: number): void;
  /**
   * Connects from this reactor; the connection lives here. While the server closes, that goes on for as long as there
   * are connections that are still busy; what they dialed is told (`onServerClose`) after the last of them has ended.
   * From then on, and from the deadline on, dials reject with MillraceError `ERR_CLOSED`.
   */
  dial(url: string, options?: DialOptions): Promise<Connection>;
  /** Makes a connected stream socket a connection of this reactor: see the function `adopt`. */
  adopt(source: number | Socket, options?: AdoptOptions): Promise<Connection>;
  /** Writes to a connection of any reactor of this server. */
  write(id: number, bytes: Uint8Array): 'sent' | 'queued' | 'full' | 'closed';
  /** Sends a datagram by a session, or a socket, of any reactor of this server: see `Server.send`. */
  send(id: number, data: Uint8Array | string, to?: string): SendResult;
  /** The open datagram session of that id, if this reactor owns it. */
  findSession(id: number): DatagramSession | undefined;
  /** Sends a message to `onMessage` of one reactor, or of all (this one too). False when a mailbox is full. */
  post(index: number, bytes: Uint8Array): boolean;
  broadcast(bytes: Uint8Array): boolean;
}

export interface Server extends AsyncDisposable {
  /** The addresses listened on, as URLs with real ports. */
  readonly addresses: readonly string[];
  readonly reactorCount: number;
  /** `epoll` or `uring`. */
  readonly driver: string;
  /** Why it was chosen: one line for people. */
  readonly driverReason: string;
  /** Sums over all reactors, and each one's own, read without locks. */
  readonly stats: import('./connection/stats.js').ServerStats;
  /** Writes to a connection from any thread's point of view: the id names its reactor. */
  write(id: number, bytes: Uint8Array): 'sent' | 'queued' | 'full' | 'closed';
  /**
   * Sends a datagram from any thread's point of view: by the session of that id, or through the socket of that id, and
   * then to the URL `to` unless the socket is connected. Another thread's is `queued`: on its way, `full` if the way
   * has no room. What finds no session there, or no room in the socket's queue, is dropped and counted (`staleSends`,
   * `datagramsDropped`), except that a seqpacket connection without room is closed with `overflow`.
   *
   * @throws TypeError for what is no id or no address.
   */
  send(id: number, data: Uint8Array | string, to?: string): SendResult;
  post(index: number, bytes: Uint8Array): boolean;
  broadcast(bytes: Uint8Array): boolean;
  /** Runs a named task of the handler on one reactor. */
  execute(index: number, task: string, argument?: unknown): Promise<unknown>;
  executeAll(task: string, argument?: unknown): Promise<unknown[]>;
  /**
   * What another thread needs to write and post to this server's connections: clone it there, then `remote(handle)`.
   */
  remoteHandle(): RemoteHandle;
  /**
   * Graceful shutdown in phases: stop accepting; close every connection gracefully; at the deadline abort what is left;
   * run `onShutdown`; free everything. Resolves when all is done. A second call with a shorter deadline hurries it.
   */
  close(options?: CloseOptions): Promise<void>;
  /** Resolves when the server has closed, for whatever reason; rejects if its last reactor failed for good. */
  readonly closed: Promise<void>;
  /** Whether the server keeps the process alive (it does by default). */
  ref(): void;
  unref(): void;
}

/** Opaque and cloneable: what `remote` needs on another thread. */
export interface RemoteHandle {
  readonly mailboxes: readonly SharedArrayBuffer[];
  readonly pending: SharedArrayBuffer;
  readonly wakeDescriptors: readonly number[];
}
