/**
 * What tools/tidy.mjs enforces, as data. An exception is an entry here, never a comment in the file that breaks the
 * rule. The lists shrink: one that names what is gone, or allows more than is needed, is itself a violation.
 */
// @ts-check

/**
 * @typedef {object} Layer
 * @property {string} of A folder (with a final slash) or a file. Every file of src belongs to exactly one layer.
 * @property {string[]} may What it may import.
 * @property {boolean} [isTypeOnly] Only types may be imported.
 * @property {boolean} [isReExport] The file may hold nothing but exports from other files, listed one by one.
 */

/**
 * @typedef {object} Rules
 * @property {Layer[]} layers
 * @property {string} ffiFile The only file that imports koffi.
 * @property {Record<string, string>} clockFiles Files that may use the host's clock, timers and chance: path to reason.
 * @property {Record<string, Record<string, number>>} ratchet Files that break a limit: by rule, what they have now.
 * @property {Record<string, string>} coveredBy Sources without a test of their own name: the test that covers them.
 */

const FACE = [
  'src/api.ts',
  'src/options.ts',
  'src/streams.ts',
  'src/datagrams.ts',
  'src/errors.ts',
  'src/hooks.ts',
];

/** @type {Rules} */
export const RULES = {
  layers: [
    { of: 'src/index.ts', may: ['src/'], isReExport: true },
    { of: 'src/api.ts', may: ['src/'], isTypeOnly: true },
    { of: 'src/options.ts', may: ['src/'], isTypeOnly: true },
    { of: 'src/streams.ts', may: ['src/'], isTypeOnly: true },
    { of: 'src/datagrams.ts', may: ['src/'], isTypeOnly: true },
    { of: 'src/hooks.ts', may: ['src/api.ts'], isTypeOnly: true },
    { of: 'src/errors.ts', may: ['src/base/errno.ts'] },
    { of: 'src/base/', may: ['src/base/', 'src/errors.ts'] },
    { of: 'src/connection/', may: ['src/base/', 'src/connection/', ...FACE] },
    { of: 'src/engine/', may: ['src/base/', 'src/connection/', 'src/engine/', ...FACE] },
    {
      of: 'src/tls/',
      may: ['src/base/', 'src/connection/', 'src/engine/', 'src/tls/', ...FACE],
    },
    {
      of: 'src/http/',
      may: ['src/http/', 'src/base/wall-clock.ts', 'src/base/ip-address.ts', ...FACE],
    },
    { of: 'src/codec/index.ts', may: ['src/codec/'], isReExport: true },
    { of: 'src/codec/', may: ['src/codec/', ...FACE] },
    { of: 'src/metrics/index.ts', may: ['src/metrics/'], isReExport: true },
    {
      of: 'src/metrics/',
      may: [
        'src/metrics/',
        'src/connection/stats.ts',
        'src/base/wall-clock.ts',
        'src/http/index.ts',
        ...FACE,
      ],
    },
    { of: 'src/work/index.ts', may: ['src/work/'], isReExport: true },
    { of: 'src/work/', may: ['src/work/', ...FACE] },
    { of: 'src/websocket/index.ts', may: ['src/websocket/'], isReExport: true },
    {
      of: 'src/websocket/',
      may: ['src/websocket/', 'src/base/', 'src/engine/thread-kernel.ts', ...FACE],
    },
    { of: 'src/proactor/index.ts', may: ['src/proactor/'], isReExport: true },
    {
      of: 'src/proactor/',
      may: ['src/proactor/', 'src/base/', 'src/connection/', 'src/engine/', ...FACE],
    },
    { of: 'src/node/index.ts', may: ['src/node/'], isReExport: true },
    {
      of: 'src/node/',
      may: ['src/node/', 'src/base/', 'src/connection/', 'src/engine/', ...FACE],
    },
    {
      of: 'src/cli/',
      may: [
        'src/cli/',
        'src/index.ts',
        'src/http/index.ts',
        'src/tls/index.ts',
        'src/websocket/index.ts',
        'src/engine/',
        'src/base/',
        ...FACE,
      ],
    },
  ],

  ffiFile: 'src/base/ffi.ts',

  clockFiles: {
    'src/base/wall-clock.ts': 'It is the wall clock, for what protocols write into messages.',
    'src/base/linux-kernel.ts': 'It is the Kernel that gives all others clock, timers and chance.',
    'src/base/random-words.ts': 'It is where the Kernel gets its chance.',
    'src/websocket/accept-key.ts': 'It hashes a key (SHA-1), and draws no chance.',
    'src/node/connection-duplex.ts': 'Its setTimeout is the method that sockets of Node have.',
    'src/base/host-loop.ts': "It is the Kernel's alarm and doorbell.",
  },

  ratchet: {},

  coveredBy: {
    'src/base/native-reaper.ts': 'test/e2e/tls-death.test.ts',
    'src/connection/faces.ts': 'test/tls/faces.test.ts',
    'src/connection/arguments.ts': 'test/connection/connection.test.ts',
    'src/base/linux-datagrams.ts': 'test/sim/sim-vs-linux.test.ts',
    'src/connection/datagram/backlog.ts': 'test/e2e/udp-limits.test.ts',
    'src/node/http-drain.ts': 'test/node/http.test.ts',
    'src/node/http2-drain.ts': 'test/node/protocols.test.ts',
    'src/connection/datagram/ending.ts': 'test/e2e/seqpacket.test.ts',
    'src/connection/datagram/peer-credentials.ts': 'test/e2e/seqpacket.test.ts',
    'src/connection/datagram/endpoint.ts': 'test/engine/datagram.test.ts',
    'src/connection/datagram/error-path.ts': 'test/e2e/udp-limits.test.ts',
    'src/connection/datagram/hub.ts': 'test/sim/datagrams.test.ts',
    'src/connection/datagram/message-table.ts': 'test/connection/datagram/send-batch.test.ts',
    'src/connection/datagram/multicast.ts': 'test/e2e/multicast.test.ts',
    'src/connection/datagram/open-socket.ts': 'test/engine/datagram.test.ts',
    'src/connection/datagram/peer-from-url.ts': 'test/connection/datagram/peer-address.test.ts',
    'src/connection/datagram/receive-batch.ts': 'test/e2e/udp-limits.test.ts',
    'src/connection/datagram/receive-path.ts': 'test/sim/datagrams.test.ts',
    'src/connection/datagram/send-by-id.ts': 'test/e2e/datagram-by-id.test.ts',
    'src/connection/datagram/send-path.ts': 'test/e2e/udp-limits.test.ts',
    'src/connection/datagram/session.ts': 'test/e2e/udp-sessions.test.ts',
    'src/connection/datagram/socket-options.ts': 'test/connection/datagram/profile.test.ts',
    'src/connection/drivers/uring-watches.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/receive-message.ts': 'test/connection/reactor.test.ts',
    'src/engine/datagram-listen.ts': 'test/e2e/unix-datagram.test.ts',
    'src/base/linux-process.ts': 'test/base/linux-kernel.test.ts',
    'src/base/linux-ring.ts': 'test/contract/uring-linux.test.ts',
    'src/base/linux.ts': 'test/base/layout.test.ts',
    'src/base/platform.ts': 'test/cli/platforms.test.ts',
    'src/base/random-words.ts': 'test/base/linux-kernel.test.ts',
    'src/base/uring.ts': 'test/base/uring-layout.test.ts',
    'src/connection/completion-router.ts': 'test/connection/reactor.test.ts',
    'src/connection/adopter.ts': 'test/e2e/adopt.test.ts',
    'src/connection/create-connection.ts': 'test/connection/connection.test.ts',
    'src/connection/create-state.ts': 'test/connection/reactor.test.ts',
    'src/connection/dialer.ts': 'test/e2e/dial.test.ts',
    'src/connection/dispatch.ts': 'test/e2e/handler-errors.test.ts',
    'src/connection/file-part.ts': 'test/connection/send-file.test.ts',
    'src/connection/flush.ts': 'test/connection/connection-writes.test.ts',
    'src/connection/driver.ts': 'test/contract/epoll-linux.test.ts',
    'src/connection/drivers/epoll-connects.ts': 'test/contract/epoll-linux.test.ts',
    'src/connection/drivers/epoll-listeners.ts': 'test/contract/epoll-linux.test.ts',
    'src/connection/drivers/epoll.ts': 'test/contract/epoll-linux.test.ts',
    'src/connection/drivers/connect-outcome.ts': 'test/contract/epoll-linux.test.ts',
    'src/connection/drivers/choose.ts': 'test/e2e/drivers.test.ts',
    'src/connection/drivers/uring-accepts.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-buffers.ts': 'test/sim/sim-uring-driver.test.ts',
    'src/connection/drivers/uring-connects.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-doorbell.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-files.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-queue.ts': 'test/sim/sim-uring-driver.test.ts',
    'src/connection/drivers/uring-receives.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-sender.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-sends.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-setup.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-slots.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring-unit.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/drivers/uring.ts': 'test/contract/uring-linux.test.ts',
    'src/connection/lifecycle.ts': 'test/e2e/half-close.test.ts',
    'src/connection/read-path.ts': 'test/connection/connection-reads.test.ts',
    'src/connection/timer-lists.ts': 'test/connection/timer-nodes.test.ts',
    'src/connection/hook-calls.ts': 'test/e2e/handler-errors.test.ts',
    'src/connection/write-limits.ts': 'test/connection/connection-writes.test.ts',
    'src/engine/driver-of-auto.ts': 'test/cli/doctor.test.ts',
    'src/base/wall-clock.ts': 'test/http/http-handler.test.ts',
    'src/http/body-input.ts': 'test/http/response.test.ts',
    'src/http/body-state.ts': 'test/http/http-handler.test.ts',
    'src/http/closing.ts': 'test/http/http-handler.test.ts',
    'src/http/conversation.ts': 'test/http/http-handler.test.ts',
    'src/http/exchange.ts': 'test/http/http-handler.test.ts',
    'src/http/http-connection.ts': 'test/http/http-handler.test.ts',
    'src/http/output.ts': 'test/http/response.test.ts',
    'src/http/request.ts': 'test/http/http-handler.test.ts',
    'src/http/response-fields.ts': 'test/http/response.test.ts',
    'src/http/limits.ts': 'test/http/http-handler.test.ts',
    'src/http/service.ts': 'test/http/http-handler.test.ts',
    'src/http/status.ts': 'test/http/response.test.ts',
    'src/http/web-request.ts': 'test/http/web-handler.test.ts',
    'src/http/file-parts.ts': 'test/http/static-files.test.ts',
    'src/http/file-source.ts': 'test/http/file-cache.test.ts',
    'src/http/media-types.ts': 'test/http/static-files.test.ts',
    'src/http/crc32c.ts': 'test/http/proxy-header.test.ts',
    'src/http/proxy-v2.ts': 'test/http/proxy-header.test.ts',
    'src/http/proxy-writer.ts': 'test/http/proxy-header.test.ts',
    'src/http/trailers.ts': 'test/http/http-handler.test.ts',
    'src/http/rejects.ts': 'test/http/request-reader.test.ts',
    'src/http/chunked-decoder.ts': 'test/http/request-reader.test.ts',
    'src/http/field-block.ts': 'test/http/request-reader.test.ts',
    'src/http/framing.ts': 'test/http/request-reader.test.ts',
    'src/http/grammar.ts': 'test/http/request-reader.test.ts',
    'src/http/partial-head.ts': 'test/http/request-reader.test.ts',
    'src/http/request-head.ts': 'test/http/request-reader.test.ts',
    'src/http/message-body.ts': 'test/http/request-body.test.ts',
    'src/http/message-reader.ts': 'test/http/request-reader.test.ts',
    'src/cli/demo.ts': 'test/cli/http.test.ts',
    'src/cli/http-handler.ts': 'test/cli/http.test.ts',
    'src/http/client-connection.ts': 'test/http/http-client.test.ts',
    'src/http/client-error.ts': 'test/http/http-client.test.ts',
    'src/http/client-exchange.ts': 'test/http/http-client.test.ts',
    'src/http/client-handler.ts': 'test/http/http-client.test.ts',
    'src/http/client-reading.ts': 'test/http/http-client.test.ts',
    'src/http/client-limits.ts': 'test/http/http-client.test.ts',
    'src/http/client-origin.ts': 'test/http/http-client.test.ts',
    'src/http/client-pace.ts': 'test/http/http-client.test.ts',
    'src/http/client-request.ts': 'test/http/http-client.test.ts',
    'src/http/client-response.ts': 'test/http/http-client.test.ts',
    'src/http/client-sender.ts': 'test/http/http-client.test.ts',
    'src/http/client-stats.ts': 'test/http/http-client.test.ts',
    'src/http/response-framing.ts': 'test/http/response-reader.test.ts',
    'src/http/response-head.ts': 'test/http/response-reader.test.ts',
    'src/http/response-rejects.ts': 'test/http/response-reader.test.ts',
    'src/http/framing-fields.ts': 'test/http/response-reader.test.ts',
    'src/cli/push-handler.ts': 'test/cli/push.test.ts',
    'src/websocket/accept-key.ts': 'test/websocket/server-handshake.test.ts',
    'src/websocket/client-handshake.ts': 'test/websocket/client.test.ts',
    'src/websocket/endpoint.ts': 'test/websocket/server.test.ts',
    'src/websocket/publication.ts': 'test/websocket/hub.test.ts',
    'src/websocket/receiver-pool.ts': 'test/websocket/server.test.ts',
    'src/websocket/request.ts': 'test/websocket/server-handshake.test.ts',
    'src/websocket/send-frame.ts': 'test/websocket/server.test.ts',
    'src/websocket/send-message.ts': 'test/websocket/server.test.ts',
    'src/websocket/settings.ts': 'test/websocket/server.test.ts',
    'src/websocket/stage.ts': 'test/websocket/server.test.ts',
    'src/websocket/topic.ts': 'test/websocket/hub.test.ts',
    'src/websocket/upgrades.ts': 'test/websocket/server-handshake.test.ts',
    'src/websocket/upgrade.ts': 'test/websocket/server-handshake.test.ts',
    'src/websocket/web-socket.ts': 'test/websocket/server.test.ts',
    'src/websocket/socket-state.ts': 'test/websocket/server.test.ts',
    'src/websocket/assembly.ts': 'test/websocket/receiver.test.ts',
    'src/websocket/frame-sink.ts': 'test/websocket/receiver.test.ts',
    'src/websocket/inflate.ts': 'test/websocket/deflate.test.ts',
    'src/websocket/deflate-options.ts': 'test/websocket/permessage-deflate.test.ts',
    'src/websocket/header.ts': 'test/websocket/receiver.test.ts',
    'src/websocket/violation.ts': 'test/websocket/receiver.test.ts',
    'src/codec/frame-error.ts': 'test/codec/framed.test.ts',
    'src/codec/framed-connection.ts': 'test/codec/framed.test.ts',
    'src/codec/framed-layer.ts': 'test/codec/framed.test.ts',
    'src/codec/framing.ts': 'test/codec/frame-decoder.test.ts',
    'src/codec/send-frame.ts': 'test/codec/framed.test.ts',
    'src/metrics/metric.ts': 'test/metrics/prometheus.test.ts',
    'src/metrics/server-metrics.ts': 'test/metrics/prometheus.test.ts',
    'src/work/line.ts': 'test/work/work-queue.test.ts',
    'src/work/options.ts': 'test/work/work-queue.test.ts',
    'src/tls/hand-over.ts': 'test/proactor/tls.test.ts',
    'src/proactor/adoption.ts': 'test/proactor/sockets.test.ts',
    'src/proactor/channel.ts': 'test/proactor/reads.test.ts',
    'src/proactor/proactor.ts': 'test/proactor/watcher.test.ts',
    'src/proactor/results.ts': 'test/proactor/watcher.test.ts',
    'src/connection/turns.ts': 'test/connection/reactor.test.ts',
    'src/connection/write-path.ts': 'test/connection/connection-writes.test.ts',
    'src/engine/acceptor.ts': 'test/e2e/engine.test.ts',
    'src/connection/socket-handover.ts': 'test/e2e/adopt-socket.test.ts',
    'src/engine/shared-reactor.ts': 'test/engine/dial.test.ts',
    'src/engine/create-reactor.ts': 'test/connection/reactor.test.ts',
    'src/engine/local-server.ts': 'test/engine/serve.test.ts',
    'src/engine/reactor-thread.ts': 'test/e2e/reactor-death.test.ts',
    'src/engine/threaded-server.ts': 'test/e2e/engine.test.ts',
    'src/engine/worker-main.ts': 'test/e2e/reactor-death.test.ts',
    'src/base/openssl-prototypes.ts': 'test/base/openssl.test.ts',
    'src/base/socket-pair.ts': 'test/node/from-duplex.test.ts',
    'src/node/consumable.ts': 'test/node/connection-duplex.test.ts',
    'src/node/duplex-writer.ts': 'test/node/connection-duplex.test.ts',
    'src/node/from-socket.ts': 'test/node/http.test.ts',
    'src/node/grpc-credentials.ts': 'test/node/grpc.test.ts',
    'src/node/grpc-handler.ts': 'test/node/grpc.test.ts',
    'src/node/guard.ts': 'test/node/connection-duplex.test.ts',
    'src/node/inactivity-timer.ts': 'test/node/connection-duplex.test.ts',
    'src/node/node-handler.ts': 'test/node/http.test.ts',
    'src/node/socket-address.ts': 'test/node/connection-duplex.test.ts',
    'src/tls/certificates.ts': 'test/tls/secure-context.test.ts',
    'src/connection/chunk-queue.ts': 'test/connection/chunk-iterator.test.ts',
    'src/tls/closing.ts': 'test/tls/tls-connection.test.ts',
    'src/tls/connection-flags.ts': 'test/tls/tls-connection.test.ts',
    'src/tls/divert-writes.ts': 'test/tls/reactors.test.ts',
    'src/tls/giving-up.ts': 'test/tls/hostile-peers.test.ts',
    'src/tls/handshake.ts': 'test/tls/hostile-peers.test.ts',
    'src/tls/layer.ts': 'test/tls/tls-handler.test.ts',
    'src/tls/limits.ts': 'test/tls/dial-tls.test.ts',
    'src/tls/pause.ts': 'test/tls/connection-reads.test.ts',
    'src/tls/rare.ts': 'test/tls/tls-connection.test.ts',
    'src/tls/read-path.ts': 'test/tls/connection-reads.test.ts',
    'src/tls/session-info.ts': 'test/tls/tls-handler.test.ts',
    'src/tls/ssl-object.ts': 'test/tls/hostile-peers.test.ts',
    'src/tls/teardown.ts': 'test/tls/hostile-peers.test.ts',
    'src/tls/tls-error.ts': 'test/tls/secure-context.test.ts',
    'src/tls/tls-server.ts': 'test/tls/tls-handler.test.ts',
    'src/tls/transport-hooks.ts': 'test/tls/tls-connection.test.ts',
    'src/tls/write-path.ts': 'test/tls/connection-writes.test.ts',
  },
};

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;
/** For comments, and for messages that Biome's formatter cannot break; it keeps other code to 100. */
export const COLUMNS_MAX = 120;

/** Names that say nothing of what is inside. */
export const EMPTY_NAMES = ['utils', 'util', 'common', 'helpers', 'helper', 'types', 'misc'];

/** The host's clock, timers and chance: as globals, as members of one, and as modules. */
export const CLOCK_NAMES = [
  /(?<![\w.$#])(?:Date|setTimeout|setInterval|setImmediate|performance)\b/g,
  /\bglobalThis\s*\.\s*(?:Date|setTimeout|setInterval|setImmediate|performance)\b/g,
  /\b(?:Math|crypto)\s*\.\s*(?:random\w*|getRandomValues)\b/g,
  /\bprocess\s*\.\s*hrtime\b/g,
];
export const CLOCK_MODULES = [
  'node:timers',
  'node:timers/promises',
  'node:perf_hooks',
  'node:crypto',
];

/** Words that may not be in code, where, and what to do instead. */
export const BANNED_CODE = [
  {
    pattern: /(?:[:<|&]|\bas|=>)\s*any\b(?!\s*[(:])|\bany\s*\[\]/g,
    folders: ['src/', 'test/', 'bench/', 'examples/'],
    message: 'no `any`: name the type, or take `unknown` and narrow it',
  },
  {
    pattern: /\bexport\s+default\b/g,
    folders: ['src/'],
    message: 'no default export: give it a name',
  },
  {
    pattern: /\bexport\s*(?:type\s*)?\*/g,
    folders: ['src/'],
    message: 'no `export *`: list what is exported',
  },
  {
    pattern: /\bconsole\s*\./g,
    folders: ['src/'],
    except: ['src/cli/'],
    message: 'a library does not print: use onWarning',
  },
];

/** The same for comments. */
export const BANNED_COMMENTS = [
  { pattern: /\bFIXME\b/g, message: 'mend it, or open an issue and name it' },
  {
    pattern: /\bTODO\b(?!\s*(?:\(#\d+\))?:\s*\S+\s+\S+)/g,
    message: 'write what is to be done and why: `TODO: …` or `TODO(#12): …`',
  },
];
