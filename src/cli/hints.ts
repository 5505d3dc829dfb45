/**
 * What to type to try a server, for who has just started one: for each address a tool that is installed here, and one
 * line for Node, which is.
 */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

import type { Address } from '../base/address.js';
import {
  isDatagramAddress,
  type ListenAddress,
  parseListenAddress,
} from '../base/datagram-address.js';

type IsInstalled = (program: string) => boolean;

/** What socat takes for its own punctuation in an address. */
const SOCAT_SPECIAL = /[,:!"'`\\(){}[\]\s]/;

/** `addresses` are those of a server, `page` one for a browser; a test has its own `isInstalled`. */
export function describeHints(
  addresses: readonly string[],
  page?: string,
  isInstalled: IsInstalled = isOnPath,
): string {
  const targets = addresses.map(parse).filter((address) => address !== undefined);
  const byTool = targets
    .map((address) => toolLine(address, isInstalled))
    .filter((line) => line !== undefined);
  const streams = targets.filter((address) => !isDatagramAddress(address));
  const byNode = streams.slice(0, 1).map(nodeLine);
  const lines = [...byTool, ...byNode].map((line) => `  ${line}\n`);
  const browser = page === undefined ? '' : `And in a browser: ${page}/\n`;
  return `To try it, in another terminal:\n${lines.join('')}${browser}Ctrl-C ends.`;
}

/** Undefined for what cannot be connected to by its name, such as an unnamed Unix socket that was inherited. */
function parse(url: string): ListenAddress | undefined {
  try {
    return parseListenAddress(url);
  } catch {
    return undefined;
  }
}

function toolLine(address: ListenAddress, isInstalled: IsInstalled): string | undefined {
  switch (address.kind) {
    case 'unix':
      if (isInstalled('socat') && !SOCAT_SPECIAL.test(address.path)) {
        return `socat - ${quote(`UNIX-CONNECT:${address.path}`)}`;
      }
      return isInstalled('nc') ? `nc -U ${quote(address.path)}` : undefined;
    case 'unix-abstract':
      return isInstalled('socat') && !SOCAT_SPECIAL.test(address.name)
        ? `socat - ${quote(`ABSTRACT-CONNECT:${address.name}`)}`
        : undefined;
    case 'udp':
    case 'udp4':
    case 'udp6':
      return isInstalled('nc') ? `nc -u ${hostOf(address)} ${address.port}` : undefined;
    case 'tcp':
    case 'tcp4':
    case 'tcp6':
      return isInstalled('nc') ? `nc ${hostOf(address)} ${address.port}` : undefined;
    default:
      return undefined;
  }
}

/** Sends what is typed and shows what comes back, until the input ends. */
function nodeLine(address: Address): string {
  const destination = destinationOf(address).map((value) => JSON.stringify(value));
  const socket = `require("net").connect(${destination.join(', ')})`;
  return `node -e ${quote(`process.stdin.pipe(${socket}).pipe(process.stdout)`)}`;
}

/** The arguments of net.connect. */
function destinationOf(address: Address): (string | number)[] {
  switch (address.kind) {
    case 'unix':
      return [address.path];
    case 'unix-abstract':
      return [`\0${address.name}`];
    case 'fd':
    case 'systemd':
      return [];
    default:
      return [address.port, hostOf(address)];
  }
}

/** A server on all interfaces is met on the loopback one. */
function hostOf(address: Extract<ListenAddress, { port: number }>): string {
  const { host, scope } = address;
  if (host === '0.0.0.0') {
    return '127.0.0.1';
  }
  return host === '::' ? '::1' : `${host}${scope === '' ? '' : `%${scope}`}`;
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
