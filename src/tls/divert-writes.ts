/**
 * Those who decide about a handshake (`onServerName`, `onHandshakeError`) are given the transport's connection, and may
 * keep it. What they write to it is meant for the peer as all other writes are: it must be encrypted, and must never go
 * out as it is, between two records. So these methods of a transport's connection, which nobody else has business with,
 * are its TLS connection's. (From the reactor one gets the latter: see connection/faces.ts.)
 */

import type { Connection, WriteResult } from '../api.js';
import type { Writer } from '../streams.js';

/** The transport's own methods, for TLS itself. */
export type TransportWrite = (this: Connection, data: Uint8Array) => WriteResult;

function upper(base: Connection): Connection {
  return base.context as Connection;
}

const DIVERTED: PropertyDescriptorMap & ThisType<Connection> = {
  write: {
    value(data: Uint8Array | string): WriteResult {
      return upper(this).write(data);
    },
  },
  writev: {
    value(pieces: readonly Uint8Array[]): WriteResult {
      return upper(this).writev(pieces);
    },
  },
  writeOwned: {
    value(bytes: Uint8Array, onFree?: () => void): WriteResult {
      return upper(this).writeOwned(bytes, onFree);
    },
  },
  writer: {
    get(): Writer {
      return upper(this).writer;
    },
  },
};

/** To be called when `base.context` is the TLS connection; returns how to write to the transport itself. */
export function divertWrites(base: Connection): TransportWrite {
  const { write } = base;
  Object.defineProperties(base, DIVERTED);
  return write;
}
