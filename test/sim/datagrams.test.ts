/**
 * Datagram sockets of the real reactor on the simulated kernel, from seeds: a network that loses, repeats and delays,
 * calls that are interrupted, do a part or find no room. Nothing arrives that was not sent, nothing of ours is lost
 * uncounted, sessions open and close once, and equal seeds give equal runs.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { parseDatagramAddress } from '../../src/base/datagram-address.js';
import { releaseCachedRegions } from '../../src/base/region-cache.js';
import type { DatagramEndpoint } from '../../src/connection/datagram/endpoint.js';
import { hubOf } from '../../src/connection/datagram/hub.js';
import { openEndpoint, openSocket } from '../../src/connection/datagram/open-socket.js';
import { DatagramProfile } from '../../src/connection/datagram/profile.js';
import { chooseDriver } from '../../src/connection/drivers/choose.js';
import type { Reactor } from '../../src/connection/reactor.js';
import { releaseCachedSlabs } from '../../src/connection/slabs.js';
import { ReactorStats } from '../../src/connection/stats.js';
import type { DatagramHooks, DatagramOptions } from '../../src/datagrams.js';
import { createReactor } from '../../src/engine/create-reactor.js';
import { readSettings } from '../../src/engine/settings.js';
import { FAULT_NAMES, type FaultName } from './faults.js';
import { Random } from './random.js';
import type { SimKernel } from './sim-kernel.js';
import { SimWorld } from './sim-world.js';
import { DRIVER_KINDS, type DriverKind } from './trial-driver.js';

const SEEDS = 25;
const CLIENTS = 4;
const DATAGRAMS = 60;
/** What the sockets' calls can meet, and what would only keep the trial from starting. */
const USED: readonly FaultName[] = FAULT_NAMES.filter((name) =>
  /^(datagram|send(Again|NoMemory)|receiveAgain|shortReceive|wait|event|alarm|ring)/.test(name),
);

class Side {
  readonly kernel: SimKernel;
  readonly reactor: Reactor;
  readonly stats = ReactorStats.create();
  readonly warnings: Error[] = [];
  readonly #wake: number;

  constructor(world: SimWorld, name: string, driver: DriverKind) {
    this.kernel = world.kernel(name);
    const settings = readSettings({ listen: 'tcp://127.0.0.1:0', handler: {} }, 64, () =>
      chooseDriver(this.kernel, driver, false),
    ).reactor;
    this.#wake = this.kernel.eventfd();
    this.reactor = createReactor({
      index: 0,
      kernel: this.kernel,
      handler: {},
      settings,
      stats: this.stats,
      peers: { count: 1, write: () => 'closed', send: () => 'closed', post: () => false },
      inbox: () => false,
      wakeDescriptor: this.#wake,
      onTurn: () => {},
      onWarning: (warning) => this.warnings.push(warning),
      onShutdownRequest: () => {},
    });
  }

  open(url: string, hooks: DatagramHooks, options: DatagramOptions = {}, connect?: string) {
    const profile = new DatagramProfile(hooks, options);
    const place = {
      bind: parseDatagramAddress(url),
      connect: connect === undefined ? undefined : parseDatagramAddress(connect),
    };
    return openEndpoint(hubOf(this.reactor.state), openSocket(this.kernel, place, profile));
  }

  async close(world: SimWorld): Promise<void> {
    this.reactor.closeAll();
    let isEmpty = false;
    void this.reactor.whenEmpty().then(() => {
      isEmpty = true;
    });
    assert.ok(await world.run({ until: () => isEmpty }), 'the sockets do not close');
    this.reactor.destroy();
    this.kernel.close(this.#wake);
    releaseCachedSlabs(this.kernel);
    releaseCachedRegions(this.kernel);
  }
}

function drawFaults(seed: number): Partial<Record<FaultName, number>> {
  const random = new Random(seed, 90);
  const rates: Partial<Record<FaultName, number>> = {};
  for (const name of USED) {
    if (random.chance(0.4)) rates[name] = random.logarithmic(0.005, 0.3);
  }
  return rates;
}

interface Outcome {
  readonly hash: string;
  readonly echoes: number;
  /** Datagrams that the network lost, and repeated. */
  readonly lost: number;
  readonly twice: number;
}

class Trial {
  readonly #world: SimWorld;
  readonly #random: Random;
  readonly #server: Side;
  readonly #clients: Side;
  readonly #scheme: 'udp' | 'unixgram';
  /** By client: how often each datagram was echoed. */
  readonly #echoes: Map<string, number>[] = [];
  #opened = 0;
  #closed = 0;

  constructor(seed: number, driver: DriverKind, scheme: 'udp' | 'unixgram') {
    this.#world = new SimWorld({ seed, shape: 'random', faults: drawFaults(seed) });
    this.#world.shape.descriptorLimit = 1_024;
    this.#random = new Random(seed, 91);
    this.#scheme = scheme;
    const rates = { ...this.#world.faults.rates };
    this.#world.faults.stop();
    this.#server = new Side(this.#world, 'server', driver);
    this.#clients = new Side(this.#world, 'clients', driver);
    Object.assign(this.#world.faults.rates, rates);
  }

  async run(): Promise<Outcome> {
    const world = this.#world;
    const server = this.#openServer();
    const clients = Array.from({ length: CLIENTS }, (_, i) => this.#openClient(i, server));
    const taken = clients.map(() => 0);
    for (let n = 0; n < DATAGRAMS; n += 1) {
      for (const [i, client] of clients.entries()) {
        const text = `${i}/${n}`.padEnd(this.#random.between(6, 200), '.');
        const to = client.remote === undefined ? server.localAddress : undefined;
        const result = client.send(text, to);
        assert.ok(result === 'queued' || result === 'full', result);
        if (result === 'queued') {
          taken[i]! += 1;
          this.#echoes[i]!.set(text, 0);
        }
      }
      world.runSync({ until: () => false, maxSteps: this.#random.between(1, 40) });
    }
    // Whatever is still under way arrives, and all sessions fall silent.
    world.faults.stop();
    await world.run({ until: () => false });
    assert.equal(this.#opened, this.#closed, 'sessions stay');
    assert.equal(sumOf(clients.map(({ queuedDatagrams }) => queuedDatagrams)), 0);
    this.#check(server, clients, taken);
    await this.#clients.close(world);
    await this.#server.close(world);
    assert.deepEqual([...this.#server.warnings, ...this.#clients.warnings], []);
    world.finish();
    const echoes = this.#echoes.reduce((sum, each) => sum + sumOf(each.values()), 0);
    const { datagramLost: lost, datagramTwice: twice } = world.faults.counts;
    return { hash: world.traceHash, echoes, lost, twice };
  }

  #openServer(): DatagramEndpoint {
    const url = this.#scheme === 'udp' ? 'udp://127.0.0.1:0' : 'unixgram-abstract://server';
    const hooks: DatagramHooks = {
      onSessionOpen: () => {
        this.#opened += 1;
      },
      onSessionData: (session, bytes) => {
        session.send(bytes);
        return this.#random.chance(0.02) ? 'close' : undefined;
      },
      onSessionClose: (session) => {
        assert.equal(session.isOpen, false);
        this.#closed += 1;
      },
      onDatagramError: () => {},
    };
    return this.#server.open(url, hooks, { sessions: { idleTimeoutMs: 200 } });
  }

  #openClient(i: number, server: DatagramEndpoint): DatagramEndpoint {
    this.#echoes.push(new Map());
    const url = this.#scheme === 'udp' ? 'udp://127.0.0.1:0' : `unixgram-abstract://client${i}`;
    const hooks: DatagramHooks = {
      onDatagram: (_socket, bytes, peer) => {
        const text = bytes.toString();
        assert.equal(peer.address, server.localAddress);
        const before = this.#echoes[i]!.get(text);
        assert.notEqual(before, undefined, `client ${i} was sent what it had not sent: ${text}`);
        this.#echoes[i]!.set(text, before! + 1);
      },
      onDatagramError: () => {},
    };
    const connect = i % 2 === 0 ? server.localAddress : undefined;
    return this.#clients.open(url, hooks, {}, connect);
  }

  #check(server: DatagramEndpoint, clients: DatagramEndpoint[], taken: number[]): void {
    const { counts } = this.#world.faults;
    for (const [i, { stats }] of clients.entries()) {
      assert.equal(stats.sent + stats.dropped, taken[i], `client ${i} lost some uncounted`);
    }
    const sent = sumOf(clients.map(({ stats }) => stats.sent));
    const most = sent + counts.datagramTwice;
    assert.ok(server.stats.received <= most);
    assert.ok(server.stats.received >= sent - counts.datagramLost - this.#lostForRoom());
    assert.equal(this.#opened > 0, server.stats.received > 0);
    assert.equal(hubOf(this.#server.reactor.state).sessionCount, 0);
    if (counts.datagramTwice === 0) {
      for (const each of this.#echoes) assert.ok([...each.values()].every((n) => n <= 1));
    }
  }

  /** A kernel's receive buffer may have been too small. */
  #lostForRoom(): number {
    return this.#world.network.udpPorts.lost;
  }
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

for (const driver of DRIVER_KINDS) {
  describe(`datagrams on the simulated kernel, ${driver}`, () => {
    for (const scheme of ['udp', 'unixgram'] as const) {
      it(`${scheme}: ${SEEDS} seeds`, async () => {
        let echoes = 0;
        let lost = 0;
        let twice = 0;
        for (let seed = 1; seed <= SEEDS; seed += 1) {
          try {
            const outcome = await new Trial(seed, driver, scheme).run();
            echoes += outcome.echoes;
            lost += outcome.lost;
            twice += outcome.twice;
          } catch (error) {
            throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
          }
        }
        assert.ok(echoes > SEEDS * DATAGRAMS, `only ${echoes} echoes: the trial tries nothing`);
        const isLossy = scheme === 'udp';
        assert.deepEqual([lost > 0, twice > 0], [isLossy, isLossy], 'faults that never happened');
      });

      it(`${scheme}: equal seeds, equal runs`, async () => {
        const first = await new Trial(77, driver, scheme).run();
        assert.deepEqual(await new Trial(77, driver, scheme).run(), first);
      });
    }
  });
}
