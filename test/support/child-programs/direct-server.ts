/** Serves echoes on direct descriptors until it is told to stop, whatever its descriptor limit. Answers `stats`. */

import { serve } from '../../../src/index.js';

const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  handler: new URL('../engine-handlers/echo.js', import.meta.url),
  direct: true,
  onWarning: ({ message }) => console.log(`warning: ${message}`),
});

process.on('message', (question) => {
  if (question === 'stats') {
    process.send!(server.stats.totals);
  } else {
    void server.close({ deadlineMs: 0 }).then(() => process.disconnect());
  }
});
process.send!(server.addresses[0]);
