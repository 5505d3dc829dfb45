// One side of a bridge for `npm run bench -- bridges`: `node bridge-server.mjs KIND`; prints "listening PORT".
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';

import * as grpc from '@grpc/grpc-js';
import { adopt, serve } from 'millrace';
import { httpHandler } from 'millrace/http';
import { fromDuplex, grpcHandler, nodeHandler, toWebStreams } from 'millrace/node';
import { tlsHandler } from 'millrace/tls';
import { webSocketServer } from 'millrace/websocket';
import { WebSocketServer } from 'ws';

const BACKLOG = 4_096;

const echo = { onData: (connection, bytes) => void connection.write(bytes) };

function pipeBack(socket) {
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    if (!socket.write(bytes)) {
      socket.pause();
    }
  });
  socket.on('drain', () => socket.resume());
}

async function loop(connection) {
  for await (const bytes of connection) {
    connection.write(bytes);
  }
}

const answer = Buffer.from('hello, world');
const httpServer = () => http.createServer((_request, response) => response.end(answer));

function wsServer() {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  return server;
}

const identity = (bytes) => bytes;
const service = {
  echo: {
    path: '/bench.Echo/Echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

function grpcServer() {
  const server = new grpc.Server();
  server.addService(service, { echo: (call, callback) => callback(null, call.request) });
  return server;
}

async function listenNode(server) {
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG });
  await once(server, 'listening');
  return server.address().port;
}

async function listenOurs(handler) {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
  return Number(server.addresses[0].split(':').pop());
}

/** A certificate as most servers have them: ECDSA, P-256. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const files = ['-keyout', keyFile, '-out', certFile];
  execFileSync(
    'openssl',
    ['req', '-x509', '-nodes', ...curve, '-days', '2', '-subj', '/CN=localhost', ...files],
    { stdio: 'pipe' },
  );
  const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  rmSync(folder, { recursive: true });
  return pair;
}

const insecure = () => grpc.ServerCredentials.createInsecure();

const KINDS = {
  'echo millrace': () => listenOurs(echo),
  'echo node:net': () => listenNode(net.createServer({ noDelay: true }, pipeBack)),
  'echo nodeHandler': () => listenOurs(nodeHandler(net.createServer(pipeBack))),
  'echo for-await': () => listenOurs({ onOpen: (connection) => void loop(connection) }),
  'echo web-streams': () =>
    listenOurs({
      onOpen(connection) {
        const { readable, writable } = toWebStreams(connection);
        readable.pipeTo(writable).catch(() => {});
      },
    }),
  'echo adopt': () =>
    listenNode(
      net.createServer({ noDelay: true }, (socket) => void adopt(socket, { handler: echo })),
    ),
  'echo from-duplex': () =>
    listenNode(
      net.createServer({ noDelay: true }, (socket) => void fromDuplex(socket, { handler: echo })),
    ),
  'tls node:net': () => listenNode(tls.createServer(certificate(), pipeBack)),
  'tls millrace/tls': () => listenOurs(tlsHandler(certificate(), echo)),
  'tls nodeHandler': () => listenOurs(nodeHandler(tls.createServer(certificate(), pipeBack))),
  'http millrace/http': () =>
    listenOurs(httpHandler({ onRequest: (_request, response) => response.end(answer) })),
  'http node:net': () => listenNode(httpServer()),
  'http nodeHandler': () => listenOurs(nodeHandler(httpServer())),
  'ws millrace/websocket': () =>
    listenOurs(
      webSocketServer({ onMessage: (socket, data, isBinary) => socket.send(data, { isBinary }) }),
    ),
  'ws node:net': () => listenNode(wsServer()),
  'ws nodeHandler': () => listenOurs(nodeHandler(wsServer())),
  'grpc node:net': () =>
    new Promise((resolve, reject) => {
      grpcServer().bindAsync('127.0.0.1:0', insecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    }),
  'grpc grpcHandler': () => listenOurs(grpcHandler(grpcServer(), insecure())),
};

process.stdout.write(`listening ${await KINDS[process.argv[2]]()}\n`);
