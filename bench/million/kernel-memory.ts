/**
 * What the kernel holds, for all processes together: on a quiet machine the difference of two readings is that of the
 * connections between them, both ends, since client and server are on this machine. See proc(5).
 */
import { readFileSync } from 'node:fs';

export interface KernelMemory {
  /** Sockets, inodes, files, epoll items, io_uring requests. */
  readonly slabBytes: number;
  readonly stackBytes: number;
  readonly pageTableBytes: number;
  /** The three together. */
  readonly totalBytes: number;
  /** Buffered bytes of TCP as net.ipv4.tcp_mem counts them; partly in slabs. */
  readonly tcpBufferBytes: number;
  /** What is left for everybody: falls by the kernel's and all processes' share. */
  readonly availableBytes: number;
  /** TCP sockets that are not closed, and those in TIME_WAIT. */
  readonly sockets: number;
  readonly timeWait: number;
}

const PAGE_BYTES = 4_096;

export function kernelMemory(): KernelMemory {
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  const sockstat = readFileSync('/proc/net/sockstat', 'utf8');
  const slabBytes = kilobytes(meminfo, 'Slab');
  const stackBytes = kilobytes(meminfo, 'KernelStack');
  const pageTableBytes = kilobytes(meminfo, 'PageTables');
  const tcp = /^TCP: inuse (\d+) .*tw (\d+) .*mem (\d+)$/m.exec(sockstat);
  return {
    slabBytes,
    stackBytes,
    pageTableBytes,
    totalBytes: slabBytes + stackBytes + pageTableBytes,
    tcpBufferBytes: Number(tcp?.[3]) * PAGE_BYTES,
    availableBytes: kilobytes(meminfo, 'MemAvailable'),
    sockets: Number(tcp?.[1]),
    timeWait: Number(tcp?.[2]),
  };
}

function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1_024;
}
