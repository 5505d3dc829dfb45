/**
 * The main reactor of a server with several: it has the listeners, picks a reactor for each connection and hands the
 * descriptor over. A descriptor in flight has its new owner already, so that it is closed if that reactor dies.
 */

import type { DescriptorRegistry } from '../base/descriptors.js';
import { AF_UNIX } from '../base/linux.js';
import type { LinuxKernel } from '../base/linux-kernel.js';
import { type Balancer, createBalancer, hashAddress } from '../connection/balancer.js';
import type { ListenSocket } from '../connection/listen-socket.js';
import type { Listener } from '../connection/listener.js';
import { Profile } from '../connection/profile.js';
import type { Reactor } from '../connection/reactor.js';
import { Counter, ReactorStats, type StatsSnapshot } from '../connection/stats.js';
import { createReactor } from './create-reactor.js';
import { SEQPACKET } from './datagram-listen.js';
import type { PostOffice } from './mail.js';
import { ReactorLoads } from './reactor-loads.js';
import type { ServeSettings } from './settings.js';
import { MAIN_OWNER } from './thread-kernel.js';

/** How often a main reactor that waits for a place looks for one. */
const PLACE_POLL_MS = 20;
/** The main reactor has no connections of its own. */
const OWN_CONNECTIONS_MAX = 1;

export interface AcceptorOptions {
  readonly kernel: LinuxKernel;
  readonly registry: DescriptorRegistry;
  readonly settings: ServeSettings;
  readonly office: PostOffice;
  readonly stats: readonly ReactorStats[];
  readonly wakeDescriptor: number;
  readonly isReady: (index: number) => boolean;
  /** Somebody signalled the wake descriptor, or a turn ran for another reason. */
  readonly onWoken: () => void;
}

export class Acceptor {
  readonly reactor: Reactor;
  readonly #options: AcceptorOptions;
  readonly #balancer: Balancer;
  readonly #profile: Profile;
  readonly #held: ListenSocket[] = [];
  readonly #listeners: Listener[] = [];
  readonly #loads: ReactorLoads;
  readonly #peer = new Uint8Array(128);
  #isWaiting = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    const { kernel, settings, stats } = options;
    this.#loads = new ReactorLoads(stats);
    this.#profile = new Profile({}, settings.reactor.connection);
    this.reactor = createReactor({
      index: 0,
      kernel,
      handler: {},
      settings: {
        ...settings.reactor,
        connectionsMax: OWN_CONNECTIONS_MAX,
        driver: { name: 'epoll', reason: 'it only accepts' },
      },
      stats: ReactorStats.create(),
      peers: options.office,
      inbox: () => {
        options.onWoken();
        return false;
      },
      wakeDescriptor: options.wakeDescriptor,
      onTurn: () => {},
      onWarning: settings.onWarning,
      onShutdownRequest: () => {},
    });
    this.#balancer = createBalancer(settings.balance, {
      count: stats.length,
      connections: (index) => this.#loads.of(index),
      isAvailable: (index) => this.#hasRoom(index),
      random: () => kernel.random(),
    });
  }

  /** What the main reactor itself counted. */
  get stats(): StatsSnapshot {
    return this.reactor.stats.snapshot(-1);
  }

  /** A listening socket that will be accepted from once the reactors are up. */
  hold(socket: ListenSocket): void {
    this.#held.push(socket);
  }

  start(): void {
    for (const socket of this.#held.splice(0)) {
      this.#listeners.push(
        this.reactor.addListener(socket, this.#profile, (fd, listener) =>
          this.#spread(fd, listener),
        ),
      );
    }
  }

  /** Stops accepting; resolves when the listening descriptors are closed. */
  async stop(): Promise<void> {
    for (const { fd, path } of this.#held.splice(0)) {
      this.#options.kernel.close(fd);
      if (path !== undefined) {
        this.#options.kernel.unlink(path);
      }
    }
    this.reactor.stopListening();
  }

  destroy(): void {
    this.reactor.destroy();
  }

  /** A reactor died with all it had. */
  forget(index: number): void {
    this.#loads.forget(index);
  }

  #hasRoom(index: number): boolean {
    return (
      this.#options.isReady(index) &&
      this.#loads.of(index) < this.#options.settings.reactor.connectionsMax
    );
  }

  #isFull(): boolean {
    return this.#options.stats.every((_, index) => !this.#hasRoom(index));
  }

  #spread(fd: number, listener: Listener): boolean {
    const { kernel, registry, office, settings } = this.#options;
    let hash = 0;
    if (settings.balance === 'source-hash') {
      const n = kernel.getPeerName(fd, this.#peer);
      // Unix peers have no address to tell them apart by.
      const { family } = listener.socket;
      const isUnix = family === AF_UNIX || family === SEQPACKET;
      hash = n < 0 || isUnix ? Math.imul(fd, 0x9e3779b1) >>> 0 : hashAddress(this.#peer, n);
    }
    const picked = this.#balancer.pick(fd, hash);
    if (picked < 0) {
      return false;
    }
    for (let i = 0; i < office.count; i += 1) {
      const index = (picked + i) % office.count;
      // A mailbox that is full, so that the next best has to do, is rare: letters of others leave room in it.
      if ((i === 0 || this.#hasRoom(index)) && this.#hand(fd, index, listener.socket.family)) {
        if (!settings.reactor.refuseWhenMax) {
          this.#waitForPlace();
        }
        return true;
      }
    }
    registry.transfer(fd, MAIN_OWNER);
    this.reactor.stats.add(Counter.refusedMailboxFull, 1);
    return false;
  }

  #hand(fd: number, index: number, family: number): boolean {
    this.#options.registry.transfer(fd, index + 1);
    const isHanded = this.#options.office.box(index).sendDescriptor(fd, family);
    if (isHanded) {
      this.#loads.hand(index);
    }
    return isHanded;
  }

  /** With `whenConnectionsMax: 'wait'`: leaves new connections in the backlog until some reactor has room. */
  #waitForPlace(): void {
    if (this.#isFull() && !this.#isWaiting) {
      for (const listener of this.#listeners) {
        listener.suspend();
      }
      this.#isWaiting = true;
      this.#pollPlace();
    }
  }

  #pollPlace(): void {
    this.reactor.setTimer(PLACE_POLL_MS, () => {
      if (this.#isFull()) {
        this.#pollPlace();
        return;
      }
      this.#isWaiting = false;
      for (const listener of this.#listeners) {
        listener.recover();
      }
    });
  }
}
