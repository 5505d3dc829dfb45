/**
 * What the sender of the zero-copy part sends over. Those that need root are made for the run, have addresses of the
 * range for benchmarks (RFC 2544), and are removed with the process.
 *
 * - `loopback`: TCP to a receiver on this machine.
 * - `veth`: the same between two virtual network cards (veth(4)), the receiver's in a network namespace of its own.
 * - `sink`: UDP into a network card that drops everything, so that nobody receives and nothing is copied. That is the
 *   most that zero-copy could save the sender; a real card's work is not in it, nor TCP's.
 */
import { spawnSync } from 'node:child_process';

export interface Network {
  readonly name: NetworkName;
  /** Where the receiver listens. */
  readonly address: string;
  /** What to put before the receiver's command. */
  readonly prefix: readonly string[];
  /** Whether anybody receives. */
  readonly isDeaf: boolean;
  /** Of one send. */
  readonly bytesMax: number;
  remove(): void;
}

export const NETWORKS = ['loopback', 'veth', 'sink'] as const;

export type NetworkName = (typeof NETWORKS)[number];

const OUR_ADDRESS = '198.18.0.1';
const THEIR_ADDRESS = '198.18.0.2';
const PREFIX_BITS = 30;

/** An intermediate functional block drops what was not redirected to it. */
const SINK_TYPE = 'ifb';
/** Without fragments: the largest packet of IPv4. */
const SINK_MTU = 65_535;
const IP_AND_UDP_BYTES = 28;

/** Throws with what ip(8) said where that cannot be had: it needs root, and a kernel with such devices. */
export function createNetwork(name: NetworkName): Network {
  switch (name) {
    case 'loopback':
      return network(name, '127.0.0.1', () => {});
    case 'veth':
      return createVeth();
    case 'sink':
      return createSink();
  }
}

function network(name: NetworkName, address: string, remove: () => void): Network {
  return { name, address, prefix: [], isDeaf: false, bytesMax: Number.POSITIVE_INFINITY, remove };
}

function createVeth(): Network {
  const namespace = `millrace-${process.pid}`;
  const [ours, theirs] = [`mr${process.pid}a`, `mr${process.pid}b`];
  const remove = create(
    [
      ['netns', 'add', namespace],
      ['link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs, 'netns', namespace],
      ['address', 'add', `${OUR_ADDRESS}/${PREFIX_BITS}`, 'dev', ours],
      ['link', 'set', ours, 'up'],
      ['-n', namespace, 'address', 'add', `${THEIR_ADDRESS}/${PREFIX_BITS}`, 'dev', theirs],
      ['-n', namespace, 'link', 'set', theirs, 'up'],
    ],
    [
      ['link', 'del', ours],
      ['netns', 'del', namespace],
    ],
  );
  const prefix = ['ip', 'netns', 'exec', namespace];
  return { ...network('veth', THEIR_ADDRESS, remove), prefix };
}

function createSink(): Network {
  const ours = `mr${process.pid}d`;
  const remove = create(
    [
      ['link', 'add', ours, 'mtu', String(SINK_MTU), 'type', SINK_TYPE],
      ['address', 'add', `${OUR_ADDRESS}/${PREFIX_BITS}`, 'dev', ours],
      ['link', 'set', ours, 'up'],
    ],
    [['link', 'del', ours]],
  );
  const bytesMax = SINK_MTU - IP_AND_UDP_BYTES;
  return { ...network('sink', THEIR_ADDRESS, remove), isDeaf: true, bytesMax };
}

/** Runs the first commands of ip(8), and returns what runs the second, once; they run with the process's end, too. */
function create(making: readonly string[][], removing: readonly string[][]): () => void {
  let isThere = true;
  const remove = (): void => {
    if (isThere) for (const argv of removing) spawnSync('ip', argv);
    isThere = false;
  };
  process.on('exit', remove);
  for (const argv of making) {
    const result = spawnSync('ip', argv, { encoding: 'utf8' });
    if (result.status !== 0) {
      remove();
      const said = result.error?.message ?? result.stderr.trim();
      throw new Error(`--networks: ip ${argv.join(' ')}: ${said}`);
    }
  }
  return remove;
}
