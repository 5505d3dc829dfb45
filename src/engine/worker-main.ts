/**
 * The main program of a reactor's thread: makes the reactor, loads the handler, and does what the main thread says,
 * until it says to stop.
 */

import { parentPort, workerData } from 'node:worker_threads';

import type { Handler } from '../api.js';
import { isDatagramAddress } from '../base/datagram-address.js';
import { DescriptorRegistry } from '../base/descriptors.js';
import { LinuxKernel } from '../base/linux-kernel.js';
import { NativeRegistry, useNativeRegistry } from '../base/native-registry.js';
import { RegionRegistry } from '../base/region-registry.js';
import { listenOn } from '../connection/listen-socket.js';
import { Mailbox } from '../connection/mailbox.js';
import { Profile } from '../connection/profile.js';
import type { Reactor } from '../connection/reactor.js';
import { ReactorStats } from '../connection/stats.js';
import { MillraceError, SystemError } from '../errors.js';
import { createReactor } from './create-reactor.js';
import { listenForDatagrams } from './datagram-listen.js';
import { drainReactor } from './drain.js';
import { Inbox } from './inbox.js';
import { loadHandler } from './load-handler.js';
import { Postbox, PostOffice } from './mail.js';
import { type FromWorker, recordOf, type ToWorker, type WorkerSetup } from './messages.js';
import { useThreadKernel } from './thread-kernel.js';
import { TurnWatch } from './watchdog.js';

const setup = workerData as WorkerSetup;
const port = parentPort!;
const registry = DescriptorRegistry.from(setup.descriptors);
useNativeRegistry(NativeRegistry.from(setup.natives));
const kernel = new LinuxKernel({
  registry,
  owner: setup.index + 1,
  regions: RegionRegistry.from(setup.regions),
});
useThreadKernel(kernel, registry);

function tell(message: FromWorker): void {
  port.postMessage(message);
}

function warn(error: Error): void {
  tell({ type: 'warning', error: recordOf(error) });
}

function makeReactor(handler: Handler): { reactor: Reactor; profile: Profile } {
  const { index, settings } = setup;
  const pending = new Int32Array(setup.pending);
  const mailboxes = setup.mailboxes.map((buffer) => Mailbox.from(buffer));
  const boxes = mailboxes.map(
    (mailbox, i) =>
      new Postbox(kernel, mailbox, setup.wakeDescriptors[i], pending.subarray(i, i + 1)),
  );
  const profile = new Profile(handler, settings.connection);
  const inbox = new Inbox(mailboxes[index], pending.subarray(index, index + 1), profile);
  const watch = new TurnWatch(kernel, setup.watch, setup.watchDescriptor);
  const reactor = createReactor({
    index,
    kernel,
    handler,
    settings,
    stats: ReactorStats.from(setup.stats),
    peers: new PostOffice(boxes, index),
    inbox: (target) => inbox.drain(target),
    onTurn: () => watch.note(),
    wakeDescriptor: setup.wakeDescriptors[index],
    onWarning: warn,
    onShutdownRequest: () => tell({ type: 'shutdown' }),
  });
  return { reactor, profile };
}

async function main(): Promise<void> {
  if (setup.cpu >= 0) {
    const n = kernel.pinThread(setup.cpu);
    if (n < 0) {
      throw new SystemError('sched_setaffinity', -n);
    }
  }
  const handler = await loadHandler(setup.handlerUrl, setup.data);
  const { reactor, profile } = makeReactor(handler);
  await handler.onBoot?.(reactor);
  for (const address of setup.listen) {
    if (isDatagramAddress(address)) {
      listenForDatagrams(reactor, address, 'member');
      continue;
    }
    for (const socket of listenOn(kernel, address, setup.settings.connection)) {
      reactor.addListener(socket, profile);
    }
  }
  port.on('message', (message: ToWorker) => {
    if (message.type === 'drain') {
      void stop(reactor, handler, message.deadlineMs);
    } else {
      void execute(reactor, handler, message);
    }
  });
  reactor.startTicks();
  tell({ type: 'ready' });
}

let stopping: { hurry(deadlineMs: number): void } | undefined;

async function stop(reactor: Reactor, handler: Handler, deadlineMs: number): Promise<void> {
  if (stopping !== undefined) {
    stopping.hurry(deadlineMs);
    return;
  }
  const drain = drainReactor(reactor, deadlineMs);
  stopping = drain;
  await drain.done;
  try {
    await handler.onShutdown?.(reactor);
  } catch (error) {
    warn(error instanceof Error ? error : new Error(String(error)));
  }
  const leakedBlocks = reactor.destroy();
  // Memory is left to the main thread, which frees it when no code of the handler's can hold a view any more.
  tell({ type: 'done', leakedBlocks });
  port.close();
}

async function execute(
  reactor: Reactor,
  handler: Handler,
  message: Extract<ToWorker, { type: 'execute' }>,
): Promise<void> {
  const { call, task, argument } = message;
  try {
    const found =
      handler.tasks === undefined
        ? undefined
        : Object.getOwnPropertyDescriptor(handler.tasks, task);
    if (typeof found?.value !== 'function') {
      throw new MillraceError('ERR_NO_TASK', `The handler has no task ${task}`);
    }
    // In a turn, so that the watchdog sees a task that blocks.
    const value = await new Promise((resolve, reject) => {
      reactor.execute(() => {
        try {
          resolve(found.value.call(handler.tasks, reactor, argument));
        } catch (error) {
          reject(error);
        }
      });
    });
    tell({ type: 'result', call, value });
  } catch (error) {
    tell({ type: 'thrown', call, error: recordOf(error) });
  }
}

main().catch((error: unknown) => {
  tell({ type: 'failed', error: recordOf(error) });
  port.close();
});
