/**
 * The limits of the process and the kernel's settings that bound a server, as findings. Reads files only; what cannot
 * be read (another kernel, a container without /proc/sys) gives no finding.
 */

import { formatBytes, formatCount } from './figures.js';
import type { Finding, ReadFile } from './finding.js';

const PAGE_BYTES = 4_096;
const DESCRIPTORS_GOOD = 1_048_576;
/** Below these numbers of descriptors: small servers feel it, large servers feel it. */
const DESCRIPTORS_WARN = 4_096;
const DESCRIPTORS_NOTE = 100_000;
const TCP_MEMORY_NOTE_BYTES = 256 * 1024 * 1024;

interface Setting {
  readonly name: string;
  /** Whether these numbers will do. */
  readonly isGood: (values: readonly number[]) => boolean;
  readonly level: 'note' | 'warn';
  /** What the numbers say. */
  readonly describe?: (values: readonly number[]) => string;
  readonly why: string;
  /** What to set it to. */
  readonly target: string;
}

const SETTINGS: readonly Setting[] = [
  {
    name: 'fs.nr_open',
    isGood: ([max]) => max >= DESCRIPTORS_GOOD,
    level: 'note',
    why: 'no limit of descriptors can be raised above it, and each connection takes one',
    target: '1048576',
  },
  {
    name: 'fs.file-max',
    isGood: ([max]) => max >= 1_000_000,
    level: 'note',
    why: 'it bounds the open files and sockets of all processes together',
    target: '2097152',
  },
  {
    name: 'net.core.somaxconn',
    isGood: ([max]) => max >= 4_096,
    level: 'warn',
    why: 'it caps the queue of new connections: in a burst the others are lost and try again after a second',
    target: '4096',
  },
  {
    name: 'net.ipv4.tcp_max_syn_backlog',
    isGood: ([max]) => max >= 1_024,
    level: 'note',
    why: 'it bounds the connections of a listener that are being made; beyond, SYN cookies lose options',
    target: '4096',
  },
  {
    name: 'net.ipv4.ip_local_port_range',
    isGood: ([low, high]) => high - low >= 28_000,
    level: 'note',
    describe: ([low, high]) => `${low} to ${high}: ${formatCount(high - low + 1)} to dial from`,
    why: 'each connection that is dialed to one address and port takes a port of its own',
    target: '1024 65535',
  },
  {
    name: 'net.ipv4.tcp_mem',
    isGood: ([, , max]) => max * PAGE_BYTES >= TCP_MEMORY_NOTE_BYTES,
    level: 'note',
    describe: ([, pressure, max]) =>
      `tight from ${formatBytes(pressure * PAGE_BYTES)}, at most ${formatBytes(max * PAGE_BYTES)}`,
    why: 'it bounds the buffers of all TCP connections together; beyond, the kernel drops what arrives',
    target: '65536 98304 131072',
  },
  {
    name: 'net.ipv4.tcp_rmem',
    isGood: ([, , max]) => max >= 1_048_576,
    level: 'note',
    describe: describeBuffer,
    why: 'the receive buffer bounds what one connection moves in a round trip',
    target: '4096 131072 6291456',
  },
  {
    name: 'net.ipv4.tcp_wmem',
    isGood: ([, , max]) => max >= 1_048_576,
    level: 'note',
    describe: describeBuffer,
    why: 'the send buffer bounds what one connection moves in a round trip',
    target: '4096 16384 4194304',
  },
  {
    name: 'net.ipv4.tcp_tw_reuse',
    isGood: ([mode]) => mode !== 0,
    level: 'note',
    describe: ([mode]) => ['off', 'on', 'on for loopback'][mode] ?? String(mode),
    why: 'without it a port that was dialed from is blocked for a minute after its connection',
    target: '1',
  },
  {
    name: 'vm.max_map_count',
    isGood: ([max]) => max >= 65_530,
    level: 'note',
    why: 'threads and large buffers are mappings of memory, and a process has no more than this many',
    target: '65530',
  },
];

/** All findings about limits. `isContainer`: commands are those for a container. */
export function examineLimits(read: ReadFile, isContainer: boolean): Finding[] {
  const found = [
    examineDescriptors(read, isContainer),
    ...SETTINGS.map((setting) => examineSetting(setting, read, isContainer)),
  ];
  return found.filter((finding) => finding !== undefined);
}

/** RLIMIT_NOFILE. Node raises the soft limit to the hard one when it starts, so that the latter counts. */
function examineDescriptors(read: ReadFile, isContainer: boolean): Finding | undefined {
  const limits = /^Max open files\s+(\w+)\s+(\w+)/m.exec(read('/proc/self/limits') ?? '');
  if (limits === null) {
    return undefined;
  }
  const [soft, hard] = [limits[1], limits[2]].map(readLimit);
  const level = soft < DESCRIPTORS_WARN ? 'warn' : soft < DESCRIPTORS_NOTE ? 'note' : 'ok';
  const ceiling = Number(read('/proc/sys/fs/nr_open') ?? DESCRIPTORS_GOOD);
  const target = Math.min(DESCRIPTORS_GOOD, ceiling);
  const remedy = isContainer
    ? `docker run --ulimit nofile=${target}:${target} … (or the same of your runtime)`
    : `sudo prlimit --pid $$ --nofile=${target}:${target} in the shell that starts it, ` +
      `or LimitNOFILE=${target} in its systemd unit`;
  return {
    name: 'descriptors (RLIMIT_NOFILE)',
    level,
    value: `soft ${formatLimit(soft)}, hard ${formatLimit(hard)}`,
    why: `each connection takes one, so that there are fewer than ${formatLimit(soft)} at a time`,
    ...(level === 'ok' ? {} : { remedy }),
  };
}

function examineSetting(
  setting: Setting,
  read: ReadFile,
  isContainer: boolean,
): Finding | undefined {
  const { name, isGood, level, describe, why, target } = setting;
  const text = read(`/proc/sys/${name.replaceAll('.', '/')}`)?.trim();
  if (text === undefined || !/^\d+(\s+\d+)*$/.test(text)) {
    return undefined;
  }
  const values = text.split(/\s+/).map(Number);
  const value = describe?.(values) ?? values.map(formatCount).join(' ');
  if (isGood(values)) {
    return { name, level: 'ok', value, why };
  }
  const assignment = target.includes(' ') ? `${name}="${target}"` : `${name}=${target}`;
  // The net.* of a container are its own; the others are the host's.
  const remedy =
    isContainer && name.startsWith('net.')
      ? `docker run --sysctl ${assignment} …`
      : `sudo sysctl -w ${assignment}${isContainer ? ' on the host' : ''}`;
  return { name, level, value, why, remedy };
}

function describeBuffer([, start, max]: readonly number[]): string {
  return `${formatCount(start)} bytes for a new connection, grows to ${formatCount(max)}`;
}

function readLimit(text: string): number {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}

function formatLimit(limit: number): string {
  return limit === Number.POSITIVE_INFINITY ? 'unlimited' : formatCount(limit);
}
