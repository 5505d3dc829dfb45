/**
 * `npm start`: installs, builds and runs an echo server and an HTTP server, from a fresh clone in one command.
 *
 *     npm start                                    echo on a TCP port and a Unix socket, HTTP on port 8080
 *     npm start -- --listen tcp://127.0.0.1:7000   echo there instead
 *     npm start -- --reactors 2                    more options for the same server
 *     npm start -- help                            any other command of the command line
 */
// @ts-check

import { COMMAND_LINE, ensureBuilt, ensureInstalled } from './setup.mjs';
import { runProgram, runTool } from './tool.mjs';

const DEFAULT_COMMAND = 'demo';
const DEFAULT_LISTEN = ['tcp://127.0.0.1:9000', 'unix:///tmp/millrace-echo.sock'];

await runTool(async () => {
  ensureInstalled({ dev: true });
  ensureBuilt();
  // The command line then prints what to type in another terminal.
  process.env.MILLRACE_HINTS = '1';
  await runProgram(COMMAND_LINE, completed(process.argv.slice(2)));
});

/**
 * The arguments with what is not said filled in. A command, or a call for help, stands for itself.
 *
 * @param {string[]} args
 */
function completed(args) {
  const first = args[0] ?? '';
  const isComplete = ['-h', '--help', '-v', '--version'].includes(first);
  if (isComplete || (first !== '' && !first.startsWith('-'))) return args;
  const hasListen = args.some((arg) => arg === '--listen' || arg.startsWith('--listen='));
  const listen = hasListen ? [] : DEFAULT_LISTEN.flatMap((url) => ['--listen', url]);
  return [DEFAULT_COMMAND, ...listen, ...args];
}
