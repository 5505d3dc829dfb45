/**
 * The servers that can be compared and the commands that start them. All listen on a port the kernel chooses and
 * echo.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nativePath } from './build-native.js';
import { PEERS_DIRECTORY, ROOT_DIRECTORY } from './paths.js';
import type { ServerCommand } from './server-process.js';

export const PEERS = ['c', 'net', 'cluster'] as const;

export type Peer = (typeof PEERS)[number];

/** The names that ratios refer to. */
export const C_REFERENCE = 'c';
export const NODE_NET = 'net';

export function isPeer(name: string): name is Peer {
  return PEERS.some((peer) => peer === name);
}

/** millrace first, when it is built, then the peers. */
export function contestants(
  peers: readonly Peer[],
  others: readonly ServerCommand[],
): ServerCommand[] {
  const commands = [...peers.map(peerCommand), ...others];
  const program = join(ROOT_DIRECTORY, 'dist/cli/main.js');
  if (existsSync(program)) commands.unshift(millraceCommand(program));
  else process.stderr.write(`bench: without millrace: ${program} is missing (npm run build)\n`);
  const names = commands.map((command) => command.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new TypeError(`two servers are called ${twice}`);
  if (commands.length === 0) throw new TypeError('there is no server to measure');
  return commands;
}

function millraceCommand(program: string): ServerCommand {
  const options = ['--listen', 'tcp://127.0.0.1:0', '--reactors', '1', '--quiet'];
  return { name: 'millrace', argv: [process.execPath, program, 'echo', ...options] };
}

function peerCommand(peer: Peer): ServerCommand {
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
  }
}
