/**
 * The options of what the public face (api.ts) opens: sockets, listeners, connections, dials, servers. Each says its
 * unit and its default.
 */

import type { Handler } from './api.js';
import type { DatagramOptions } from './datagrams.js';

/** Options of one socket. Those that a Unix socket does not have are ignored there. */
export interface SocketOptions {
  /** TCP_NODELAY. On unless set to false. */
  noDelay?: boolean;
  /** SO_KEEPALIVE with its three values; true keeps the system's. Seconds. */
  keepAlive?: boolean | { idleSeconds: number; intervalSeconds: number; count: number };
  /** SO_LINGER, in seconds, for `abort` and for the system's close; null switches it off. */
  lingerSeconds?: number | null;
  /** SO_SNDBUF and SO_RCVBUF in bytes; Linux doubles what is set. */
  sendBufferBytes?: number;
  receiveBufferBytes?: number;
  /** TCP_USER_TIMEOUT. */
  userTimeoutMs?: number;
  /** TCP_NOTSENT_LOWAT. */
  notSentLowWaterBytes?: number;
  /** SO_BINDTODEVICE: the name of an interface. */
  bindToDevice?: string;
}

/** Options of a listening socket, beside those its connections get. */
export interface ListenerOptions {
  /** Length of the queue of connections that wait to be accepted. 4096, capped by net.core.somaxconn. */
  backlog?: number;
  /** SO_REUSEADDR: on unless set to false. */
  reuseAddress?: boolean;
  /** SO_REUSEPORT. */
  reusePort?: boolean;
  /** IPV6_V6ONLY, for `tcp6`; `tcp://[::]` is dual-stack unless this is set. */
  ipv6Only?: boolean;
  /** TCP_DEFER_ACCEPT, in seconds. */
  deferAcceptSeconds?: number;
  /** TCP_FASTOPEN: length of its queue. */
  fastOpenQueue?: number;
  /** Permissions of a Unix socket's file, such as 0o660. */
  mode?: number;
}

export interface ConnectionOptions extends SocketOptions {
  /** Keep the connection after the peer's FIN until we end too. Off: it is closed gracefully after `onEnd`. */
  allowHalfOpen?: boolean;
  /** A half-open connection (with `allowHalfOpen`) is closed after this time. 30,000; 0: never. */
  halfOpenTimeoutMs?: number;
  /** No byte in either direction for this long. 0 (the default): never. */
  idleTimeoutMs?: number;
  /** No byte received for this long. 0 (the default): never. */
  readTimeoutMs?: number;
  /** Bytes are queued and the kernel took none for this long. 30,000; 0: never. */
  writeTimeoutMs?: number;
  /** How long a graceful close may take. 5,000. */
  lingerTimeoutMs?: number;
  /** Above this many queued bytes the connection counts as blocked, and `onDrain` will follow. 65,536. */
  highWaterMark?: number;
  /** At or below this many `onDrain` is called. 16,384. */
  lowWaterMark?: number;
  /** The most bytes that may be queued. 1,048,576. */
  writeQueueMax?: number;
  /**
   * What happens to a write that would pass `writeQueueMax`: `refuse` returns `full`; `close` aborts the connection;
   * `pause-source` takes it, up to twice the cap, and pauses the connection that is being read (its `onData` or
   * `onReadable` is running), until this one drains.
   */
  whenFull?: 'refuse' | 'close' | 'pause-source';
  /**
   * A pull handler's unread bytes, hence its largest message: reading pauses above this while the handler reads on; if
   * it read nothing of them, and has not paused, the connection is aborted with `overflow`. 1,048,576.
   */
  readQueueMax?: number;
}

export interface DialOptions extends ConnectionOptions {
  handler?: Handler;
  /** Becomes `connection.context` before `onOpen`. */
  context?: unknown;
  /** All attempts together, name resolution included. 10,000; 0: never. */
  connectTimeoutMs?: number;
  /** Happy Eyeballs: delay before the next address is tried beside the pending one (RFC 8305). 250. */
  attemptDelayMs?: number;
  /** Gives the attempt up: `dial` rejects with the signal's reason. Has no meaning once connected. */
  signal?: AbortSignal;
  /** Bind to this address first, such as `tcp://127.0.0.2:0`. */
  localAddress?: string;
  /** TCP_FASTOPEN_CONNECT. */
  fastOpen?: boolean;
}

export interface AdoptOptions extends ConnectionOptions {
  handler?: Handler;
  /** Becomes `connection.context` before `onOpen`. */
  context?: unknown;
  /** Bytes of the peer's that were read already: they are delivered before all others. Copied. */
  head?: Uint8Array;
  /** Of a `net.Socket`: how long its connect, and what was written to it before, may take. 10,000; 0: never. */
  flushTimeoutMs?: number;
  signal?: AbortSignal;
}

export type Balance =
  | 'round-robin'
  | 'least-connections'
  | 'source-hash'
  | 'descriptor-hash'
  | 'random'
  | 'power-of-two';

export interface ServeOptions extends ConnectionOptions, ListenerOptions {
  /**
   * URLs to listen on: tcp://, tcp4://, tcp6://, unix://path, unix-abstract://name, fd://number, systemd://[name]; for
   * datagrams udp://, udp4://, udp6://, unixgram://path, and seqpacket://path.
   */
  listen: string | readonly string[];
  /** An object runs in the calling thread (one reactor); a module that exports one runs in `reactors` threads. */
  handler: Handler | URL | string;
  /** How many reactors. `auto`: one for each available CPU. 1 by default. More than 1 needs a module as handler. */
  reactors?: number | 'auto';
  /** `auto` (the default) takes io_uring where it is the faster one, else epoll; see Server.driverReason. */
  driver?: 'auto' | 'epoll' | 'uring';
  /**
   * Connections live in io_uring's own tables of descriptors, not in the process's: more than RLIMIT_NOFILE of them in
   * one process. Needs Linux 6.8. Each reactor then listens itself (SO_REUSEPORT), and Unix sockets only with one
   * reactor. false.
   */
  direct?: boolean;
  /** For the sockets of datagrams. Each reactor has one of each UDP address (SO_REUSEPORT), the first those of Unix. */
  datagram?: DatagramOptions;
  balance?: Balance;
  /** The most connections of one reactor. The descriptor limit by default. */
  connectionsMax?: number;
  /** At `connectionsMax`: leave new ones in the backlog, or accept and close them. `refuse` by default. */
  whenConnectionsMax?: 'wait' | 'refuse';
  /** The most connections accepted from one listener in one turn. 64. */
  acceptBudget?: number;
  /** Bytes read at most by one receive. 65,536. */
  receiveBytes?: number;
  /** Bytes read at most from one connection in one turn. 262,144. */
  receiveBudget?: number;
  /** Pins reactor i to `cpus[i]`. Only for reactors in threads of their own. */
  cpus?: readonly number[];
  /** The watchdog reports a reactor that is in one turn for longer. 1,000; 0: no watchdog. */
  blockedAfterMs?: number;
  /** A reactor blocked for longer is replaced. 0 (the default): never. */
  replaceAfterMs?: number;
  /** V8 limits of each reactor's thread, as of node:worker_threads. */
  resourceLimits?: { maxOldGenerationSizeMb?: number; maxYoungGenerationSizeMb?: number };
  /** Anything cloneable for the handler module: its default export may be a function that takes it. */
  data?: unknown;
  /** Aborted before the server listens: `serve` rejects with the signal's reason. Later: as `Server.close()`. */
  signal?: AbortSignal;
  /** Warnings: a blocked or replaced reactor, an error in a hook, a full descriptor table. process.emitWarning else. */
  onWarning?: (warning: Error) => void;
}

export interface CloseOptions {
  /** How long connections may take to close gracefully. 10,000. */
  deadlineMs?: number;
  /** When it is aborted, or is already, the deadline has passed: what is left is aborted. `close` still resolves. */
  signal?: AbortSignal;
}
