/**
 * The production side of a trial: one reactor that listens, or a main reactor that accepts and two that get the
 * descriptors through real mailboxes, as the engine does it with threads.
 */

import type { ConnectionOptions, Handler } from '../../src/api.js';
import { parseAddress } from '../../src/base/address.js';
import type { Kernel } from '../../src/base/kernel.js';
import { releaseCachedRegions } from '../../src/base/region-cache.js';
import { listenOn } from '../../src/connection/listen-socket.js';
import { Mailbox } from '../../src/connection/mailbox.js';
import { Profile } from '../../src/connection/profile.js';
import { Reactor } from '../../src/connection/reactor.js';
import { releaseCachedSlabs } from '../../src/connection/slabs.js';
import { Counter, type CounterIndex, ReactorStats } from '../../src/connection/stats.js';
import { discardLetters, Inbox } from '../../src/engine/inbox.js';
import { Postbox } from '../../src/engine/mail.js';
import { DriverMonitor } from './check-driver.js';
import { ReactorCheck } from './check-reactor.js';
import type { SimKernel } from './sim-kernel.js';
import type { SimWorld } from './sim-world.js';
import { createTrialDriver, type DriverKind } from './trial-driver.js';

export interface TrialOptions {
  readonly connection: ConnectionOptions;
  readonly connectionsMax: number;
  readonly refuseWhenMax: boolean;
  readonly receiveBytes: number;
  readonly receiveBudget: number;
  readonly acceptBudget: number;
  readonly blockBytesMax: number;
}

export interface ReactorParts {
  readonly driver: DriverKind;
  readonly world: SimWorld;
  readonly kernel: Kernel;
  readonly checks: ReactorCheck[];
}

/** A reactor of production code whose driver and turns are watched: its check goes to the list. */
export function watchedReactor(
  { driver, world, kernel, checks }: ReactorParts,
  options: Omit<ConstructorParameters<typeof Reactor>[0], 'createDriver' | 'kernel'>,
): Reactor {
  let check: ReactorCheck | undefined;
  const reactor = new Reactor({
    ...options,
    kernel,
    createDriver: (completions, driverOptions) => {
      const monitor = new DriverMonitor(completions, driverOptions, (watched) =>
        createTrialDriver(driver, kernel, watched, driverOptions),
      );
      check = new ReactorCheck(world, monitor);
      return monitor;
    },
    onTurn: () => {
      check?.onTurn();
      options.onTurn();
    },
  });
  check!.reactor = reactor;
  checks.push(check!);
  return reactor;
}

export class TrialReactors {
  readonly #world: SimWorld;
  readonly #options: TrialOptions;
  readonly #driver: DriverKind;
  readonly #onWarning: (error: Error) => void;
  readonly #checks: ReactorCheck[] = [];
  readonly #reactors: Reactor[] = [];
  readonly #kernels: SimKernel[] = [];
  readonly #mailboxes: { mailbox: Mailbox; pending: Int32Array; wake: number }[] = [];
  readonly addresses: string[] = [];

  constructor(
    world: SimWorld,
    driver: DriverKind,
    options: TrialOptions,
    onWarning: (error: Error) => void,
  ) {
    this.#world = world;
    this.#driver = driver;
    this.#options = options;
    this.#onWarning = onWarning;
  }

  /** `subs` 0: the listening reactor has the connections itself. */
  start(handler: Handler, listen: readonly string[], subs: number): void {
    const profile = new Profile(handler, this.#options.connection);
    const kernel = this.#kernel('main');
    const main = this.#reactor(kernel, subs === 0 ? handler : {}, () => false);
    const boxes: Postbox[] = [];
    for (let i = 0; i < subs; i += 1) {
      boxes.push(this.#sub(kernel, i, handler, profile));
    }
    let next = 0;
    for (const url of listen) {
      for (const socket of listenOn(kernel, parseAddress(url), this.#options.connection)) {
        this.addresses.push(socket.url);
        if (subs === 0) {
          main.addListener(socket, profile);
        } else {
          main.addListener(socket, profile, (fd) => {
            next += 1;
            return boxes[next % subs].sendDescriptor(fd, socket.family);
          });
        }
      }
    }
  }

  #sub(main: SimKernel, index: number, handler: Handler, profile: Profile): Postbox {
    const kernel = this.#kernel(`sub ${index}`);
    const mailbox = Mailbox.create(16);
    const pending = new Int32Array(new SharedArrayBuffer(4));
    const inbox = new Inbox(mailbox, pending, profile);
    const wake = main.eventfd();
    this.#mailboxes.push({ mailbox, pending, wake });
    this.#reactor(kernel, handler, (reactor) => inbox.drain(reactor), wake);
    return new Postbox(main, mailbox, wake, pending);
  }

  #kernel(name: string): SimKernel {
    const kernel = this.#world.kernel(name);
    this.#kernels.push(kernel);
    return kernel;
  }

  #reactor(
    kernel: Kernel,
    handler: Handler,
    inbox: (reactor: Reactor) => boolean,
    wakeDescriptor?: number,
  ): Reactor {
    const parts = { driver: this.#driver, world: this.#world, kernel, checks: this.#checks };
    const reactor = watchedReactor(parts, {
      ...this.#options,
      index: this.#reactors.length,
      handler,
      stats: ReactorStats.create(),
      guardMemory: false,
      trimMin: 4,
      peers: { count: 1, write: () => 'closed', send: () => 'closed', post: () => false },
      inbox,
      onTurn: () => {},
      onWarning: this.#onWarning,
      onShutdownRequest: () => {},
      ...(wakeDescriptor === undefined ? {} : { wakeDescriptor }),
    });
    this.#reactors.push(reactor);
    return reactor;
  }

  get connectionCount(): number {
    return this.#reactors.reduce((sum, reactor) => sum + reactor.connectionCount, 0);
  }

  /** Bytes that a driver's kernel may have received before it is told to stop. */
  get receiveAhead(): number {
    return Math.max(0, ...this.#reactors.map(({ state }) => state.driver.receiveAhead));
  }

  get lettersUnderWay(): number {
    return this.#mailboxes.reduce((sum, { mailbox }) => sum + mailbox.depth, 0);
  }

  get timersSet(): number {
    return this.#reactors.reduce(
      (sum, { state }) => sum + state.wheel.size + state.deadlines.size,
      0,
    );
  }

  /** A counter, of all reactors together. */
  count(counter: CounterIndex): number {
    return this.#reactors.reduce((sum, { stats }) => sum + stats.get(counter), 0);
  }

  /** What they have done so far that a peer may notice. */
  get outputs(): number {
    return this.#checks.reduce((sum, check) => sum + check.outputs, 0);
  }

  /** The checks between two steps. */
  inspect(): void {
    for (const check of this.#checks) {
      check.inspect();
    }
  }

  /** From now on no turn may be without a reason. */
  beStrict(): void {
    for (const check of this.#checks) {
      check.isStrict = true;
    }
  }

  /** When no connection is left. */
  checkEmpty(): void {
    for (const check of this.#checks) {
      check.checkEmpty();
    }
  }

  /** Slots in use, listeners included. */
  get slotsUsed(): number {
    return this.#reactors.reduce((sum, { state }) => sum + state.table.used, 0);
  }

  /** Deadlines that passed. */
  get timeouts(): number {
    const counters = [
      Counter.timeoutRead,
      Counter.timeoutWrite,
      Counter.timeoutIdle,
      Counter.timeoutLinger,
    ];
    return this.#reactors.reduce(
      (sum, { stats }) => sum + counters.reduce((part, counter) => part + stats.get(counter), 0),
      0,
    );
  }

  closeAll(): void {
    for (const reactor of this.#reactors) {
      reactor.stopListening();
      reactor.closeAll();
    }
  }

  abortAll(): void {
    for (const reactor of this.#reactors) {
      reactor.abortAll();
    }
  }

  /** Frees everything; returns how many blocks were leaked. */
  destroy(): number {
    let leaked = 0;
    for (const { mailbox, pending } of this.#mailboxes) {
      mailbox.close();
      discardLetters(this.#kernels[0], mailbox, pending);
    }
    for (const reactor of this.#reactors) {
      leaked += reactor.destroy();
    }
    for (const { wake } of this.#mailboxes) {
      this.#kernels[0].close(wake);
    }
    for (const kernel of this.#kernels) {
      releaseCachedRegions(kernel);
      releaseCachedSlabs(kernel);
    }
    return leaked;
  }
}
