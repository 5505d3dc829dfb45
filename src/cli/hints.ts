/**
 * What to type to try a server, for who has just started one: a tool that is installed here, if there is one, and a line
 * for Node, which is.
 */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

import { type Address, parseAddress } from '../base/address.js';

/** `isInstalled` says whether there is a program of that name; a test has its own. */
export function describeHints(
  addresses: readonly string[],
  isInstalled: (program: string) => boolean = isOnPath,
): string {
  const lines = addresses.flatMap((url) => commandsFor(parse(url), isInstalled));
  const commands = [...new Set(lines)].map((line) => `  ${line}\n`).join('');
  return `To try it, in another terminal:\n${commands}Ctrl-C ends.`;
}

/** An address of a listening socket; undefined for what only the kernel knows, such as an unnamed Unix socket. */
function parse(url: string): Address | undefined {
  try {
    return parseAddress(url);
  } catch {
    return undefined;
  }
}

function commandsFor(
  address: Address | undefined,
  isInstalled: (program: string) => boolean,
): string[] {
  switch (address?.kind) {
    case 'unix': {
      const { path } = address;
      return [
        isInstalled('socat') ? `socat - ${quote(`UNIX-CONNECT:${path}`)}` : `nc -U ${quote(path)}`,
      ].filter((line) => isInstalled(line.startsWith('nc') ? 'nc' : 'socat') && !/[,:!"'\\]/.test(path))
        .concat(nodeLine(JSON.stringify(path)));
    }
    default:
      return [];
  }
}

/** Ends when the user ends the input. */
function nodeLine(destination: string): string {
  const script = `process.stdin.pipe(require("net").connect(${destination})).pipe(process.stdout)`;
  return `node -e ${quote(script)}`;
}

/** For a POSIX shell. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function isOnPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
