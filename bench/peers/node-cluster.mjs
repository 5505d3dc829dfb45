// Peer: node:cluster, node:net in each worker. `node node-cluster.mjs [PORT] [WORKERS]`; prints "listening PORT" when
// every worker listens. Two workers unless told otherwise; with port 0 the workers share the port the kernel chose.
import cluster from 'node:cluster';
import { listenEcho } from './echo-server.mjs';

const port = Number(process.argv[2] ?? 0);
const workers = Number(process.argv[3] ?? 2);

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, address) => {
    listening += 1;
    if (listening === workers) process.stdout.write(`listening ${address.port}\n`);
  });
  for (let i = 0; i < workers; i += 1) cluster.fork();
} else {
  listenEcho(port, () => {});
}
