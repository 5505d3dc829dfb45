/** millrace: multi-reactor networking for Node.js. Everything public is named here. */

export type {
  Action,
  AdoptOptions,
  Balance,
  CloseOptions,
  CloseReason,
  Connection,
  ConnectionOptions,
  ConnectionState,
  DialOptions,
  Handler,
  ListenerOptions,
  Reactor,
  RemoteHandle,
  ServeOptions,
  Server,
  SocketOptions,
  WriteResult,
} from './api.js';
export {
  type DiagnosticMessages,
  type DiagnosticName,
  onDiagnostic,
} from './connection/diagnostics.js';
export type {
  HistogramSnapshot,
  ReactorSnapshot,
  ServerStats,
} from './connection/stats.js';
export type {
  DatagramHooks,
  DatagramOptions,
  DatagramPeer,
  DatagramSession,
  DatagramSessionOptions,
  DatagramSocket,
  DatagramSocketOptions,
  DatagramSocketStats,
  MulticastGroup,
  PeerCredentials,
  SendResult,
} from './datagrams.js';
export { adopt } from './engine/adopt.js';
export { closeOnSignals, type SignalOptions } from './engine/close-on-signals.js';
export { datagram } from './engine/datagram.js';
export { dial } from './engine/dial.js';
export { type Remote, remote } from './engine/remote.js';
export { serve } from './engine/serve.js';
export { MillraceError, SystemError } from './errors.js';
export type { Reader, Writer } from './streams.js';
