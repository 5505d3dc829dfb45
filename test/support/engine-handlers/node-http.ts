/** A server of Node's behind millrace's reactors, one in each thread: says in which thread it is. */

import http from 'node:http';
import { threadId } from 'node:worker_threads';

import { nodeHandler } from '../../../src/node/index.js';

const server = http.createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('x-thread', threadId);
    response.end(Buffer.concat(chunks));
  });
});

export default nodeHandler(server);
