/** HTTP/1.1 servers and clients, `millrace/http`. Everything public of it is named here. */

export type { Coding } from './accept-encoding.js';
export type { BodyInput, FileInput } from './body-input.js';
export {
  HttpClientError,
  type HttpClientErrorCode,
  type HttpClientTimeout,
} from './client-error.js';
export type { HttpClientLimits, HttpClientTimeouts } from './client-limits.js';
export type {
  BodyStream,
  HttpClientConnectOptions,
  HttpClientRequestOptions,
} from './client-request.js';
export type { HttpClientResponse } from './client-response.js';
export type { HttpClientStats } from './client-stats.js';
export { CODINGS, type CompressionOptions, sendCompressed } from './compression.js';
export type { ContentCoding } from './content-coding.js';
export {
  EventStream,
  type EventStreamOptions,
  encodeEvent,
  type ServerEvent,
} from './event-stream.js';
export {
  HttpClient,
  type HttpClientOptions,
  type HttpDialer,
  type HttpTlsDialer,
} from './http-client.js';
export { formatHttpDate, parseHttpDate } from './http-date.js';
export {
  type HttpHandler,
  type HttpOptions,
  httpHandler,
} from './http-handler.js';
export type { HttpLimits } from './limits.js';
export { type ProxyOptions, proxyHeaderOf, proxyProtocol } from './proxy-handler.js';
export type { ProxyHeader, ProxyValue } from './proxy-header.js';
export { encodeProxyHeader, type ProxyHeaderOptions } from './proxy-writer.js';
export type { RejectCode } from './rejects.js';
export type { HttpRequest } from './request.js';
export type { BodySink } from './request-body.js';
export type { HttpResponse } from './response.js';
export {
  type FieldsInput,
  type FieldValueInput,
  type PreparedFields,
  prepareFields,
} from './response-fields.js';
export type { ResponseRejectCode } from './response-rejects.js';
export { type PathParams, type RouteHandler, Router } from './router.js';
export type { HttpStats, OnError, OnRequest, OnUpgrade } from './service.js';
export { type StaticHandler, type StaticOptions, staticFiles } from './static-files.js';
export {
  sendWebResponse,
  type WebFetch,
  type WebInfo,
  type WebOptions,
  webHandler,
} from './web-handler.js';
