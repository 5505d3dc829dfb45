// tls-load: a closed-loop load generator for TLS echo servers, on the system's OpenSSL. One thread, one epoll loop.
//
//   tls-load --address tcp://127.0.0.1:9000 --connections 100 --bytes 512 --seconds 1
//   tls-load --address tcp://127.0.0.1:9000 --connections 32 --handshakes --seconds 1
//
// By default each connection sends a message, and the next when its echo is complete; every byte is compared. With
// --handshakes each connects, shakes hands, sends one byte, reads it back, resets and begins anew; --resume lets it
// offer the session of its last connection. The server's certificate is not verified: that is the client's work.
//
// Commands and answers are those of echo-load: "run SECONDS" prints one line of JSON, "quit" ends. A slice starts and
// ends with nothing on its way.
#define _GNU_SOURCE
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

#include "endpoint.h"
#include "histogram.h"
#include "usage.h"

#define BYTES_MAX 65536
#define EVENTS_MAX 256
#define OPEN_TIMEOUT (60 * NANOSECONDS)
#define DRAIN_TIMEOUT (10 * NANOSECONDS)

enum state { CLOSED, CONNECTING, SHAKING, IDLE, ECHOING };

struct options {
  const char *address;
  const char *ciphers;
  int connections;
  int bytes;
  int version;
  int sources;
  bool handshakes;
  bool resume;
  double seconds;
  double warm_up;
};

struct connection {
  int fd;
  enum state state;
  uint32_t interest;
  SSL *ssl;
  SSL_SESSION *session;
  int sent;
  int received;
  uint64_t started;
};

static struct options options;
static struct endpoint endpoint;
static struct connection *connections;
static SSL_CTX *context;
static int epoll_fd;
static char pattern[BYTES_MAX];
static char buffer[BYTES_MAX];
static bool is_running;
static bool is_measuring;
static int busy;  // Connections that are neither idle nor closed.
static int open_count;
static uint64_t requests, all_requests, resumed, errors;
static struct histogram latency;

static void begin(struct connection *connection);

static void watch(struct connection *connection, uint32_t interest) {
  if (connection->interest == interest) return;
  struct epoll_event event = {.events = interest, .data.ptr = connection};
  int operation = connection->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll_fd, operation, connection->fd, &event) < 0) {
    fail("epoll_ctl: %s", strerror(errno));
  }
  connection->interest = interest;
}

static void set_state(struct connection *connection, enum state state) {
  bool was_busy = connection->state != IDLE && connection->state != CLOSED;
  bool is_busy = state != IDLE && state != CLOSED;
  busy += is_busy - was_busy;
  connection->state = state;
}

// Closes with a reset: thousands of connections a second would use up all ports if each stayed in TIME_WAIT.
static void finish(struct connection *connection) {
  struct linger now = {.l_onoff = 1};
  setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  SSL_free(connection->ssl);
  close(connection->fd);
  connection->interest = 0;
  open_count--;
  set_state(connection, CLOSED);
}

static void give_up(struct connection *connection, const char *why) {
  if (errors++ == 0) {
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? strerror(errno) : ERR_reason_error_string(code);
    fprintf(stderr, "tls-load: %s (%s)\n", why, reason == NULL ? "?" : reason);
  }
  ERR_clear_error();
  finish(connection);
}

// True when the call must be repeated once the socket is ready; otherwise the connection has failed.
static bool awaits(struct connection *connection, int result) {
  switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_WANT_READ: watch(connection, EPOLLIN); return true;
    case SSL_ERROR_WANT_WRITE: watch(connection, EPOLLOUT); return true;
    default: return false;
  }
}

static void record(struct connection *connection) {
  uint64_t now = now_ns();
  all_requests++;
  if (is_measuring) {
    requests++;
    histogram_record(&latency, now - connection->started);
  }
}

static void start_message(struct connection *connection) {
  connection->sent = connection->received = 0;
  if (!options.handshakes) connection->started = now_ns();
  set_state(connection, ECHOING);
}

static void complete(struct connection *connection) {
  record(connection);
  if (!options.handshakes) {
    if (is_running) start_message(connection);
    else set_state(connection, IDLE);
    return;
  }
  if (SSL_session_reused(connection->ssl)) resumed++;
  if (options.resume) {
    SSL_SESSION_free(connection->session);
    connection->session = SSL_get1_session(connection->ssl);
  }
  finish(connection);
  if (is_running) begin(connection);
}

static void echo(struct connection *connection) {
  while (connection->state == ECHOING) {
    if (connection->sent < options.bytes) {
      int rest = options.bytes - connection->sent;
      int n = SSL_write(connection->ssl, pattern + connection->sent, rest);
      if (n <= 0) {
        if (!awaits(connection, n)) give_up(connection, "cannot write");
        return;
      }
      connection->sent += n;
      continue;
    }
    int n = SSL_read(connection->ssl, buffer, options.bytes - connection->received);
    if (n <= 0) {
      if (!awaits(connection, n)) give_up(connection, "cannot read");
      return;
    }
    if (memcmp(buffer, pattern + connection->received, (size_t)n) != 0) {
      give_up(connection, "received bytes that are not the ones that were sent");
      return;
    }
    connection->received += n;
    if (connection->received == options.bytes) complete(connection);
  }
}

static void shake(struct connection *connection) {
  int n = SSL_do_handshake(connection->ssl);
  if (n != 1) {
    if (!awaits(connection, n)) give_up(connection, "the handshake failed");
    return;
  }
  if (options.handshakes) {
    start_message(connection);
    echo(connection);
  } else {
    watch(connection, EPOLLIN);
    set_state(connection, IDLE);
  }
}

static void connected(struct connection *connection) {
  int error = connect_outcome(connection->fd);
  if (error != 0) fail("cannot connect to %s: %s", options.address, strerror(error));
  connection->ssl = SSL_new(context);
  SSL_set_fd(connection->ssl, connection->fd);
  SSL_set_connect_state(connection->ssl);
  SSL_set_tlsext_host_name(connection->ssl, "localhost");
  if (connection->session != NULL) SSL_set_session(connection->ssl, connection->session);
  set_state(connection, SHAKING);
  shake(connection);
}

static void begin(struct connection *connection) {
  connection->fd = start_connect(&endpoint, (int)(connection - connections));
  if (connection->fd < 0) fail("cannot connect: %s", strerror(-connection->fd));
  connection->started = now_ns();
  connection->ssl = NULL;
  open_count++;
  set_state(connection, CONNECTING);
  watch(connection, EPOLLOUT);
}

static void turn(int timeout_ms) {
  struct epoll_event events[EVENTS_MAX];
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);
  for (int i = 0; i < n; i++) {
    struct connection *connection = events[i].data.ptr;
    switch (connection->state) {
      case CONNECTING: connected(connection); break;
      case SHAKING: shake(connection); break;
      case ECHOING: echo(connection); break;
      case IDLE: {
        // Session tickets; anything else is a surprise.
        int read = SSL_read(connection->ssl, buffer, 1);
        if (read > 0 || !awaits(connection, read)) give_up(connection, "closed by the server");
        break;
      }
      case CLOSED: break;
    }
  }
}

static double microseconds(double fraction) {
  return (double)histogram_percentile(&latency, fraction) / 1e3;
}

static void run_slice(double seconds) {
  requests = all_requests = resumed = errors = 0;
  histogram_clear(&latency);
  double cpu = cpu_seconds();
  uint64_t start = now_ns();
  uint64_t from = start + (uint64_t)(options.warm_up * (double)NANOSECONDS);
  uint64_t until = from + (uint64_t)(seconds * (double)NANOSECONDS);
  is_running = true;
  for (int i = 0; i < options.connections; i++) {
    struct connection *connection = &connections[i];
    if (connection->state == CLOSED && options.handshakes) begin(connection);
    else if (connection->state == IDLE) {
      start_message(connection);
      echo(connection);
    }
  }
  uint64_t now = now_ns();
  for (; now < until && busy > 0; now = now_ns()) {
    if (!is_measuring && now >= from) {
      is_measuring = true;
      from = now;
    }
    turn(10);
  }
  is_running = is_measuring = false;
  uint64_t deadline = now_ns() + DRAIN_TIMEOUT;
  while (busy > 0 && now_ns() < deadline) turn(10);
  errors += (uint64_t)busy;
  double measured = (double)(now - from) / 1e9;
  printf("{\"mode\":\"%s\",\"connections\":%d,\"open\":%d,", options.handshakes ? "handshakes" : "echo",
         options.connections, open_count);
  printf("\"messageBytes\":%d,\"seconds\":%.6f,\"requests\":%llu,\"rate\":%.1f,", options.bytes,
         measured, (unsigned long long)requests, (double)requests / measured);
  printf("\"resumed\":%llu,\"p50Us\":%.2f,\"p99Us\":%.2f,", (unsigned long long)resumed,
         microseconds(0.5), microseconds(0.99));
  printf("\"maxUs\":%.2f,\"errors\":%llu,", (double)latency.max / 1e3, (unsigned long long)errors);
  printf("\"totalSeconds\":%.6f,\"totalRequests\":%llu,\"clientCpuSeconds\":%.6f}\n",
         (double)(now_ns() - start) / 1e9, (unsigned long long)all_requests, cpu_seconds() - cpu);
  fflush(stdout);
}

static void open_all(void) {
  uint64_t deadline = now_ns() + OPEN_TIMEOUT;
  int begun = 0;
  while (begun < options.connections || busy > 0) {
    while (begun < options.connections && busy < 64) begin(&connections[begun++]);
    turn(10);
    if (errors > 0 || now_ns() > deadline) fail("not all connections could be opened");
  }
}

static void run_commands(void) {
  char line[128];
  printf("{\"mode\":\"ready\",\"connections\":%d}\n", open_count);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
    double seconds = 0;
    if (sscanf(line, "run %lf", &seconds) != 1 || !(seconds > 0)) fail("not a command: %s", line);
    run_slice(seconds);
  }
}

static const char USAGE[] =
    "usage: tls-load --address tcp://127.0.0.1:9000 [--connections N] [--bytes N] [--handshakes [--resume]]\n"
    "  [--version 2|3] [--ciphers LIST] [--seconds S] [--warm-up S] [--sources N]";

static void parse_options(int count, char **arguments) {
  static const struct option known[] = {
      {"address", required_argument, NULL, 'a'}, {"connections", required_argument, NULL, 'c'},
      {"bytes", required_argument, NULL, 'b'},   {"handshakes", no_argument, NULL, 'h'},
      {"resume", no_argument, NULL, 'r'},        {"version", required_argument, NULL, 'v'},
      {"ciphers", required_argument, NULL, 'e'}, {"seconds", required_argument, NULL, 't'},
      {"warm-up", required_argument, NULL, 'u'}, {"sources", required_argument, NULL, 'o'},
      {NULL, 0, NULL, 0}};
  options = (struct options){.connections = 1, .bytes = 512, .version = 3, .sources = 1};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'a': options.address = optarg; break;
      case 'c': options.connections = atoi(optarg); break;
      case 'b': options.bytes = atoi(optarg); break;
      case 'h': options.handshakes = true; break;
      case 'r': options.resume = true; break;
      case 'v': options.version = atoi(optarg); break;
      case 'e': options.ciphers = optarg; break;
      case 't': options.seconds = atof(optarg); break;
      case 'u': options.warm_up = atof(optarg); break;
      case 'o': options.sources = atoi(optarg); break;
      default: fail("%s", USAGE);
    }
  }
  if (options.handshakes) options.bytes = 1;
  bool is_valid = options.address != NULL && optind == count && options.connections > 0;
  is_valid &= options.bytes > 0 && options.bytes <= BYTES_MAX;
  is_valid &= options.version == 2 || options.version == 3;
  if (!is_valid) fail("%s", USAGE);
}

int main(int count, char **arguments) {
  parse_options(count, arguments);
  endpoint = parse_endpoint(options.address, options.sources);
  for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (char)(i * 131 + (i >> 8));
  context = SSL_CTX_new(TLS_client_method());
  int version = options.version == 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  if (options.ciphers != NULL && SSL_CTX_set_ciphersuites(context, options.ciphers) != 1) {
    fail("not cipher suites: %s", options.ciphers);
  }
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  connections = allocate((size_t)options.connections, sizeof *connections);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  if (!options.handshakes) open_all();
  if (options.seconds > 0) run_slice(options.seconds);
  else run_commands();
  return errors == 0 ? 0 : 1;
}
