/** What `--help` prints. Apart from the commands, so that it needs nothing of what they need. */

/** In the order in which they are listed. */
export const COMMANDS = ['echo', 'http', 'push', 'run', 'demo', 'doctor'] as const;

export type CommandName = (typeof COMMANDS)[number];

const SERVE_OPTIONS = `\
  --listen URL       where to listen, may be given several times: tcp://HOST:PORT, tcp4://, tcp6://,
                     unix://PATH, unix-abstract://NAME, fd://NUMBER, systemd://[NAME]; port 0 is any
  --reactors N|auto  event loops, each in a thread of its own if more than one; auto: one for each
                     CPU (default 1)
  --driver NAME      auto, epoll or uring (default auto: io_uring where it is faster)
  --direct           more connections than descriptors: they live in io_uring's own tables
  --balance KIND     how connections are spread over reactors: round-robin, least-connections,
                     source-hash, descriptor-hash, random or power-of-two (default round-robin)
  --reuse-port       each reactor listens itself, with SO_REUSEPORT; the kernel spreads connections
  --quiet, -q        print the addresses and nothing else`;

const ENDING = `\
Ctrl-C or SIGTERM ends it gracefully, a second one at once. MILLRACE_DEBUG=1 in the environment shows
the stacks of errors.`;

export const HELP: Readonly<Record<CommandName | 'millrace', string>> = {
  millrace: `\
millrace: multi-reactor networking for Node.js

Usage: millrace COMMAND [OPTIONS]

  millrace echo        serve an echo server: sends back what it receives
  millrace http        serve HTTP and WebSocket: texts to measure with, a page, the files of a folder
  millrace push        serve a tick a second, to WebSockets and plain TCP clients
  millrace run MODULE  serve with the handler that a module exports
  millrace demo        serve both echo and http, to have a look
  millrace doctor      tell whether this machine can serve, how many connections, and what to change

  millrace COMMAND --help    the options of a command
  millrace --version`,

  echo: `\
Usage: millrace echo [OPTIONS]

Sends every byte back. Receiving stops while a client does not take its own bytes back.

${SERVE_OPTIONS}

Datagrams come back, too: --listen udp://HOST:PORT, unixgram://PATH, seqpacket://PATH.
Without --listen: tcp://127.0.0.1:9000 and unix:///tmp/millrace-echo.sock.
${ENDING}`,

  http: `\
Usage: millrace http [OPTIONS]

Serves HTTP/1.1 and WebSocket:

  GET /plaintext     Hello, World!
  GET /json          {"message":"Hello, World!"}
  POST /echo         sends the body back, as it comes
  /ws                a WebSocket that sends every message back
  /                  a page that shows what the server does (/figures, a WebSocket); or, with --root,
                     the files of a folder

${SERVE_OPTIONS}
  --tls-cert FILE    certificate chain in PEM: serves https and wss; with --tls-key
  --tls-key FILE     its private key in PEM
  --root DIR         serve the files below this folder

Without --listen: tcp://127.0.0.1:8080.
${ENDING}`,

  demo: `\
Usage: millrace demo [OPTIONS]

Serves what \`millrace echo\` serves, and beside it what \`millrace http\` does.

${SERVE_OPTIONS}
  --http URL         where the HTTP server listens (default tcp://127.0.0.1:8080)

--listen is for the echo server: tcp://127.0.0.1:9000 and unix:///tmp/millrace-echo.sock without it.
${ENDING}`,

  push: `\
Usage: millrace push [OPTIONS]

Sends a line a second to every client. One that begins with an HTTP request is a WebSocket, and gets
the line as a message; any other, also one that says nothing, gets it as it is. Who does not read
misses ticks.

${SERVE_OPTIONS}

Without --listen: tcp://127.0.0.1:9000.
${ENDING}`,

  run: `\
Usage: millrace run MODULE [OPTIONS]

Serves with the handler that MODULE exports: its default export or its export "handler", an object with
hooks such as onData, or a function that makes one from --data. MODULE is a path from here, or a URL.

${SERVE_OPTIONS}
  --data JSON        the argument of a handler that is a function

Without --listen: tcp://127.0.0.1:9000.
${ENDING}`,

  doctor: `\
Usage: millrace doctor [OPTIONS]

Tries what a server needs (the FFI, an epoll instance, an echo through millrace itself) and reads the
limits of the system, the container and the process. Tells for each what to change, how, and why.

  --json             print the findings as JSON

The exit code is 0 if millrace can serve here and 1 if not.`,
};
