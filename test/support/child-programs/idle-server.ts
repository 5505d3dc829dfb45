/** A server that has nothing to do. Answers with its turns and with what keeps its event loops. */

import { serve } from '../../../src/index.js';

const { reactors } = JSON.parse(process.argv[2]!) as { reactors: number };

const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  handler: new URL('../engine-handlers/loop-user.js', import.meta.url),
  reactors,
});

process.on('message', async (question) => {
  if (question === 'turns') {
    process.send!(server.stats.totals.turns);
  } else if (question === 'resources') {
    const lists = (await server.executeAll('resources')) as string[][];
    process.send!([...lists, process.getActiveResourcesInfo()]);
  }
});
process.send!(server.addresses[0]);
