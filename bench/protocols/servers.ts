/** The servers that speak the protocols under measurement, and the commands that start them. */
import { join } from 'node:path';
import { nativePath } from '../build-native.js';
import { PEERS_DIRECTORY, SERVERS_DIRECTORY } from '../paths.js';
import type { ServerCommand } from '../server-process.js';
import type { ProtocolOptions } from './options.js';

export const MILLRACE = 'millrace';
export const NODE_HTTP = 'node:http';
export const WS = 'ws';
export const NODE_TLS = 'node:tls';
const UWS = 'uWebSockets.js';

/** A program of millrace's, with its default driver; with epoll, too, if that is asked for. */
function ownCommands(
  file: string,
  argv: readonly string[],
  options: ProtocolOptions,
): ServerCommand[] {
  const program = node(join(SERVERS_DIRECTORY, file), argv);
  const commands = [{ name: MILLRACE, argv: program }];
  // env(1) replaces itself with the program, so that the process is the server.
  const epoll = ['env', 'MILLRACE_DRIVER=epoll', ...program];
  if (options.epoll) commands.push({ name: `${MILLRACE}, epoll`, argv: epoll });
  return commands;
}

function peer(name: string, file: string, argv: readonly string[] = []): ServerCommand {
  return { name, argv: node(join(PEERS_DIRECTORY, file), argv) };
}

/** --expose-gc is for the idle part; it changes nothing unless `gc` is called. */
function node(file: string, argv: readonly string[]): string[] {
  return [process.execPath, '--expose-gc', file, ...argv];
}

/** uWebSockets.js if it was named; a note if not, since it is not on npm and cannot be a dependency. */
function uwsCommands(options: ProtocolOptions): ServerCommand[] {
  if (options.uws !== undefined) return [peer(UWS, 'uws.mjs', [options.uws])];
  process.stderr.write('bench: without uWebSockets.js: --uws PATH names its folder\n');
  return [];
}

export function httpServers(options: ProtocolOptions): ServerCommand[] {
  return [
    ...ownCommands('http-server.mjs', [], options),
    peer(NODE_HTTP, 'node-http.mjs'),
    ...uwsCommands(options),
  ];
}

/** The yardstick in C, which is no server to compare memory with. */
export function httpReference(): ServerCommand {
  return { name: 'c', argv: [nativePath('http-reference'), '0'] };
}

/** The yardstick in C for TLS. */
export function tlsReference(cert: string, key: string): ServerCommand {
  return { name: 'c', argv: [nativePath('tls-reference'), cert, key] };
}

export function webSocketServers(options: ProtocolOptions): ServerCommand[] {
  return [
    ...ownCommands('websocket-server.mjs', [], options),
    peer(WS, 'ws.mjs'),
    ...uwsCommands(options),
  ];
}

export function tlsServers(options: ProtocolOptions, cert: string, key: string): ServerCommand[] {
  return [
    ...ownCommands('tls-echo.mjs', [cert, key], options),
    peer(NODE_TLS, 'node-tls.mjs', [cert, key]),
  ];
}
