/** Serves echoes until it is told to stop, under whatever descriptor limit it was given. Answers `stats`. */

import { serve } from '../../../src/index.js';

const { reactors } = JSON.parse(process.argv[2]!) as { reactors: number };

const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  handler: new URL('../engine-handlers/echo.js', import.meta.url),
  reactors,
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
