/**
 * Compiles the peers in Go (bench/peers/go) into .build/go, when one of them is asked for. Whoever has no Go, or no way
 * to its modules, gets a note and measures the others.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GO_BUILD_DIRECTORY, GO_SOURCE_DIRECTORY } from './paths.js';

/** Each a folder of bench/peers/go. */
export const GO_PEERS = ['gnet', 'gaio', 'netpoll', 'evio', 'nbio', 'go-net'] as const;

/** With one that is no peer of the benchmarks of connections. */
export type GoPeer = (typeof GO_PEERS)[number] | 'gnet-udp';

/** Where the installers put it, for shells that do not know. */
const GO_PROGRAMS = ['go', '/usr/local/go/bin/go'];
const BUILD_TIMEOUT_MS = 300_000;

/** Where a peer is after `buildGo`. */
export function goPath(peer: GoPeer): string {
  return join(GO_BUILD_DIRECTORY, peer);
}

/** Returns those of `peers` that can be run, and says on standard error what is wrong with the others. */
export function buildGo(peers: readonly GoPeer[]): GoPeer[] {
  if (peers.length === 0) return [];
  const go = GO_PROGRAMS.find((program) => spawnSync(program, ['version']).status === 0);
  if (go === undefined) {
    note(`without ${peers.join(', ')}: there is no Go here (https://go.dev/dl)`);
    return [];
  }
  mkdirSync(GO_BUILD_DIRECTORY, { recursive: true });
  return peers.filter((peer) => isCurrent(peer) || compile(go, peer));
}

/** The version of Go that the peers are compiled with; undefined without one. */
export function goVersion(): string | undefined {
  for (const program of GO_PROGRAMS) {
    const result = spawnSync(program, ['version'], { encoding: 'utf8' });
    if (result.status === 0) return result.stdout.trim();
  }
  return undefined;
}

function isCurrent(peer: GoPeer): boolean {
  if (!existsSync(goPath(peer))) return false;
  const built = statSync(goPath(peer)).mtimeMs;
  return [peer, 'ready', '.'].every(
    (folder) => newestMs(join(GO_SOURCE_DIRECTORY, folder)) < built,
  );
}

function newestMs(folder: string): number {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(0, ...files.map(({ name }) => statSync(join(folder, name)).mtimeMs));
}

function compile(go: string, peer: GoPeer): boolean {
  process.stderr.write(`bench: compiling ${peer}\n`);
  const argv = ['build', '-mod=readonly', '-trimpath', '-o', goPath(peer), `./${peer}`];
  const result = spawnSync(go, argv, {
    cwd: GO_SOURCE_DIRECTORY,
    encoding: 'utf8',
    timeout: BUILD_TIMEOUT_MS,
  });
  if (result.status === 0) return true;
  note(`without ${peer}: go ${argv.join(' ')} failed: ${result.error?.message ?? result.stderr}`);
  return false;
}

function note(text: string): void {
  process.stderr.write(`bench: ${text.trim()}\n`);
}
