/** `millrace/node`: connections as Node's own programs know them. Everything public is named here. */

export { type ConnectOptions, type ConnectTarget, connect, type StreamDialer } from './connect.js';
export { ConnectionDuplex, type DuplexOptions, toDuplex } from './connection-duplex.js';
export { type FromDuplexOptions, fromDuplex } from './from-duplex.js';
export { fromSocket } from './from-socket.js';
export {
  type ChannelCredentialsLike,
  type GrpcCredentialsOptions,
  grpcCredentials,
} from './grpc-credentials.js';
export { type GrpcServerLike, grpcHandler } from './grpc-handler.js';
export { nodeHandler } from './node-handler.js';
export { toWebStreams, type WebStreams, type WebStreamsOptions } from './web-streams.js';
