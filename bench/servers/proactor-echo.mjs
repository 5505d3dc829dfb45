// The echo server of gaio's benchmark on millrace's proactor. As peers/go/gaio does it: reads into the watcher's shared
// memory, which costs an idle connection nothing, and writes from copies, since a slow write is not over when the
// memory is used again. With an argument: a buffer of so many bytes for each connection, which saves the copy. Prints
// "listening PORT". MILLRACE_DRIVER as ever.
import { closeOnSignals, serve } from '../../dist/index.js';
import { Watcher } from '../../dist/proactor/index.js';

const bufferBytes = Number(process.argv[2] ?? 0);
const watcher = new Watcher();

function start(connection) {
  if (bufferBytes === 0) {
    watcher.read(connection);
  } else {
    const block = Buffer.allocUnsafeSlow(bufferBytes);
    watcher.read(connection, block, { context: block });
  }
}

function answer({ operation, connection, buffer, size, error, context }) {
  if (error !== undefined) {
    watcher.free(connection);
  } else if (operation === 'write') {
    watcher.read(connection, context, { context });
  } else if (context === undefined) {
    watcher.write(connection, Buffer.from(buffer));
  } else {
    const bytes = size === bufferBytes ? context : context.subarray(0, size);
    watcher.write(connection, bytes, { context });
  }
}

const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  handler: {
    onOpen: start,
  },
});
closeOnSignals(server);
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
for await (const results of watcher) {
  for (const result of results) {
    answer(result);
  }
}
