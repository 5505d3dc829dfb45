/**
 * What TCP and Unix stream sockets of the simulated network have in common. A socket is an open description when it
 * has descriptors; a peer outside of the process holds one without. The numbers returned follow the kernel contract:
 * n >= 0 or -errno. Nothing here injects faults: that is done where the process calls (sim-kernel.ts).
 */

import { Description } from './sim-descriptors.js';
import type { SimNetwork } from './sim-network.js';
import { type SocketFacts, SocketOptions } from './sim-options.js';

/** Bits of `shutdownMask`, as sk_shutdown of Linux. */
export const RECEIVE_SHUT = 1;
export const SEND_SHUT = 2;
export const BOTH_SHUT = 3;

export abstract class SimSocket extends Description implements SocketFacts {
  readonly network: SimNetwork;
  readonly domain: number;
  readonly options: SocketOptions;
  /** The pending error: reported once. */
  error = 0;
  shutdownMask = 0;
  /** Someone found no room to send (SOCK_NOSPACE): only then TCP tells whoever waits that there is some again. */
  isRoomMissed = false;
  /** The process under test is confined to the addresses of its own machine; peers are not. */
  isConfined = false;

  constructor(network: SimNetwork, domain: number, sendBuffer: number, receiveBuffer: number) {
    super();
    this.network = network;
    this.domain = domain;
    this.options = new SocketOptions(sendBuffer, receiveBuffer);
  }

  abstract get isListening(): boolean;
  /** Whether data can flow, or could until a shutdown. */
  abstract get isConnected(): boolean;
  /** Connections that wait to be accepted. */
  abstract get backlogLength(): number;
  /** Whether bytes, or TCP's FIN, wait to be received: what SO_INQ says. */
  abstract get hasInput(): boolean;
  abstract bind(sockaddr: Uint8Array): number;
  abstract listen(backlog: number): number;
  /** The next connection, or -errno. */
  abstract accept(): SimSocket | number;
  abstract connect(sockaddr: Uint8Array): number;
  /** Fills up to all of `target`. */
  abstract receive(target: Uint8Array): number;
  abstract send(source: Uint8Array): number;
  abstract shutdown(how: number): number;
  abstract localName(target: Uint8Array): number;
  abstract peerName(target: Uint8Array): number;
  /** The local address as a URL. */
  abstract get url(): string;
  /** Closes with RST where there is one, whatever SO_LINGER says. */
  abstract abort(): void;

  /** Breaks an established connection as a RST on the wire would; false where that cannot happen. */
  breakWith(_errno: number): boolean {
    return false;
  }

  takeError(): number {
    const error = this.error;
    this.error = 0;
    return error;
  }

  setOption(level: number, name: number, value: Uint8Array): number {
    return this.options.set(this, level, name, value);
  }

  getOption(level: number, name: number, value: Uint8Array): number {
    return this.options.get(this, level, name, value);
  }
}
