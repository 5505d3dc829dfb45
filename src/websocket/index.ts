/** `millrace/websocket`: RFC 6455 and 7692, server and client. Everything public is named here. */

export type {
  SendOptions,
  WebSocket,
  WebSocketClose,
  WebSocketHooks,
  WebSocketOptions,
  WebSocketState,
  WebSocketStats,
} from './api.js';
export {
  type ConnectWebSocketOptions,
  connectWebSocket,
  type Dialer,
  type TlsDialer,
} from './client.js';
export { CloseCode } from './close-code.js';
export type { DeflateOptions } from './deflate-options.js';
export { type UpgradeableRequest, type UpgradeHook, upgradeHook } from './http-upgrade.js';
export {
  type HubOptions,
  type HubStats,
  type PublishOptions,
  type SlowPolicy,
  type TopicOptions,
  WebSocketHub,
} from './hub.js';
export { encodePublication } from './publication.js';
export type { UpgradeRequest } from './request.js';
export {
  type CloseRequest,
  type ReactorHooks,
  type WebSocketServer,
  type WebSocketServerOptions,
  webSocketHandler,
  webSocketServer,
} from './server.js';
export type { UpgradeAcceptance, UpgradeDecision, UpgradeRefusal } from './server-handshake.js';
export type { TopicCounts } from './topic.js';
export { type Refusal, refusalResponse, type UpgradeValues } from './upgrade.js';
export type { UpgradeSource } from './upgrades.js';
export { VIOLATIONS, type Violation } from './violation.js';
