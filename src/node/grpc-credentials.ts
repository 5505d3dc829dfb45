/** Clients of `@grpc/grpc-js` on our reactors. Nothing of that package is imported: what is needed stands here. */

import type { Socket } from 'node:net';

import type { AdoptOptions, Reactor } from '../api.js';
import { type DuplexOptions, toDuplex } from './connection-duplex.js';
import { fromSocket } from './from-socket.js';

/** What `ChannelCredentials` make for each connection of a channel. */
interface SecureConnector {
  connect(socket: Socket): Promise<unknown>;
}

/** The part of `ChannelCredentials` that is needed: every kind of them has it. */
export interface ChannelCredentialsLike {
  _createSecureConnector(...values: never[]): unknown;
}

export interface GrpcCredentialsOptions extends DuplexOptions {
  /** Where the connections live; the calling thread's own reactor by default. */
  reactor?: Reactor;
  connection?: Omit<AdoptOptions, 'handler' | 'context' | 'head' | 'signal'>;
}

/**
 * The same credentials, for channels whose connections live in a reactor: grpc-js connects, the socket is adopted, and
 * HTTP/2, and TLS if the credentials are for that, go over it. The credentials are changed and returned.
 *
 * grpc-js has no option for the transport; credentials are where it lets a socket be replaced (`SecureConnector`).
 *
 * @throws TypeError for what are no channel credentials.
 */
export function grpcCredentials<Credentials extends ChannelCredentialsLike>(
  credentials: Credentials,
  options: GrpcCredentialsOptions = {},
): Credentials {
  if (typeof credentials?._createSecureConnector !== 'function') {
    throw new TypeError('Expected channel credentials of @grpc/grpc-js');
  }
  const { reactor, connection, ...duplexOptions } = options;
  const adoptOptions = { ...connection, ...(reactor === undefined ? {} : { reactor }) };
  const create = credentials._createSecureConnector;
  credentials._createSecureConnector = function (this: unknown, ...values: never[]): unknown {
    const connector = create.apply(credentials, values) as SecureConnector;
    const connect = connector.connect.bind(connector);
    connector.connect = async (socket) =>
      connect(toDuplex(await fromSocket(socket, adoptOptions), duplexOptions) as unknown as Socket);
    return connector;
  };
  return credentials;
}
