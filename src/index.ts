/** millrace: multi-reactor networking for Node.js. Everything public is named here. */

export type {
  Action,
  AdoptOptions,
  Balance,
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
export type {
  HistogramSnapshot,
  ReactorSnapshot,
  ServerStats,
} from './connection/stats.js';
export { adopt } from './engine/adopt.js';
export { closeOnSignals, type SignalOptions } from './engine/close-on-signals.js';
export { dial } from './engine/dial.js';
export { type Remote, remote } from './engine/remote.js';
export { serve } from './engine/serve.js';
export { MillraceError, SystemError } from './errors.js';
export type { Reader, Writer } from './streams.js';
