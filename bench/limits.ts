/**
 * Checks, before anything is measured, that the machine allows the run, and says what to change if not. A
 * benchmark that meets a limit half-way through measures the limit.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { filesMax, type ServerProcess } from './server-process.js';

/** Descriptors beside the connections: Node opens about 25, a cluster's primary a few for each worker. */
const OTHER_FILES = 64;

/**
 * A source address is given at most so many connections: above half of the ports, connect() searches for a free
 * one.
 */
const CONNECTIONS_PER_SOURCE = 10_000;

/** Above this the figures are still printed, but with a warning. */
const LOAD_AVERAGE_MAX = 0.5;

/** How many source addresses the clients of one server spread over. */
export function sourcesFor(connections: number): number {
  return Math.ceil(connections / CONNECTIONS_PER_SOURCE);
}

/** Checks everything that can be known before a server runs. Throws an `Error` with advice. */
export function checkLimits(connections: number, serverCore: number, clientCore: number): void {
  checkFiles('the load generator', filesMax('self'), connections);
  checkPorts(connections);
  const cores = availableParallelism();
  if (serverCore === clientCore) {
    throw new Error(
      'The server and the load generator need a core each: see --server-core and --client-core.',
    );
  }
  if (cores < 2) throw new Error('The benchmark needs two cores, and this machine offers one.');
}

/** The server runs with the limit it inherits, or the one it sets itself: read from the running process. */
export function checkServerLimits(server: ServerProcess, connections: number): void {
  checkFiles(`the server ${server.name}`, server.filesMax(), connections);
}

export function warnIfBusy(): void {
  const load = loadavg()[0] ?? 0;
  if (load > LOAD_AVERAGE_MAX) {
    process.stderr.write(
      `bench: the machine is not idle (load average ${load.toFixed(2)}): do not publish this\n`,
    );
  }
}

function checkFiles(who: string, limit: number, connections: number): void {
  const needed = connections + OTHER_FILES;
  if (limit >= needed) return;
  throw new Error(
    `${connections} connections need ${needed} open files, and ${who} may have ${limit}. ` +
      `Run "ulimit -n ${needed}" in this shell first; if that is refused, raise the hard limit ` +
      '(nofile in /etc/security/limits.conf, LimitNOFILE= in systemd, ' +
      '--ulimit nofile= in Docker), or use fewer connections: ' +
      `--connections ${Math.max(1, limit - OTHER_FILES)}.`,
  );
}

function checkPorts(connections: number): void {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/);
  const ports = Number(range[1]) - Number(range[0]) + 1;
  const perSource = Math.ceil(connections / sourcesFor(connections));
  if (perSource <= ports * 0.75) return;
  throw new Error(
    `${perSource} connections from one address need more than the ${ports} local ports: ` +
      'sysctl -w net.ipv4.ip_local_port_range="16384 60999"',
  );
}
