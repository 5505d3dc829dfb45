/**
 * A scripted server outside of the process: it accepts when the scheduler picks it, and gives each connection a peer.
 */

import { parseUrl } from './sim-address.js';
import type { Watcher } from './sim-descriptors.js';
import { type PeerHabits, SimPeer } from './sim-peer.js';
import type { Actor } from './sim-scheduler.js';
import type { SimSocket } from './sim-socket.js';
import type { SimWorld } from './sim-world.js';

export class SimPeerListener implements Actor, Watcher {
  readonly #world: SimWorld;
  readonly #habits: PeerHabits;
  readonly #socket: SimSocket;
  #isAccepting = true;
  /** The accepted connections, oldest first. */
  readonly peers: SimPeer[] = [];
  /** Called with each new one. */
  onAccept: ((peer: SimPeer) => void) | undefined;

  constructor(world: SimWorld, address: string, habits: PeerHabits, backlog: number) {
    this.#world = world;
    this.#habits = habits;
    const { domain, sockaddr } = parseUrl(address);
    const socket = world.network.socket(domain);
    const result = socket.bind(sockaddr) || socket.listen(backlog);
    if (result < 0) throw new Error(`a peer cannot listen on ${address}: errno ${-result}`);
    socket.references++;
    socket.watchers.push(this);
    this.#socket = socket;
  }

  /** The address as a URL, with the real port. */
  get address(): string {
    return this.#socket.url;
  }

  /** Leaves connections in the backlog, which fills up. */
  stopAccepting(): void {
    this.#isAccepting = false;
  }

  startAccepting(): void {
    this.#isAccepting = true;
    this.wake();
  }

  close(): void {
    this.#socket.unwatch(this);
    this.#socket.closed();
  }

  wake(): void {
    if (this.#isAccepting) this.#world.scheduler.ready(this);
  }

  gone(): void {}

  act(): boolean {
    if (!this.#isAccepting) return false;
    const socket = this.#socket.accept();
    if (typeof socket === 'number') return false;
    const peer = new SimPeer(this.#world, this.#habits);
    peer.adopt(socket);
    this.peers.push(peer);
    this.onAccept?.(peer);
    return true;
  }
}
