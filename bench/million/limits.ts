/**
 * What the machine must allow before a million connections are tried, with what to change where it does not. Nothing
 * is changed here: the settings belong to whoever owns the machine.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { filesMax } from '../server-process.js';
import type { FleetPlan } from './fleet.js';
import { kernelMemory } from './kernel-memory.js';

/** For a connection, both ends: 6.5 to 9 kB of kernel memory (measured), and what the two processes keep. */
const BYTES_PER_CONNECTION = 9_500;
const OTHER_BYTES = 768 * 1024 * 1024;

/** A message on its way holds at most so many pages: unread at one end, unacknowledged at the other. */
const PAGES_PER_ACTIVE = 2;

/** Address 127.0.0.1 is the server's. */
const CLIENTS_MAX = 250;
const FILES_SPARE = 10_000;

/** One entry for each thing that is too small: what it is, and the command that changes it. */
export async function findObstacles(
  plan: FleetPlan,
  activeMax: number,
  needsRing: boolean,
): Promise<string[]> {
  const obstacles = [
    checkProcesses(plan),
    checkMemory(plan.connections),
    checkTcpMemory(activeMax),
    checkBacklog(plan.atOnce),
    checkFiles(plan.connections),
    await checkTracking(plan.connections),
    needsRing ? checkRing() : undefined,
  ];
  return obstacles.filter((obstacle) => obstacle !== undefined);
}

/** After the server started: what it inherited or set itself. */
export function findServerObstacle(
  serverFilesMax: number,
  connections: number,
): string | undefined {
  const needed = connections + 64;
  if (serverFilesMax >= needed) return undefined;
  return (
    `the server may have ${serverFilesMax} open files, and ${connections} connections need ${needed}: ` +
    `run "ulimit -n ${needed}" first, or give --server-args "--driver uring --direct", or at most ` +
    `--connections ${serverFilesMax - 64}`
  );
}

function checkProcesses({ processes, perProcess }: FleetPlan): string | undefined {
  if (processes <= CLIENTS_MAX) return undefined;
  return (
    `${processes} client processes of ${perProcess} connections are needed, and each has an address ` +
    `127.0.0.2 to 127.0.0.${CLIENTS_MAX + 1}: raise their descriptors with "ulimit -n 20000" ` +
    `(now ${filesMax('self')})`
  );
}

function checkMemory(connections: number): string | undefined {
  const needed = connections * BYTES_PER_CONNECTION + OTHER_BYTES;
  const { availableBytes } = kernelMemory();
  if (availableBytes >= needed) return undefined;
  const fits = Math.max(0, Math.floor((availableBytes - OTHER_BYTES) / BYTES_PER_CONNECTION));
  return (
    `${gigabytes(needed)} of memory are needed (${BYTES_PER_CONNECTION} B for a connection, both ends), ` +
    `and ${gigabytes(availableBytes)} are available: end something, or use --connections ${fits}`
  );
}

function checkTcpMemory(activeMax: number): string | undefined {
  const [, pressure = 0] = numbersIn('/proc/sys/net/ipv4/tcp_mem');
  const needed = activeMax * PAGES_PER_ACTIVE;
  if (pressure >= needed) return undefined;
  const limits = [0.75, 1, 1.5].map((factor) => Math.ceil(needed * factor)).join(' ');
  return (
    `${activeMax} active connections may buffer ${needed} pages, and above ${pressure} TCP saves memory: ` +
    `sysctl -w net.ipv4.tcp_mem="${limits}", or fewer of them with --shares`
  );
}

function checkBacklog(atOnce: number): string | undefined {
  const [backlog = 0] = numbersIn('/proc/sys/net/core/somaxconn');
  if (backlog >= atOnce) return undefined;
  return (
    `up to ${atOnce} clients connect at once, and net.core.somaxconn is ${backlog}: ` +
    'sysctl -w net.core.somaxconn=4096'
  );
}

function checkFiles(connections: number): string | undefined {
  const [used = 0, , max = 0] = numbersIn('/proc/sys/fs/file-nr');
  const needed = used + 2 * connections + FILES_SPARE;
  if (max >= needed) return undefined;
  return (
    `${needed} files will be open in the whole system, and fs.file-max is ${max}: ` +
    `sysctl -w fs.file-max=${needed}`
  );
}

/** Where connections are tracked (a firewall, some containers), each takes an entry of a table that has an end. */
async function checkTracking(connections: number): Promise<string | undefined> {
  const folder = '/proc/sys/net/netfilter';
  if (!existsSync(`${folder}/nf_conntrack_max`)) return undefined;
  const [max = 0] = numbersIn(`${folder}/nf_conntrack_max`);
  const needed = Math.ceil(connections * 1.2);
  if (max >= needed || (await trackedByOneConnection(`${folder}/nf_conntrack_count`)) === 0) {
    return undefined;
  }
  return (
    `the firewall tracks connections of 127.0.0.1, at most ${max}: ` +
    `sysctl -w net.netfilter.nf_conntrack_max=${needed}, ` +
    'or iptables -t raw -A PREROUTING -i lo -j NOTRACK; iptables -t raw -A OUTPUT -o lo -j NOTRACK'
  );
}

/** The table may exist and be unused: so one connection is made. */
async function trackedByOneConnection(countFile: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = createConnection(port, '127.0.0.1');
  await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
  const [count = 0] = numbersIn(countFile);
  client.destroy();
  server.close();
  return count;
}

function checkRing(): string | undefined {
  const file = '/proc/sys/kernel/io_uring_disabled';
  if (!existsSync(file) || numbersIn(file)[0] !== 2) return undefined;
  return 'io_uring is switched off: sysctl -w kernel.io_uring_disabled=0';
}

function numbersIn(path: string): number[] {
  return readFileSync(path, 'utf8').trim().split(/\s+/).map(Number);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
