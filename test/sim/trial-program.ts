/**
 * What runs in a simulated reactor's thread: engine/worker-main.ts line by line, but for how the handler is found and
 * that its reactor is watched. Keep the two alike.
 */

import assert from 'node:assert/strict';
import type { Handler } from '../../src/api.js';
import { isDatagramAddress } from '../../src/base/datagram-address.js';
import { DescriptorRegistry } from '../../src/base/descriptors.js';
import { listenOn } from '../../src/connection/listen-socket.js';
import { Mailbox } from '../../src/connection/mailbox.js';
import { Profile } from '../../src/connection/profile.js';
import type { Reactor } from '../../src/connection/reactor.js';
import { ReactorStats } from '../../src/connection/stats.js';
import { drainReactor } from '../../src/engine/drain.js';
import { Inbox } from '../../src/engine/inbox.js';
import { Postbox, PostOffice } from '../../src/engine/mail.js';
import {
  type FromWorker,
  recordOf,
  type ToWorker,
  type WorkerSetup,
} from '../../src/engine/messages.js';
import { TurnWatch } from '../../src/engine/watchdog.js';
import type { ReactorCheck } from './check-reactor.js';
import type { SimKernel } from './sim-kernel.js';
import type { SimWorld } from './sim-world.js';
import type { DriverKind } from './trial-driver.js';
import { watchedReactor } from './trial-reactors.js';

export interface ProgramParts {
  readonly world: SimWorld;
  readonly driver: DriverKind;
  readonly kernel: SimKernel;
  readonly setup: WorkerSetup;
  readonly handler: Handler;
  readonly tell: (message: FromWorker) => void;
}

export class ReactorProgram {
  readonly reactor: Reactor;
  readonly checks: ReactorCheck[] = [];
  readonly #parts: ProgramParts;
  readonly #profile: Profile;
  #stopping: { hurry(deadlineMs: number): void } | undefined;
  /** It drained and has freed everything. */
  isDone = false;

  /** Throws what makes the thread's start fail. */
  constructor(parts: ProgramParts) {
    this.#parts = parts;
    const { kernel, setup, handler, tell } = parts;
    this.#profile = new Profile(handler, setup.settings.connection);
    this.reactor = this.#makeReactor();
    for (const address of setup.listen) {
      if (isDatagramAddress(address)) continue;
      for (const socket of listenOn(kernel, address, setup.settings.connection)) {
        this.reactor.addListener(socket, this.#profile);
      }
    }
    this.reactor.startTicks();
    tell({ type: 'ready' });
  }

  #makeReactor(): Reactor {
    const { world, driver, kernel, setup, handler, tell } = this.#parts;
    const { index, settings } = setup;
    const pending = new Int32Array(setup.pending);
    const mailboxes = setup.mailboxes.map((buffer) => Mailbox.from(buffer));
    const boxes = mailboxes.map((mailbox, i) => {
      const cell = pending.subarray(i, i + 1);
      return new Postbox(kernel, mailbox, setup.wakeDescriptors[i], cell);
    });
    const inbox = new Inbox(mailboxes[index], pending.subarray(index, index + 1), this.#profile);
    const watch = new TurnWatch(kernel, setup.watch, setup.watchDescriptor);
    return watchedReactor(
      { driver, world, kernel, checks: this.checks },
      {
        ...settings,
        index,
        handler,
        stats: ReactorStats.from(setup.stats),
        peers: new PostOffice(boxes, index),
        inbox: (target) => inbox.drain(target),
        onTurn: () => watch.note(),
        wakeDescriptor: setup.wakeDescriptors[index],
        onWarning: (error) => tell({ type: 'warning', error: recordOf(error) }),
        onShutdownRequest: () => tell({ type: 'shutdown' }),
      },
    );
  }

  hear(message: ToWorker): void {
    if (message.type === 'drain') {
      this.#stop(message.deadlineMs).catch((error: unknown) => {
        // A check failed: let it end the trial.
        this.#parts.world.later(0, () => {
          throw error;
        });
      });
    }
  }

  async #stop(deadlineMs: number): Promise<void> {
    if (this.#stopping !== undefined) {
      this.#stopping.hurry(deadlineMs);
      return;
    }
    const drain = drainReactor(this.reactor, deadlineMs);
    this.#stopping = drain;
    await drain.done;
    for (const check of this.checks) {
      check.inspect();
      check.checkEmpty();
    }
    const leakedBlocks = this.reactor.destroy();
    assert.equal(leakedBlocks, 0, 'no leaked blocks');
    this.isDone = true;
    this.#checkDescriptors();
    this.#parts.tell({ type: 'done', leakedBlocks });
  }

  /** A thread that ends in order has closed what it had; what is in its mailbox is not its own yet. */
  #checkDescriptors(): void {
    const { setup } = this.#parts;
    const registry = DescriptorRegistry.from(setup.descriptors);
    const left = registry.countOf(setup.index + 1);
    const letters = Mailbox.from(setup.mailboxes[setup.index]).depth;
    assert.ok(left <= letters, `${left} descriptors left by a thread that ended in order`);
  }
}
