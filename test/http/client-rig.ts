/** Clients that are closed after the tests, and servers of bare bytes that misbehave. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net';
import { after } from 'node:test';

import { dial } from '../../src/engine/dial.js';
import { HttpClient, HttpClientError, type HttpClientOptions } from '../../src/http/index.js';
import { settled } from '../support/await-condition.js';

export const OK = 'HTTP/1.1 200 OK\r\n';
export const EMPTY = `${OK}Content-Length: 0\r\n\r\n`;

/** A client that sends no field of its own but Host and what frames the body. */
export function clientOf(options: HttpClientOptions = {}): HttpClient {
  const client = new HttpClient(dial, { decompress: false, ...options });
  after(() => client.close({ deadlineMs: 0 }));
  return client;
}

export interface Peer {
  readonly socket: Socket;
  /** Received, as latin1. */
  text: string;
  isEnded: boolean;
  isClosed: boolean;
}

/** A server of bare bytes: `onData` after each piece, with all that was received on that connection. */
export async function hostile(onData: (peer: Peer, index: number) => void) {
  const peers: Peer[] = [];
  const server = createNetServer({ allowHalfOpen: true }, (socket) => {
    const peer: Peer = { socket, text: '', isEnded: false, isClosed: false };
    const index = peers.push(peer) - 1;
    socket.setNoDelay().on('error', () => {});
    socket.on('end', () => {
      peer.isEnded = true;
    });
    socket.on('close', () => {
      peer.isClosed = true;
    });
    socket.on('data', (bytes) => {
      peer.text += bytes.toString('latin1');
      onData(peer, index);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    for (const { socket } of peers) {
      socket.destroy();
    }
  });
  return { peers, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

export const requestsIn = (text: string): number => text.split('HTTP/1.1\r\n').length - 1;

export async function errorOf(promise: Promise<unknown>): Promise<HttpClientError> {
  const error = await settled(
    promise.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
    'a failure',
  );
  assert.ok(error instanceof HttpClientError, String(error));
  return error;
}
