/**
 * What the process runs in: CPUs, memory, a container, a filter of system calls. As findings, read from /proc and the
 * cgroup's files (versions 1 and 2).
 */

import { formatBytes } from './figures.js';
import type { Finding, ReadFile } from './finding.js';

/** Less memory than this is little for Node itself with a few reactors. */
const MEMORY_WARN_BYTES = 128 * 1024 * 1024;
/** Version 1 of cgroups says "no limit" with a number of about 2^63. */
const UNLIMITED_BYTES = 2 ** 60;

export interface Machine {
  /** CPUs that the process may use, as Node counts them. */
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly environment: NodeJS.ProcessEnv;
}

export function examineSurroundings(read: ReadFile, machine: Machine): Finding[] {
  return [
    examineCpus(read, machine),
    examineMemory(read, machine),
    examineFilter(read),
    examineContainer(read, machine),
  ];
}

function examineCpus(read: ReadFile, { cpus }: Machine): Finding {
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status') ?? '')?.[1];
  const quota = cpuQuota(read);
  const which = allowed === undefined ? '' : ` (${allowed})`;
  const value = `${cpus}${which}${quota === undefined ? '' : `, of which a cgroup gives ${quota}`}`;
  const isThrottled = quota !== undefined && quota < cpus;
  return {
    name: 'CPUs',
    level: isThrottled ? 'note' : 'ok',
    value,
    why: isThrottled
      ? 'more threads than the quota are all stopped for the rest of each period'
      : 'one reactor for each is the most that makes sense',
    ...(isThrottled ? { remedy: `--reactors ${Math.max(1, Math.floor(quota))}` } : {}),
  };
}

function examineMemory(read: ReadFile, { memoryBytes }: Machine): Finding {
  const limit = memoryLimit(read);
  const bytes = Math.min(memoryBytes, limit ?? memoryBytes);
  const isLittle = bytes < MEMORY_WARN_BYTES;
  return {
    name: 'memory',
    level: isLittle ? 'warn' : 'ok',
    value:
      limit === undefined
        ? `${formatBytes(memoryBytes)}, no cgroup limit`
        : `${formatBytes(limit)} by a cgroup, of ${formatBytes(memoryBytes)}`,
    why: 'beyond the limit the kernel ends the process; the buffers of its sockets count as well',
    ...(isLittle
      ? { remedy: 'give the container 256 MB or more (docker run --memory 256m …)' }
      : {}),
  };
}

function examineFilter(read: ReadFile): Finding {
  const mode = /^Seccomp:\s*(\d)/m.exec(read('/proc/self/status') ?? '')?.[1];
  const name = 'system call filter (seccomp)';
  if (mode === undefined || mode === '0') {
    const value = mode === undefined ? 'unknown' : 'none';
    return { name, level: 'ok', value, why: 'every system call reaches the kernel' };
  }
  return {
    name,
    level: 'note',
    value: mode === '1' ? 'strict' : 'on',
    why: 'the profile of the container or service decides which system calls work: see epoll and echo above',
  };
}

function examineContainer(read: ReadFile, machine: Machine): Finding {
  const hints = containerHints(read, machine.environment);
  return {
    name: 'container',
    level: 'ok',
    value: hints.length === 0 ? 'no sign of one' : hints.join(', '),
    why: 'in a container limits and settings are given to its runtime',
  };
}

/** Signs that the process runs in a container. */
export function containerHints(read: ReadFile, environment: NodeJS.ProcessEnv): string[] {
  const hints: string[] = [];
  if (read('/.dockerenv') !== undefined) {
    hints.push('/.dockerenv');
  }
  if (read('/run/.containerenv') !== undefined) {
    hints.push('/run/.containerenv');
  }
  if (environment.container !== undefined) {
    hints.push(`container=${environment.container}`);
  }
  if (environment.KUBERNETES_SERVICE_HOST !== undefined) {
    hints.push('Kubernetes');
  }
  const runtime = /(docker|containerd|kubepods|libpod|lxc)/.exec(read('/proc/1/cgroup') ?? '');
  if (runtime !== null) {
    hints.push(`cgroup of ${runtime[1]}`);
  }
  return hints;
}

/** CPUs' worth of time in each period; undefined: no limit. */
function cpuQuota(read: ReadFile): number | undefined {
  const unified = readCgroup(read, '', 'cpu.max')?.split(/\s+/).map(Number);
  if (unified !== undefined) {
    return quotaOf(unified[0], unified[1]);
  }
  const quota = Number(readCgroup(read, 'cpu', 'cpu.cfs_quota_us') ?? Number.NaN);
  const period = Number(readCgroup(read, 'cpu', 'cpu.cfs_period_us') ?? Number.NaN);
  return quotaOf(quota, period);
}

/** `max` in version 2 and -1 in version 1 are no limit. */
function quotaOf(quota: number, period: number): number | undefined {
  return quota > 0 && period > 0 ? Math.round((quota / period) * 10) / 10 : undefined;
}

function memoryLimit(read: ReadFile): number | undefined {
  const text =
    readCgroup(read, '', 'memory.max') ?? readCgroup(read, 'memory', 'memory.limit_in_bytes');
  const bytes = Number(text ?? Number.NaN);
  return bytes > 0 && bytes < UNLIMITED_BYTES ? bytes : undefined;
}

/**
 * A file of this process's cgroup: of the controller's own hierarchy (version 1), or of the unified one (version 2) for
 * an empty name. Within a container the path may be the host's: then the root of what is mounted is meant.
 */
function readCgroup(read: ReadFile, controller: string, file: string): string | undefined {
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path !== undefined && controllers.split(',').includes(controller)) {
      const root = controller === '' ? '/sys/fs/cgroup' : `/sys/fs/cgroup/${controller}`;
      const own = path === '/' ? undefined : read(`${root}${path}/${file}`);
      return (own ?? read(`${root}/${file}`))?.trim();
    }
  }
  return undefined;
}
