/**
 * `millrace echo` with one reactor and io_uring, on rings set up as the argument says (a name of flag-sets.ts).
 * Driver and engine are the real ones: they get a kernel that replaces the flags they ask for. Prints "listening PORT".
 */
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { handler } from '../../src/cli/echo-handler.js';
import { serve } from '../../src/engine/serve.js';
import { MAIN_OWNER, threadRegistry, useThreadKernel } from '../../src/engine/thread-kernel.js';
import { FLAG_SETS } from './flag-sets.js';

const name = process.argv[2] ?? '';
const chosen = FLAG_SETS.find((set) => set.name === name);
if (chosen === undefined) throw new TypeError(`no set of flags is called ${name}`);
const { flags } = chosen;

class FlagsKernel extends LinuxKernel {
  override ringCreate(sqEntries: number, cqEntries: number) {
    return super.ringCreate(sqEntries, cqEntries, flags);
  }
}

const registry = threadRegistry();
useThreadKernel(new FlagsKernel({ registry, owner: MAIN_OWNER }), registry);
// The options of `millrace echo`.
const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  driver: 'uring',
  handler,
  allowHalfOpen: true,
  halfOpenTimeoutMs: 0,
  whenFull: 'pause-source',
});
process.stdout.write(`listening ${/:(\d+)$/.exec(server.addresses[0] ?? '')?.[1]}\n`);
