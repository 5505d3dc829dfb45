/**
 * A server with one reactor in the calling thread: `serve` with a handler object, or with one reactor.
 */

import type { CloseOptions, Handler, RemoteHandle, Server } from '../api.js';
import { isDatagramAddress, type ListenAddress } from '../base/datagram-address.js';
import { events } from '../connection/diagnostics.js';
import { listenOn } from '../connection/listen-socket.js';
import { Mailbox } from '../connection/mailbox.js';
import { Profile } from '../connection/profile.js';
import type { Reactor } from '../connection/reactor.js';
import { ReactorStats, type ServerStats, serverStats } from '../connection/stats.js';
import type { SendResult } from '../datagrams.js';
import { MillraceError } from '../errors.js';
import { closeDeadline, hurryOnAbort } from './close-signal.js';
import { createReactor } from './create-reactor.js';
import { listenForDatagrams } from './datagram-listen.js';
import { type Drain, drainReactor } from './drain.js';
import { discardLetters, Inbox } from './inbox.js';
import { Postbox, PostOffice } from './mail.js';
import type { ServeSettings } from './settings.js';
import { threadKernel } from './thread-kernel.js';
import { giveWakeDescriptor, takeWakeDescriptor } from './wake-descriptors.js';

export class LocalServer implements Server {
  readonly reactorCount = 1;
  readonly closed: Promise<void>;
  readonly #handler: Handler;
  readonly #settings: ServeSettings;
  readonly #reactor: Reactor;
  readonly #profile: Profile;
  readonly #stats: ReactorStats;
  readonly #mailbox: Mailbox;
  readonly #office: PostOffice;
  readonly #wakeDescriptor: number;
  readonly #pending: SharedArrayBuffer;
  readonly #addresses: string[] = [];
  #drain: Drain | undefined;
  #closing: Promise<void> | undefined;
  #resolveClosed: () => void = () => {};

  constructor(handler: Handler, settings: ServeSettings) {
    const kernel = threadKernel();
    this.#handler = handler;
    this.#settings = settings;
    this.#profile = new Profile(handler, settings.reactor.connection);
    this.#stats = ReactorStats.create();
    this.#mailbox = Mailbox.create();
    this.#pending = new SharedArrayBuffer(4);
    this.#wakeDescriptor = takeWakeDescriptor(kernel);
    const pending = new Int32Array(this.#pending);
    const boxes = [new Postbox(kernel, this.#mailbox, this.#wakeDescriptor, pending)];
    this.#office = new PostOffice(boxes, -1);
    const inbox = new Inbox(this.#mailbox, pending, this.#profile);
    this.#reactor = createReactor({
      index: 0,
      kernel,
      handler,
      settings: settings.reactor,
      stats: this.#stats,
      peers: new PostOffice(boxes, 0),
      inbox: (reactor) => inbox.drain(reactor),
      wakeDescriptor: this.#wakeDescriptor,
      onTurn: () => {},
      onWarning: settings.onWarning,
      onShutdownRequest: () => void this.close(),
    });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** Boots the handler and listens. On failure everything is freed again. */
  async start(addresses: readonly ListenAddress[]): Promise<void> {
    try {
      await this.#handler.onBoot?.(this.#reactor);
      for (const address of addresses) {
        if (isDatagramAddress(address)) {
          this.#addresses.push(listenForDatagrams(this.#reactor, address));
          continue;
        }
        for (const socket of listenOn(threadKernel(), address, this.#settings.reactor.connection)) {
          this.#reactor.addListener(socket, this.#profile);
          this.#addresses.push(socket.url);
        }
      }
      this.#reactor.startTicks();
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  get driver(): string {
    return this.#reactor.driver;
  }

  get driverReason(): string {
    return this.#settings.reactor.driver.reason;
  }

  get stats(): ServerStats {
    return serverStats([this.#stats]);
  }

  /** The reactor itself: for programs that live in its thread. */
  get reactor(): Reactor {
    return this.#reactor;
  }

  write(id: number, bytes: Uint8Array): 'sent' | 'queued' | 'full' | 'closed' {
    return this.#closing === undefined ? this.#reactor.write(id, bytes) : 'closed';
  }

  send(id: number, data: Uint8Array | string, to?: string): SendResult {
    return this.#closing === undefined ? this.#reactor.send(id, data, to) : 'closed';
  }

  post(index: number, bytes: Uint8Array): boolean {
    return this.#office.post(index, bytes);
  }

  broadcast(bytes: Uint8Array): boolean {
    return this.#office.broadcast(bytes);
  }

  /** Cloned both ways, as between threads; and never from within a call or hook of the user's. */
  async execute(index: number, task: string, argument?: unknown): Promise<unknown> {
    if (index !== 0) {
      throw new RangeError(`Expected reactor 0, got ${index}`);
    }
    if (this.#closing !== undefined) {
      throw new MillraceError('ERR_CLOSED', 'The server is closed');
    }
    const { tasks } = this.#handler;
    const found = tasks === undefined ? undefined : Object.getOwnPropertyDescriptor(tasks, task);
    if (typeof found?.value !== 'function') {
      throw new MillraceError('ERR_NO_TASK', `The handler has no task ${task}`);
    }
    const copy = structuredClone(argument);
    await Promise.resolve();
    return structuredClone(await found.value.call(tasks, this.#reactor, copy));
  }

  async executeAll(task: string, argument?: unknown): Promise<unknown[]> {
    return [await this.execute(0, task, argument)];
  }

  remoteHandle(): RemoteHandle {
    return {
      mailboxes: [this.#mailbox.buffer],
      pending: this.#pending,
      wakeDescriptors: [this.#wakeDescriptor],
    };
  }

  close(options: CloseOptions = {}): Promise<void> {
    const deadlineMs = closeDeadline(options);
    if (this.#drain !== undefined) {
      this.#drain.hurry(deadlineMs);
    } else {
      this.#closing = this.#shutDown(deadlineMs);
    }
    hurryOnAbort(options, this.#closing!, () => void this.close({ deadlineMs: 0 }));
    return this.#closing!;
  }

  async #shutDown(deadlineMs: number): Promise<void> {
    events.closing.publish({ server: this });
    this.#drain = drainReactor(this.#reactor, deadlineMs);
    await this.#drain.done;
    try {
      await this.#handler.onShutdown?.(this.#reactor);
    } catch (error) {
      this.#settings.onWarning(error instanceof Error ? error : new Error(String(error)));
    }
    this.#free();
    // Turns that were asked for still hang in Node's loop: a program that opens and closes servers in a row without any
    // I/O between would never let them go.
    await new Promise<void>((resolve) => threadKernel().defer(resolve));
    events.closed.publish({ server: this });
    this.#resolveClosed();
  }

  #free(): void {
    this.#mailbox.close();
    discardLetters(threadKernel(), this.#mailbox, new Int32Array(this.#pending));
    const leaked = this.#reactor.destroy();
    if (leaked > 0) {
      this.#settings.onWarning(
        new MillraceError('ERR_LEAK', `${leaked} blocks were not released: a slice was kept`),
      );
    }
    giveWakeDescriptor(this.#wakeDescriptor);
  }

  ref(): void {
    this.#reactor.ref();
  }

  unref(): void {
    this.#reactor.unref();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
