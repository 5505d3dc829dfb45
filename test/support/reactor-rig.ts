/**
 * A production reactor without a server around it: with its driver, listener and handler as the engine makes them, on
 * the real kernel with raw peers, or on the simulated one, where time stands still until the test lets it go on.
 */

import assert from 'node:assert/strict';

import type { Connection, Handler, ServeOptions } from '../../src/api.js';
import { parseAddress } from '../../src/base/address.js';
import type { Kernel } from '../../src/base/kernel.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { releaseCachedRegions } from '../../src/base/region-cache.js';
import type { SocketConnection } from '../../src/connection/connection.js';
import { listenOn } from '../../src/connection/listen-socket.js';
import type { Listener } from '../../src/connection/listener.js';
import { Profile } from '../../src/connection/profile.js';
import type { Reactor } from '../../src/connection/reactor.js';
import type { Peers } from '../../src/connection/reactor-options.js';
import { releaseCachedSlabs } from '../../src/connection/slabs.js';
import { ReactorStats } from '../../src/connection/stats.js';
import { chooseDriver } from '../../src/connection/drivers/choose.js';
import { createReactor } from '../../src/engine/create-reactor.js';
import { readSettings } from '../../src/engine/settings.js';
import type { PeerHabits, SimPeer } from '../sim/sim-peer.js';
import { SimWorld, type SimWorldOptions } from '../sim/sim-world.js';
import { awaitCondition } from './await-condition.js';
import { RawPeer, type RawPeerOptions } from './raw-peer.js';

export interface RigOptions extends Partial<Omit<ServeOptions, 'handler' | 'listen'>> {
  readonly listen?: string;
  readonly index?: number;
  readonly peers?: Peers;
}

const ALONE: Peers = { count: 1, write: () => 'closed', send: () => 'closed', post: () => false };

/** What both rigs have. */
class Rig {
  readonly kernel: Kernel;
  readonly reactor: Reactor;
  readonly stats = ReactorStats.create();
  readonly profile: Profile;
  readonly listener: Listener;
  readonly warnings: Error[] = [];
  shutdowns = 0;
  readonly #wakeDescriptor: number;
  readonly #seen = new Set<number>();
  #isFreed = false;

  constructor(kernel: Kernel, handler: Handler, options: RigOptions) {
    const { listen = 'tcp://127.0.0.1:0', index = 0, peers = ALONE, ...rest } = options;
    const settings = readSettings(
      { connectionsMax: 64, ...rest, listen, handler },
      1_024,
      // On epoll, unless the run is for another one.
      () => chooseDriver(kernel, (process.env.MILLRACE_DRIVER as 'uring') ?? 'epoll', false),
    ).reactor;
    this.kernel = kernel;
    this.#wakeDescriptor = kernel.eventfd();
    this.reactor = createReactor({
      index,
      kernel,
      handler,
      settings,
      stats: this.stats,
      peers,
      inbox: () => false,
      wakeDescriptor: this.#wakeDescriptor,
      onTurn: () => {},
      onWarning: (warning) => this.warnings.push(warning),
      onShutdownRequest: () => {
        this.shutdowns += 1;
      },
    });
    this.profile = new Profile(handler, settings.connection);
    const [socket] = listenOn(kernel, parseAddress(listen), settings.connection);
    this.listener = this.reactor.addListener(socket, this.profile);
  }

  get url(): string {
    return this.listener.socket.url;
  }

  /** A connection that was not asked for before, if there is one. */
  takeNew(): SocketConnection | undefined {
    for (const connection of this.reactor.connections()) {
      if (!this.#seen.has(connection.id)) {
        this.#seen.add(connection.id);
        return connection as SocketConnection;
      }
    }
    return undefined;
  }

  /** What a thread does at its end: answers the number of blocks that were kept. */
  free(): number {
    assert.ok(!this.#isFreed, 'the rig is closed already');
    this.#isFreed = true;
    const leakedBlocks = this.reactor.destroy();
    this.kernel.close(this.#wakeDescriptor);
    releaseCachedSlabs(this.kernel);
    releaseCachedRegions(this.kernel);
    return leakedBlocks;
  }
}

/** On the real kernel. */
export class LinuxRig extends Rig {
  readonly #peers: RawPeer[] = [];

  static open(handler: Handler, options: RigOptions = {}): LinuxRig {
    return new LinuxRig(new LinuxKernel(), handler, options);
  }

  /** A connected peer and the reactor's side of it. */
  async connect(
    options: RawPeerOptions = {},
  ): Promise<{ peer: RawPeer; connection: SocketConnection }> {
    const peer = await RawPeer.connect(this.url, options);
    this.#peers.push(peer);
    let connection: SocketConnection | undefined;
    await awaitCondition(() => {
      connection = this.takeNew();
      return connection !== undefined;
    }, 'a connection');
    return { peer, connection: connection! };
  }

  /** Ends everything at once. Answers the number of blocks that were kept. */
  async close(): Promise<number> {
    for (const peer of this.#peers) {
      peer.close();
    }
    this.reactor.stopListening();
    this.reactor.closeAll();
    this.reactor.abortAll();
    await this.reactor.whenEmpty();
    return this.free();
  }
}

/** On the simulated kernel. */
export class SimRig extends Rig {
  readonly world: SimWorld;

  static open(
    handler: Handler,
    options: RigOptions = {},
    world?: Partial<SimWorldOptions>,
  ): SimRig {
    const made = new SimWorld({ seed: 1, shape: 'plain', ...world });
    return new SimRig(made, handler, options);
  }

  private constructor(world: SimWorld, handler: Handler, options: RigOptions) {
    super(world.kernel('main'), handler, { listen: 'tcp://127.0.0.1:80', ...options });
    this.world = world;
  }

  /** Runs until the condition holds; throws if everything has come to rest before. */
  async until(condition: () => boolean): Promise<void> {
    assert.ok(await this.world.run({ until: condition }), 'the world came to rest');
  }

  /** Runs what is to happen within so many virtual milliseconds. */
  async pass(milliseconds: number): Promise<void> {
    let isOver = false;
    this.world.later(milliseconds, () => {
      isOver = true;
    });
    await this.until(() => isOver);
  }

  async connect(habits: PeerHabits = {}): Promise<{ peer: SimPeer; connection: SocketConnection }> {
    const peer = this.world.peer(habits);
    peer.connect(this.url);
    let connection: SocketConnection | undefined;
    await this.until(() => {
      connection ??= this.takeNew();
      return connection !== undefined && peer.isConnected;
    });
    return { peer, connection: connection! };
  }

  /** Ends everything, and throws on violations, leaks of descriptors, memory and blocks. */
  async close(): Promise<void> {
    this.reactor.stopListening();
    this.reactor.closeAll();
    this.reactor.abortAll();
    let isEmpty = false;
    void this.reactor.whenEmpty().then(() => {
      isEmpty = true;
    });
    await this.until(() => isEmpty);
    assert.equal(this.free(), 0, 'blocks were kept');
    this.world.finish();
  }
}

/** Notes the hooks of a handler, in order. */
export function hookNotes(events: string[]): Handler {
  return {
    onOpen: () => void events.push('open'),
    onData: (_connection: Connection, bytes) => void events.push(`data ${bytes}`),
    onDrain: () => void events.push('drain'),
    onEnd: () => void events.push('end'),
    onClose: (_connection, { code, timeout }) => void events.push(`close ${timeout ?? code}`),
  };
}
