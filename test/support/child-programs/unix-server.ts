/** Listens on what it is told, says where, echoes, and ends when it is told to. */

import { serve } from '../../../src/index.js';

const { listen } = JSON.parse(process.argv[2]!) as { listen: string | string[] };

try {
  const server = await serve({
    listen,
    handler: { onData: (connection, bytes) => void connection.write(bytes) },
  });
  process.stdout.write(`${JSON.stringify(server.addresses)}\n`);
  process.on('SIGTERM', () => void server.close());
} catch (error) {
  process.stdout.write(`${JSON.stringify({ code: (error as { code?: string }).code })}\n`);
}
