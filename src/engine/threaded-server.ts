/**
 * A server with several reactors, each in a thread of its own. The calling thread has the main reactor, which accepts
 * and spreads connections (or, with SO_REUSEPORT, leaves that to the reactors' own listeners), and the supervisor: it
 * replaces a reactor that died or blocks for too long.
 */

import type { CloseOptions, RemoteHandle, ServeOptions, Server } from '../api.js';
import type { Address } from '../base/address.js';
import { parseAddress } from '../base/address.js';
import {
  type DatagramAddress,
  datagramAddressUrl,
  isDatagramAddress,
  isUdp,
  type ListenAddress,
  parseDatagramAddress,
} from '../base/datagram-address.js';
import { events } from '../connection/diagnostics.js';
import { listenOn } from '../connection/listen-socket.js';
import { Mailbox } from '../connection/mailbox.js';
import { combine, ReactorStats, type ServerStats, serverStats } from '../connection/stats.js';
import type { SendResult } from '../datagrams.js';
import { MillraceError } from '../errors.js';
import { Acceptor } from './acceptor.js';
import { closeDeadline, hurryOnAbort } from './close-signal.js';
import { holdPort, listenForPackets } from './datagram-listen.js';
import { discardLetters } from './inbox.js';
import { moduleUrl } from './load-handler.js';
import { Postbox, PostOffice } from './mail.js';
import { ReactorThread } from './reactor-thread.js';
import type { ReactorSettings, ServeSettings } from './settings.js';
import { threadKernel, threadRegistry } from './thread-kernel.js';
import { giveWakeDescriptor, takeWakeDescriptor } from './wake-descriptors.js';
import { Watchdog } from './watchdog.js';

/** How long after the deadline a thread that does not answer may live. */
const GRACE_MS = 2_000;
/** Delay before a reactor is started again: doubled with each death in a row. */
const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5_000;

export class ThreadedServer implements Server {
  readonly reactorCount: number;
  readonly closed: Promise<void>;
  readonly #options: ServeOptions;
  readonly #settings: ServeSettings;
  readonly #kernel = threadKernel();
  readonly #mailboxes: Mailbox[] = [];
  readonly #stats: ReactorStats[] = [];
  readonly #wakeDescriptors: number[] = [];
  readonly #pending: SharedArrayBuffer;
  readonly #watchCell = new SharedArrayBuffer(4);
  readonly #watchDescriptor: number;
  readonly #threads: ReactorThread[] = [];
  readonly #office: PostOffice;
  readonly #acceptor: Acceptor;
  readonly #watchdog: Watchdog;
  readonly #deaths: number[];
  #addresses: string[] = [];
  #closing: Promise<void> | undefined;
  #resolveClosed: () => void = () => {};

  constructor(options: ServeOptions, settings: ServeSettings) {
    this.#options = options;
    this.#settings = settings;
    const count = settings.reactors;
    this.reactorCount = count;
    this.#deaths = new Array<number>(count).fill(0);
    this.#pending = new SharedArrayBuffer(4 * count);
    for (let i = 0; i < count; i += 1) {
      this.#mailboxes.push(Mailbox.create());
      this.#stats.push(ReactorStats.create());
      this.#wakeDescriptors.push(takeWakeDescriptor(this.#kernel));
    }
    this.#watchDescriptor = takeWakeDescriptor(this.#kernel);
    const boxes = this.#mailboxes.map((mailbox, i) => {
      const pending = new Int32Array(this.#pending, i * 4, 1);
      return new Postbox(this.#kernel, mailbox, this.#wakeDescriptors[i], pending);
    });
    this.#office = new PostOffice(boxes, -1);
    this.#acceptor = new Acceptor({
      kernel: this.#kernel,
      registry: threadRegistry(),
      settings,
      office: this.#office,
      stats: this.#stats,
      wakeDescriptor: this.#watchDescriptor,
      isReady: (index) => this.#threads[index].isReady,
      onWoken: () => this.#watchdog.wake(),
    });
    this.#watchdog = this.#createWatchdog();
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  #createWatchdog(): Watchdog {
    const { blockedAfterMs, replaceAfterMs, onWarning } = this.#settings;
    return new Watchdog({
      kernel: this.#kernel,
      shared: this.#watchCell,
      blockedAfterMs,
      replaceAfterMs,
      stats: (index) => this.#stats[index],
      count: this.reactorCount,
      setTimer: (milliseconds, callback) => this.#acceptor.reactor.setTimer(milliseconds, callback),
      clearTimer: (timer) => this.#acceptor.reactor.clearTimer(timer),
      onBlocked: (_index, error) => onWarning(error),
      onReplace: (index) => {
        this.#threads[index].kill(
          new MillraceError('ERR_REACTOR_BLOCKED', `Reactor ${index} was blocked for too long`),
        );
      },
    });
  }

  get driver(): string {
    return this.#settings.reactor.driver.name;
  }

  get driverReason(): string {
    return this.#settings.reactor.driver.reason;
  }

  /** Binds, starts all reactors, then accepts. On failure everything is stopped again. */
  async start(addresses: readonly ListenAddress[]): Promise<void> {
    /** Held until the reactors listen, so that port 0 means one port. */
    const held: number[] = [];
    const own: ListenAddress[] = [];
    const ofFirst: ListenAddress[] = [];
    try {
      for (const address of addresses) {
        if (isUdp(address)) {
          own.push(this.#holdPort(address, held));
        } else if (isDatagramAddress(address)) {
          this.#listenOnUnix(address, ofFirst);
        } else {
          own.push(...this.#listenForStreams(address, held));
        }
      }
      this.#createThreads(own, ofFirst);
      await Promise.all(this.#threads.map((thread) => this.#startThread(thread)));
      for (const fd of held.splice(0)) {
        this.#kernel.close(fd);
      }
      this.#acceptor.start();
    } catch (error) {
      for (const fd of held) {
        this.#kernel.close(fd);
      }
      await this.close({ deadlineMs: 0 });
      throw error;
    }
  }

  /** The addresses that the reactors are to listen on themselves; the acceptor has the others. */
  #listenForStreams(address: Address, held: number[]): Address[] {
    const listening = listenOn(this.#kernel, address, this.#settings.reactor.connection);
    this.#addresses.push(...listening.map(({ url }) => url));
    // A Unix socket has no SO_REUSEPORT to spread with; a descriptor that was taken over is one.
    if (this.#settings.reusePort && address.kind.startsWith('tcp')) {
      held.push(...listening.map(({ fd }) => fd));
      return listening.map(({ url }) => withKind(parseAddress(url), address));
    }
    for (const socket of listening) {
      this.#acceptor.hold(socket);
    }
    return [];
  }

  #holdPort(address: DatagramAddress, held: number[]): DatagramAddress {
    const { fd, url } = holdPort(this.#kernel, address, this.#settings.reactor.datagram);
    held.push(fd);
    this.#addresses.push(url);
    return { ...parseDatagramAddress(url), kind: address.kind } as DatagramAddress;
  }

  /** One socket has the name: a seqpacket listener, which spreads, or that of the first reactor. */
  #listenOnUnix(address: DatagramAddress, ofFirst: ListenAddress[]): void {
    if (address.kind.startsWith('seqpacket')) {
      const { datagram } = this.#settings.reactor;
      const socket = listenForPackets(this.#kernel, address, datagram);
      this.#addresses.push(socket.url);
      this.#acceptor.hold(socket);
    } else {
      this.#addresses.push(datagramAddressUrl(address));
      ofFirst.push(address);
    }
  }

  #createThreads(own: readonly ListenAddress[], ofFirst: readonly ListenAddress[]): void {
    const { settings, mailboxes, pending, watch } = {
      settings: this.#settings,
      mailboxes: this.#mailboxes.map(({ buffer }) => buffer),
      pending: this.#pending,
      watch: this.#watchCell,
    };
    for (let index = 0; index < this.reactorCount; index += 1) {
      this.#threads.push(
        new ReactorThread({
          kernel: this.#kernel,
          registry: threadRegistry(),
          mailbox: this.#mailboxes[index],
          pending: new Int32Array(pending, index * 4, 1),
          stats: this.#stats[index],
          resourceLimits: this.#options.resourceLimits,
          events: {
            onWarning: settings.onWarning,
            onShutdownRequest: () => void this.close(),
            onDeath: (dead, error) => this.#onDeath(dead, error),
          },
          setup: {
            index,
            count: this.reactorCount,
            handlerUrl: moduleUrl(this.#options.handler as URL | string),
            data: this.#options.data,
            settings: index === 0 ? settings.reactor : withoutGroups(settings.reactor),
            mailboxes,
            pending,
            wakeDescriptors: this.#wakeDescriptors,
            stats: this.#stats[index].buffer,
            watch,
            watchDescriptor: settings.blockedAfterMs > 0 ? this.#watchDescriptor : -1,
            descriptors: threadRegistry().buffer,
            listen: index === 0 ? [...own, ...ofFirst] : own,
            cpu: settings.cpus[index] ?? -1,
          },
        }),
      );
    }
  }

  async #startThread(thread: ReactorThread): Promise<void> {
    await thread.start();
    events.ready.publish({ server: this, index: thread.index });
  }

  /** A reactor died: it is replaced, soon, later if it keeps dying. */
  #onDeath(index: number, error: Error): void {
    events.death.publish({ server: this, index, error });
    this.#settings.onWarning(
      new MillraceError(
        'ERR_REACTOR_DIED',
        `Reactor ${index} died and is replaced: ${error.message}`,
        {
          cause: error,
        },
      ),
    );
    this.#acceptor.forget(index);
    // The dead thread may have left a letter in another's mailbox without waking it.
    for (const fd of this.#wakeDescriptors) {
      this.#kernel.signal(fd);
    }
    this.#restart(index);
  }

  #restart(index: number): void {
    if (this.#closing !== undefined) {
      return;
    }
    const delay = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** Math.min(this.#deaths[index], 10));
    this.#deaths[index] += 1;
    this.#acceptor.reactor.setTimer(delay, () => {
      if (this.#closing !== undefined) {
        return;
      }
      this.#startThread(this.#threads[index]).then(
        () => {
          this.#acceptor.reactor.setTimer(RESTART_MAX_MS * 2, () => {
            this.#deaths[index] = 0;
          });
        },
        (error: Error) => {
          this.#settings.onWarning(error);
          this.#restart(index);
        },
      );
    });
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  get stats(): ServerStats {
    const { reactors } = serverStats(this.#stats);
    // What the main reactor accepted and refused belongs to the server, though to none of its reactors.
    return { totals: combine([...reactors, this.#acceptor.stats]), reactors };
  }

  write(id: number, bytes: Uint8Array): 'sent' | 'queued' | 'full' | 'closed' {
    return this.#closing === undefined ? this.#office.write(id, bytes) : 'closed';
  }

  send(id: number, data: Uint8Array | string, to?: string): SendResult {
    return this.#closing === undefined ? this.#office.send(id, data, to) : 'closed';
  }

  post(index: number, bytes: Uint8Array): boolean {
    return this.#office.post(index, bytes);
  }

  broadcast(bytes: Uint8Array): boolean {
    return this.#office.broadcast(bytes);
  }

  execute(index: number, task: string, argument?: unknown): Promise<unknown> {
    const thread = this.#threads[index];
    if (thread === undefined) {
      return Promise.reject(
        new RangeError(`Expected a reactor from 0 to ${this.reactorCount - 1}, got ${index}`),
      );
    }
    return thread.execute(task, argument);
  }

  executeAll(task: string, argument?: unknown): Promise<unknown[]> {
    return Promise.all(this.#threads.map((thread) => thread.execute(task, argument)));
  }

  remoteHandle(): RemoteHandle {
    return {
      mailboxes: this.#mailboxes.map(({ buffer }) => buffer),
      pending: this.#pending,
      wakeDescriptors: this.#wakeDescriptors,
    };
  }

  close(options: CloseOptions = {}): Promise<void> {
    const deadlineMs = closeDeadline(options);
    if (this.#closing === undefined) {
      this.#closing = this.#shutDown(deadlineMs);
    } else {
      for (const thread of this.#threads) {
        void thread.stop(deadlineMs, GRACE_MS);
      }
    }
    hurryOnAbort(options, this.#closing, () => void this.close({ deadlineMs: 0 }));
    return this.#closing;
  }

  async #shutDown(deadlineMs: number): Promise<void> {
    events.closing.publish({ server: this });
    this.#watchdog.close();
    await this.#acceptor.stop();
    await Promise.all(this.#threads.map((thread) => thread.stop(deadlineMs, GRACE_MS)));
    for (const [index, mailbox] of this.#mailboxes.entries()) {
      mailbox.close();
      // A reactor that stopped later may have written to one that was gone already.
      discardLetters(this.#kernel, mailbox, new Int32Array(this.#pending, index * 4, 1));
    }
    this.#acceptor.destroy();
    for (const fd of [...this.#wakeDescriptors, this.#watchDescriptor]) {
      giveWakeDescriptor(fd);
    }
    events.closed.publish({ server: this });
    this.#resolveClosed();
  }

  ref(): void {
    this.#acceptor.reactor.ref();
    for (const thread of this.#threads) {
      thread.ref();
    }
  }

  unref(): void {
    this.#acceptor.reactor.unref();
    for (const thread of this.#threads) {
      thread.unref();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The address really bound, of the kind that was asked for. */
function withKind(bound: Address, asked: Address): Address {
  return { ...bound, kind: asked.kind } as Address;
}

/** What comes to a group comes to each socket that joined it, those of other reactors included: one is enough. */
function withoutGroups(settings: ReactorSettings): ReactorSettings {
  return { ...settings, datagram: { ...settings.datagram, groups: [] } };
}
