// Peer: one process, one thread, node:net. `node node-net.mjs [PORT]`; prints "listening PORT".
import { listenEcho } from './echo-server.mjs';

listenEcho(Number(process.argv[2] ?? 0), (port) => process.stdout.write(`listening ${port}\n`));
