// The echo server of gaio's benchmark on millrace's proactor, as peers/go/gaio does it: reads into the watcher's shared
// memory, which costs an idle connection nothing, and writes from pooled copies, since a slow write is not over when
// the memory is used again. Prints "listening PORT". MILLRACE_DRIVER as ever.
import { closeOnSignals, serve } from '../../dist/index.js';
import { Watcher } from '../../dist/proactor/index.js';

const BLOCK_BYTES = 65_536;
/** Copies below this come from Node's pool anyway. */
const POOLED_MIN = 4_096;
/** Blocks that are not in use, at most. */
const SPARE_MAX = 64;

const watcher = new Watcher();
const spare = [];

function answer({ operation, connection, buffer, size, error, context }) {
  if (operation === 'write' && context !== undefined && spare.length < SPARE_MAX) {
    spare.push(context);
  }
  if (error !== undefined) {
    watcher.free(connection);
  } else if (operation === 'write') {
    watcher.read(connection);
  } else if (size < POOLED_MIN || size > BLOCK_BYTES) {
    watcher.write(connection, Buffer.from(buffer));
  } else {
    const block = spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    block.set(buffer);
    const bytes = size === BLOCK_BYTES ? block : block.subarray(0, size);
    watcher.write(connection, bytes, { context: block });
  }
}

const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  handler: {
    onOpen(connection) {
      watcher.read(connection);
    },
  },
});
closeOnSignals(server);
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
for await (const results of watcher) {
  for (const result of results) {
    answer(result);
  }
}
