/**
 * Clients of `@grpc/grpc-js` on our reactors. Nothing of that package is imported: what is needed stands here.
 *
 * grpc-js has no option for the transport: resolvers give addresses, to which it connects by itself. Channel
 * credentials are where it lets a socket be replaced, by the `SecureConnector` that they make for a subchannel. The
 * class is exported to be extended; the methods that its types declare abstract are those that are implemented here,
 * by an object that extends it as a class would. Before 1.13 there were none of that use.
 */

import type { Socket } from 'node:net';

import type { AdoptOptions, Reactor } from '../api.js';
import { MillraceError } from '../errors.js';
import { type DuplexOptions, toDuplex } from './connection-duplex.js';
import { fromSocket } from './from-socket.js';

const VERSIONS = '@grpc/grpc-js 1.13 or later, below 2';

/** What `ChannelCredentials` make for a subchannel: Node's socket in, what HTTP/2 is to run on out. */
interface SecureConnector {
  connect(socket: Socket): Promise<unknown>;
}

/** The part of `ChannelCredentials` that is needed: every kind of them has it. */
export interface ChannelCredentialsLike {
  _isSecure(): boolean;
  _equals(other: never): boolean;
  _createSecureConnector(...values: never[]): unknown;
  compose(callCredentials: never): unknown;
}

export interface GrpcCredentialsOptions extends DuplexOptions {
  /** Where the connections live; the calling thread's own reactor by default. */
  reactor?: Reactor;
  connection?: Omit<AdoptOptions, 'handler' | 'context' | 'head' | 'signal'>;
}

/**
 * Credentials like those given, for channels whose connections live in a reactor: grpc-js connects, the socket is
 * adopted, and HTTP/2, and TLS if the credentials are for that, go over it. Those given stay as they are. Channels
 * share connections only with channels that have the same object.
 *
 * @throws TypeError for what are no channel credentials; MillraceError (ERR_GRPC_VERSION) for those of a grpc-js that
 *   does not let the socket be replaced.
 */
export function grpcCredentials<Credentials extends ChannelCredentialsLike>(
  credentials: Credentials,
  options: GrpcCredentialsOptions = {},
): Credentials {
  check(credentials);
  const { reactor, connection, ...duplexOptions } = options;
  const adoptOptions = { ...connection, ...(reactor === undefined ? {} : { reactor }) };
  const own: ChannelCredentialsLike = Object.create(baseOf(credentials));
  own._isSecure = () => credentials._isSecure();
  own._equals = (other: unknown) => other === own;
  own.compose = (callCredentials) =>
    grpcCredentials(credentials.compose(callCredentials) as Credentials, options);
  own._createSecureConnector = (...values) => {
    const connector = credentials._createSecureConnector(...values) as SecureConnector;
    if (typeof connector?.connect !== 'function') {
      throw wrongVersion('their secure connectors have no method connect');
    }
    const connect = connector.connect.bind(connector);
    connector.connect = async (socket) =>
      connect(toDuplex(await fromSocket(socket, adoptOptions), duplexOptions) as unknown as Socket);
    return connector;
  };
  return own as Credentials;
}

function check(credentials: ChannelCredentialsLike): void {
  if (typeof credentials?._isSecure !== 'function' || typeof credentials.compose !== 'function') {
    throw new TypeError(`Expected channel credentials of ${VERSIONS}, got ${String(credentials)}`);
  }
  if (typeof credentials._createSecureConnector !== 'function') {
    throw wrongVersion('these credentials make no secure connectors');
  }
}

function wrongVersion(found: string): MillraceError {
  return new MillraceError('ERR_GRPC_VERSION', `grpcCredentials needs ${VERSIONS}: ${found}`);
}

/**
 * What is extended: `ChannelCredentials.prototype`, which grpc-js asks for. Not the class of the credentials: all
 * insecure ones are equal to each other by their class, and a channel would share the connections of any other.
 */
function baseOf(credentials: object): object {
  let base = credentials;
  for (;;) {
    const next: object | null = Object.getPrototypeOf(base);
    if (next === null || Object.getPrototypeOf(next) === null) {
      return base;
    }
    base = next;
  }
}
