/**
 * Heavy work without blocking a reactor: node examples/primes.mjs [LISTEN-URL]
 *
 * Each line is a number; the answer is how many primes there are up to it, in the order of the questions. The counting
 * is done in threads of piscina, which is to be installed beside millrace: npm install piscina.
 *
 *     $ printf '10\n5000000\n100\n' | nc -q 5 127.0.0.1 9003
 *     10: 4
 *     5000000: 348513
 *     100: 25
 */

import { closeOnSignals, serve } from 'millrace';
import { framed, lines } from 'millrace/codec';
import { WorkQueue } from 'millrace/work';
import { Piscina } from 'piscina';

const QUESTION_MAX = 50_000_000;

const pool = new Piscina({ filename: new URL('./primes-task.mjs', import.meta.url).href });
/** @type {WorkQueue<number, number>} */
const queue = new WorkQueue(pool, { connectionMax: 16, whenFull: 'pause', timeoutMs: 20_000 });

const handler = framed(lines({ maxFrameBytes: 64 }), {
  onFrame(connection, line) {
    const question = Number(line);
    if (!Number.isInteger(question) || question < 0 || question > QUESTION_MAX) {
      connection.send(`${line}: expected an integer from 0 to ${QUESTION_MAX}`);
      return;
    }
    const taken = queue.submit(connection, question, (_, { error, value }) => {
      connection.send(`${question}: ${error === undefined ? value : error.message}`);
    });
    if (taken === 'full') connection.send(`${question}: busy`);
  },
  onClose(connection) {
    queue.forget(connection);
  },
  async onShutdown() {
    await queue.close();
    await pool.destroy();
  },
});

const [listen = 'tcp://127.0.0.1:9003'] = process.argv.slice(2);
const server = await serve({ listen, handler, allowHalfOpen: true });
console.log(`primes: listening on ${server.addresses.join(', ')}`);
closeOnSignals(server);
