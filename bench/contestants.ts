/**
 * The servers that can be compared and the commands that start them. All listen on a port the kernel chooses and
 * echo.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildGo, GO_PEERS, goPath } from './build-go.js';
import { nativePath } from './build-native.js';
import { PEERS_DIRECTORY, ROOT_DIRECTORY, SERVERS_DIRECTORY } from './paths.js';
import type { ServerCommand } from './server-process.js';

/** Measured unless --peers says otherwise. */
export const DEFAULT_PEERS = ['c', 'net', 'cluster'] as const;

/** millrace's proactor, to be compared with gaio. */
const PROACTOR = 'proactor';

export const PEERS = [...DEFAULT_PEERS, PROACTOR, ...GO_PEERS] as const;

export type Peer = (typeof PEERS)[number];

/** Names for several peers at once. */
const PEER_SETS: Readonly<Record<string, readonly Peer[]>> = { go: GO_PEERS };

/** The names that ratios refer to. */
export const C_REFERENCE = 'c';
export const NODE_NET = 'net';

/** A peer or the members of a set; nothing for a name that is neither. */
export function peersNamed(name: string): readonly Peer[] {
  return PEER_SETS[name] ?? PEERS.filter((peer) => peer === name);
}

/** millrace first, when it is built, then the peers that can be run. `isStream`: for large blocks. */
export function contestants(
  peers: readonly Peer[],
  others: readonly ServerCommand[],
  isStream: boolean,
): ServerCommand[] {
  const built = buildGo(peers.filter(isGoPeer));
  const available = peers.filter((peer) => !isGoPeer(peer) || built.includes(peer));
  const commands = [...available.map((peer) => peerCommand(peer, isStream)), ...others];
  const program = join(ROOT_DIRECTORY, 'dist/cli/main.js');
  if (existsSync(program)) commands.unshift(millraceCommand(program));
  else process.stderr.write(`bench: without millrace: ${program} is missing (npm run build)\n`);
  const names = commands.map((command) => command.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new TypeError(`two servers are called ${twice}`);
  if (commands.length === 0) throw new TypeError('there is no server to measure');
  return commands;
}

function isGoPeer(peer: Peer): peer is (typeof GO_PEERS)[number] {
  return GO_PEERS.some((name) => name === peer);
}

function millraceCommand(program: string): ServerCommand {
  const options = ['--listen', 'tcp://127.0.0.1:0', '--reactors', '1', '--quiet'];
  return { name: 'millrace', argv: [process.execPath, program, 'echo', ...options] };
}

function peerCommand(peer: Peer, isStream: boolean): ServerCommand {
  switch (peer) {
    case 'c':
      return { name: peer, argv: [nativePath('echo-reference'), '0'] };
    case 'net':
      return { name: peer, argv: [process.execPath, join(PEERS_DIRECTORY, 'node-net.mjs'), '0'] };
    case 'cluster':
      return {
        name: peer,
        argv: [process.execPath, join(PEERS_DIRECTORY, 'node-cluster.mjs'), '0', '2'],
      };
    case PROACTOR:
      // As with Go's net: a buffer for each connection where there are few, and blocks are large.
      return {
        name: peer,
        argv: [
          ...[process.execPath, join(SERVERS_DIRECTORY, 'proactor-echo.mjs')],
          ...(isStream ? ['65536'] : []),
        ],
      };
    case 'go-net':
      // A buffer for each connection: as large as the blocks are, and small where there are many.
      return { name: peer, argv: [goPath(peer), isStream ? '65536' : '4096'] };
    default:
      return { name: peer, argv: [goPath(peer)] };
  }
}
