/**
 * The public face of sockets that carry datagrams, as types: UDP, Unix datagrams and seqpackets. The calls of a socket
 * must be made on its reactor's thread, none throws but for a wrong argument, and each has a defined answer once the
 * socket is closed.
 */

import type { Action, CloseReason, Reactor } from './api.js';

/**
 * What became of a datagram that was to be sent.
 * - `sent`: the kernel has it, and all before it.
 * - `queued`: taken; it goes out with the others of this turn, or, where the kernel has no room, when it has.
 * - `full`: not taken, since the queue is full (policy `refuse`); `onSocketDrain` follows.
 * - `dropped`: not taken, since the queue is full, and counted (policy `drop-new`).
 * - `too-long`: not taken: no datagram of this socket can have so many bytes.
 * - `closed`: not taken: the socket, or the session, is closed.
 */
export type SendResult = 'sent' | 'queued' | 'full' | 'dropped' | 'too-long' | 'closed';

/**
 * Where a datagram came from. What a hook is given is borrowed, as the bytes are: it names the next sender afterwards.
 * `keep` gives one that stays.
 */
export interface DatagramPeer {
  /** As a URL, such as `udp://127.0.0.1:5353`; `unixgram://` without a path for an unnamed Unix socket. */
  readonly address: string;
  /** The IP address; empty for a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** The IP address that the datagram was sent to, with the option `localAddresses`; empty without. */
  readonly localHost: string;
  /** A copy that may be kept, and that any socket of the same family sends to. */
  keep(): DatagramPeer;
}

/** A multicast group on an interface. */
export interface MulticastGroup {
  /** The group's IP address, such as `224.0.0.251` or `ff02::fb`. */
  readonly group: string;
  /** The interface's name or index. The system chooses by its routes when left out. */
  readonly interface?: string | number;
  /** Only what this host sends (source-specific multicast, RFC 4607). */
  readonly source?: string;
}

export interface DatagramSocketStats {
  readonly received: number;
  readonly sent: number;
  /** Not sent: by the policy of the full queue, or since the kernel refused. */
  readonly dropped: number;
  /** Received cut to `receiveBytesMax`. */
  readonly truncated: number;
  /** Lost since the socket's receive buffer was full (SO_RXQ_OVFL), as far as a later datagram has told. */
  readonly overflowed: number;
  /** ICMP errors, and errors of sending. */
  readonly errors: number;
}

export interface DatagramSocket<Context = unknown> {
  /** Names this socket in its server, on any thread: see `Server.send`. */
  readonly id: number;
  readonly reactor: Reactor;
  /** Anything of the user's. */
  context: Context;
  readonly isOpen: boolean;
  /** Its own address as a URL, with the real port. */
  readonly localAddress: string;
  /** Of a connected socket; empty otherwise. */
  readonly remoteAddress: string;
  /** Datagrams and bytes that were taken and that the kernel does not have yet. */
  readonly queuedDatagrams: number;
  readonly queuedBytes: number;
  readonly stats: DatagramSocketStats;
  /** The session that a seqpacket connection is: one that was accepted, or connected with the option `sessions`. */
  readonly session: DatagramSession | undefined;

  /**
   * Sends a copy of `data` (a string as UTF-8) as one datagram: to `to`, a peer or a URL with a numeric host, or, left
   * out, to the peer that a connected socket has. What is sent within a turn goes to the kernel together, at its end.
   */
  send(data: Uint8Array | string, to?: DatagramPeer | string): SendResult;
  /**
   * Sends `data` as datagrams of `segmentBytes` each; the last may be shorter. At most 64, and together 65,507 bytes.
   * The kernel, or the network card, divides them (UDP_SEGMENT), which costs little more than one datagram.
   */
  sendSegments(data: Uint8Array, segmentBytes: number, to?: DatagramPeer | string): SendResult;
  /** Hands what was sent in this turn to the kernel now. */
  flush(): void;

  /** Stops receiving; the kernel keeps what fits its buffer. Up to a batch may still be reported. */
  pause(): void;
  resume(): void;

  /** Throws SystemError when the system refuses, TypeError for what is no group of the socket's family. */
  joinGroup(group: MulticastGroup | string): void;
  leaveGroup(group: MulticastGroup | string): void;
  /** The interface that multicast is sent through: its name or index. */
  setMulticastInterface(device: string | number): void;
  /** Whether sockets of this machine get what is sent to a group that they joined. On unless set to false. */
  setMulticastLoopback(isOn: boolean): void;
  /** How many routers multicast may pass: 0 to 255; 1 at the start. */
  setMulticastTtl(hops: number): void;
  /** How many routers a datagram may pass: 1 to 255. */
  setTtl(hops: number): void;
  /** Whether a broadcast address may be sent to. */
  setBroadcast(isOn: boolean): void;

  /** The open sessions of this socket, with the option `sessions`; may be changed while iterated. */
  sessions(): IterableIterator<DatagramSession>;
  readonly sessionCount: number;

  /**
   * Closes: sends what the kernel takes at once, closes the sessions, and then the socket. A seqpacket connection sends
   * all that is queued, within `lingerTimeoutMs`.
   */
  close(): void;
}

/** The process at the other end of a Unix connection when that was made (SO_PEERCRED). */
export interface PeerCredentials {
  /** 0 for one in a namespace that is not ours. */
  readonly processId: number;
  readonly userId: number;
  readonly groupId: number;
}

/** What one peer sends to one socket, or a seqpacket connection. */
export interface DatagramSession<Context = unknown> {
  /** Names this session in its server, on any thread, and never another one: see `Server.send`. */
  readonly id: number;
  readonly socket: DatagramSocket;
  readonly reactor: Reactor;
  context: Context;
  readonly isOpen: boolean;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly datagramsReceived: number;
  readonly bytesReceived: number;
  /** Who is at the other end of a seqpacket connection; undefined for others, and once it is closed. */
  readonly peerCredentials: PeerCredentials | undefined;
  /** Sends to this peer; see `DatagramSocket.send`. */
  send(data: Uint8Array | string): SendResult;
  /**
   * A seqpacket connection: sends no more, and after what is queued tells the peer, which may go on sending. Nothing
   * happens to others: their peers cannot be told.
   */
  end(): void;
  /**
   * Ends the session: `onSessionClose` follows. A seqpacket connection reports no more, sends what is queued, within
   * `lingerTimeoutMs`, and closes; others end at once, and their peers are told nothing.
   */
  close(): void;
  /** Ends the session at once. What a seqpacket connection has queued is dropped; its peer sees an end, or a reset. */
  abort(): void;
}

/**
 * Hooks for datagrams. All run on the reactor's thread. `bytes` and `peer` are borrowed until the hook returns.
 * `byteLength` is what the datagram had: more than `bytes` has when it was cut to `receiveBytesMax`.
 * An action `shutdown` closes the server, `close` the session.
 */
export interface DatagramHooks {
  /** A socket is bound: the place to join groups. */
  onSocketOpen?(socket: DatagramSocket): Action | void;
  /** A datagram; not with the option `sessions`. */
  onDatagram?(
    socket: DatagramSocket,
    bytes: Buffer,
    peer: DatagramPeer,
    byteLength: number,
  ): Action | void;
  /** A peer's first datagram came, with the option `sessions`, or a seqpacket connection was accepted. */
  onSessionOpen?(session: DatagramSession): Action | void;
  onSessionData?(session: DatagramSession, bytes: Buffer, byteLength: number): Action | void;
  /** The queue of a seqpacket connection, which had refused a message, is empty. */
  onSessionDrain?(session: DatagramSession): Action | void;
  /**
   * The peer of a seqpacket connection will send no more. Afterwards the session is closed, when what is queued is
   * sent, unless `allowHalfOpen` is set.
   */
  onSessionEnd?(session: DatagramSession): Action | void;
  /** Exactly once for each session that was opened. `timeout` `idle`: the peer has sent nothing for `idleTimeoutMs`. */
  onSessionClose?(session: DatagramSession, reason: CloseReason): Action | void;
  /** The queue, which had refused a datagram, is empty; not for sessions with `onSessionDrain`. */
  onSocketDrain?(socket: DatagramSocket): Action | void;
  /**
   * Something that was sent did not arrive: the network said so (ICMP), or the system refused it. `peer` is where it
   * was sent to; undefined where that is not known. With this hook, and not without, the socket asks for such errors
   * (IP_RECVERR).
   */
  onDatagramError?(
    socket: DatagramSocket,
    error: Error,
    peer: DatagramPeer | undefined,
  ): Action | void;
  /** Exactly once for each socket. */
  onSocketClose?(socket: DatagramSocket, reason: CloseReason): Action | void;
}

export interface DatagramSessionOptions {
  /**
   * A session ends when its peer has sent nothing for this long. 60,000; 0: never. A seqpacket connection's only where
   * `sessions` is given.
   */
  idleTimeoutMs?: number;
  /** The most sessions of one socket; what others send is dropped and counted. 65,536. */
  max?: number;
}

/** Options of datagram sockets. They have nothing in common with those of the connections of the same server. */
export interface DatagramOptions {
  /** What of a longer datagram is cut off. 65,536, which none of UDP is. */
  receiveBytesMax?: number;
  /** The most datagrams received from one socket in one turn. 64. */
  receiveBudget?: number;
  /** The most datagrams, and bytes, that may wait for room in the kernel. 1,024 and 1,048,576. */
  sendQueueMax?: number;
  sendQueueBytesMax?: number;
  /** What happens to a datagram when the queue is full: see `SendResult`. `refuse` by default. */
  whenQueueFull?: 'refuse' | 'drop-new' | 'drop-oldest';
  /** Sessions in place of plain datagrams. Seqpacket connections that were accepted are sessions always. false. */
  sessions?: boolean | DatagramSessionOptions;
  /** SO_RCVBUF and SO_SNDBUF in bytes; Linux doubles what is set. The system's by default. */
  receiveBufferBytes?: number;
  sendBufferBytes?: number;
  /** SO_REUSEPORT: always on with several reactors, each of which has a socket. */
  reusePort?: boolean;
  /**
   * SO_REUSEADDR, for multicast: several programs receive what comes to a group. Off by default: other than with TCP,
   * it lets another program take over a unicast address.
   */
  reuseAddress?: boolean;
  /** IPV6_V6ONLY, for `udp6`; `udp://[::]` is dual-stack unless this is set. */
  ipv6Only?: boolean;
  /** SO_BINDTODEVICE: the name of an interface. */
  bindToDevice?: string;
  /** SO_BROADCAST. */
  broadcast?: boolean;
  /** See DatagramSocket.setTtl and the others. */
  ttl?: number;
  multicastTtl?: number;
  multicastLoopback?: boolean;
  multicastInterface?: string | number;
  /** Groups to join. */
  groups?: readonly (MulticastGroup | string)[];
  /** `DatagramPeer.localHost`, and replies leave from that address: for `0.0.0.0` on a host with several. */
  localAddresses?: boolean;
  /** UDP_GRO: the kernel hands over many datagrams of one sender as one. For few senders of very many. false. */
  gro?: boolean;
  /** Permissions of a Unix socket's file, such as 0o660. */
  mode?: number;
  /** Seqpacket sessions stay open when the peer has ended its side: `session.end` or `close` ends ours. false. */
  allowHalfOpen?: boolean;
  /** A seqpacket connection whose peer takes nothing of what is queued for this long is closed. 30,000; 0: never. */
  writeTimeoutMs?: number;
  /** How long a seqpacket connection that is being closed may take to send what is queued. 5,000. */
  lingerTimeoutMs?: number;
}

/** What `datagram` takes. */
export interface DatagramSocketOptions extends DatagramOptions {
  /** The address to bind to: udp://, udp4://, udp6://, unixgram://path. Any free port by default. */
  bind?: string;
  /** The only peer: datagrams of others are not received, and ICMP errors are reported. Also seqpacket://path. */
  connect?: string;
  handler?: DatagramHooks;
  /** Becomes `socket.context` before `onSocketOpen`. */
  context?: unknown;
  /** Closes the socket. */
  signal?: AbortSignal;
}
