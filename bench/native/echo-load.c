// echo-load: a closed-loop load generator for echo servers. One thread, one epoll loop.
//
//   echo-load --address tcp://127.0.0.1:9000 --connections 100 --bytes 512 --seconds 1
//
// Closed loop: each connection keeps a fixed number of messages on their way (--in-flight) and sends the next when an
// echo is complete, so the offered load follows the server; latency is measured from the moment a message was due.
// With --stream each connection instead keeps a window of bytes on its way (--window), written in blocks of 64 KiB.
//
// All connections stay open and silent between slices, so that several servers can be up at once and be measured in
// turn: with --seconds there is one slice, without it the slices are commanded on standard input:
//   "run SECONDS"  one slice (after --warm-up seconds that do not count); prints one line of JSON
//   "quit"         ends, as does the end of input
// A slice starts and ends with nothing on its way: what is still out at its end is awaited, but not counted.
//
// Every byte that comes back is known in advance: byte p of connection c is pattern[(c * STRIDE + p) % PERIOD], so
// lost, repeated, reordered and mixed-up bytes show. Blocks above 4 KiB are compared at both ends only.
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/epoll.h>

#include "endpoint.h"
#include "histogram.h"
#include "usage.h"

#define RECEIVE_BYTES (256 * 1024)
#define SEND_BYTES_MAX (64 * 1024)
#define PATTERN_PERIOD 4093  // A prime, so that no message size is in step with it.
#define PATTERN_STRIDE 131
#define CHECKED_WHOLE_BYTES 4096
#define CHECKED_END_BYTES 64
#define EVENTS_MAX 512
#define CONNECTING_MAX 128  // Well below any listen backlog: no connect waits for a second SYN.
#define CONNECT_TIMEOUT (30 * NANOSECONDS)
#define DRAIN_TIMEOUT (10 * NANOSECONDS)

struct options {
  const char *address;
  int connections;
  int message_bytes;
  int in_flight;
  int sources;
  bool stream;
  uint64_t window;
  double seconds;  // 0: slices are commanded on standard input.
  double warm_up;
};

// Positions count bytes since the connection opened: received <= sent <= allowed. All three are equal between slices.
struct connection {
  int fd;  // -1 when closed.
  bool awaits_writable;
  uint64_t received;
  uint64_t sent;
  uint64_t allowed;   // How far the closed loop lets this connection send.
  uint64_t messages;  // Complete echoes.
};

struct totals {
  uint64_t requests;
  uint64_t bytes;
};

static struct options options;
static struct endpoint endpoint;
static struct connection *connections;
// When each message on its way was due: in_flight entries for each connection, as a ring.
static uint64_t *started;
static int epoll_fd;
static char receive_buffer[RECEIVE_BYTES];
static char pattern[PATTERN_PERIOD + RECEIVE_BYTES];
static struct epoll_event events[EVENTS_MAX];

static int open_count;
static bool is_running;  // Echoes are answered with new messages.
static bool is_measuring;  // Echoes are counted: not in the warm-up nor while the rest is awaited.
static uint64_t outstanding;  // Bytes allowed and not yet received, over all connections.
static struct totals measured;
static struct totals all;
static uint64_t errors;
static struct histogram latency;

static const char *pattern_at(const struct connection *connection, uint64_t position) {
  uint64_t index = (uint64_t)(connection - connections);
  return pattern + (index * PATTERN_STRIDE + position) % PATTERN_PERIOD;
}

static void fill_pattern(void) {
  uint32_t state = 2463534242u;  // xorshift32 (Marsaglia, 2003); the same bytes in every run.
  for (size_t i = 0; i < sizeof pattern; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    pattern[i] = i < PATTERN_PERIOD ? (char)state : pattern[i - PATTERN_PERIOD];
  }
}

static void give_up(struct connection *connection, const char *why) {
  if (errors++ == 0) {
    fprintf(stderr, "echo-load: connection %td: %s\n", connection - connections, why);
  }
  outstanding -= connection->allowed - connection->received;
  close(connection->fd);
  connection->fd = -1;
  open_count--;
}

static void watch(int operation, struct connection *connection, uint32_t interest) {
  struct epoll_event event = {.events = interest, .data.ptr = connection};
  if (epoll_ctl(epoll_fd, operation, connection->fd, &event) < 0) {
    fail("epoll_ctl: %s", strerror(errno));
  }
}

static void await_writable(struct connection *connection, bool wanted) {
  if (connection->awaits_writable == wanted) return;
  connection->awaits_writable = wanted;
  watch(EPOLL_CTL_MOD, connection, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void send_allowed(struct connection *connection) {
  while (connection->sent < connection->allowed) {
    uint64_t length = connection->allowed - connection->sent;
    if (length > SEND_BYTES_MAX) length = SEND_BYTES_MAX;
    const char *bytes = pattern_at(connection, connection->sent);
    ssize_t n = send(connection->fd, bytes, length, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) break;
      give_up(connection, strerror(errno));
      return;
    }
    connection->sent += (uint64_t)n;
  }
  await_writable(connection, connection->sent < connection->allowed);
}

static uint64_t *started_at(const struct connection *connection, uint64_t message) {
  uint64_t in_flight = (uint64_t)options.in_flight;
  return started + (uint64_t)(connection - connections) * in_flight + message % in_flight;
}

// Moves the limit of what the connection may send to where the closed loop has it now, and sends.
static void refill(struct connection *connection, uint64_t now) {
  uint64_t bytes = (uint64_t)options.message_bytes;
  uint64_t allowed;
  if (options.stream) {
    allowed = connection->received + options.window;
  } else {
    uint64_t last = connection->messages + (uint64_t)options.in_flight;
    allowed = last * bytes;
    for (uint64_t m = connection->allowed / bytes; m < last; m++) *started_at(connection, m) = now;
  }
  outstanding += allowed - connection->allowed;
  connection->allowed = allowed;
  send_allowed(connection);
}

static bool is_expected(const struct connection *connection, size_t length) {
  if (connection->received + length > connection->sent) return false;
  const char *expected = pattern_at(connection, connection->received);
  if (length <= CHECKED_WHOLE_BYTES) return memcmp(receive_buffer, expected, length) == 0;
  size_t end = length - CHECKED_END_BYTES;
  return memcmp(receive_buffer, expected, CHECKED_END_BYTES) == 0 &&
         memcmp(receive_buffer + end, expected + end, CHECKED_END_BYTES) == 0;
}

static void count_echoes(struct connection *connection, uint64_t now) {
  uint64_t complete = connection->received / (uint64_t)options.message_bytes;
  uint64_t requests = complete - connection->messages;
  if (is_measuring && !options.stream) {
    for (uint64_t m = connection->messages; m < complete; m++) {
      histogram_record(&latency, now - *started_at(connection, m));
    }
  }
  connection->messages = complete;
  all.requests += requests;
  if (is_measuring) measured.requests += requests;
}

static void receive(struct connection *connection) {
  ssize_t n = recv(connection->fd, receive_buffer, RECEIVE_BYTES, 0);
  if (n <= 0) {
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    give_up(connection, n == 0 ? "closed by the server" : strerror(errno));
    return;
  }
  uint64_t now = now_ns();
  if (!is_expected(connection, (size_t)n)) {
    give_up(connection, "received bytes that are not the ones that were sent");
    return;
  }
  connection->received += (uint64_t)n;
  outstanding -= (uint64_t)n;
  all.bytes += (uint64_t)n;
  if (is_measuring) measured.bytes += (uint64_t)n;
  count_echoes(connection, now);
  if (is_running) refill(connection, now);
}

static void turn(int timeout_ms) {
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);
  if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < n; i++) {
    struct connection *connection = events[i].data.ptr;
    uint32_t ready = events[i].events;
    if (ready & EPOLLOUT) send_allowed(connection);
    if (connection->fd >= 0 && (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))) receive(connection);
  }
}

static bool open_one(int index) {
  int fd = start_connect(&endpoint, index);
  if (fd == -EAGAIN) return false;
  if (fd == -EMFILE) fail("connection %d: too many open files; raise ulimit -n", index);
  if (fd < 0) fail("connection %d: %s: %s", index, options.address, strerror(-fd));
  connections[index].fd = fd;
  watch(EPOLL_CTL_ADD, &connections[index], EPOLLOUT);
  return true;
}

// Opens all connections, at most CONNECTING_MAX of them at a time. Anything that goes wrong here ends the program.
static void connect_all(void) {
  uint64_t deadline = now_ns() + CONNECT_TIMEOUT;
  int begun = 0;
  while (open_count < options.connections) {
    int end = open_count + CONNECTING_MAX;
    if (end > options.connections) end = options.connections;
    while (begun < end && open_one(begun)) begun++;
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, begun == open_count ? 1 : 100);
    for (int i = 0; i < n; i++) {
      struct connection *connection = events[i].data.ptr;
      int error = connect_outcome(connection->fd);
      if (error != 0) fail("cannot connect to %s: %s", options.address, strerror(error));
      watch(EPOLL_CTL_MOD, connection, EPOLLIN);
      open_count++;
    }
    if (now_ns() > deadline) {
      fail("only %d of %d connections after 30 s", open_count, options.connections);
    }
  }
}

static double microseconds(double fraction) {
  return (double)histogram_percentile(&latency, fraction) / 1e3;
}

// `seconds` is what was measured; `total…` cover warm-up, measurement and the rest, for setting against CPU time.
static void print_slice(double seconds, double total_seconds, double cpu) {
  const char *mode = options.stream ? "stream" : "echo";
  double requests = (double)measured.requests;
  double megabytes = (double)measured.bytes / 1e6;
  printf("{\"mode\":\"%s\",\"connections\":%d,\"open\":%d,", mode, options.connections, open_count);
  printf("\"messageBytes\":%d,\"seconds\":%.6f,", options.message_bytes, seconds);
  printf("\"requests\":%.0f,\"rate\":%.1f,", requests, requests / seconds);
  printf("\"bytes\":%.0f,\"megabytesPerSecond\":%.3f,", megabytes * 1e6, megabytes / seconds);
  printf("\"p50Us\":%.2f,\"p90Us\":%.2f,", microseconds(0.5), microseconds(0.9));
  printf("\"p99Us\":%.2f,\"p999Us\":%.2f,", microseconds(0.99), microseconds(0.999));
  printf("\"maxUs\":%.2f,\"errors\":%llu,", (double)latency.max / 1e3, (unsigned long long)errors);
  printf("\"totalSeconds\":%.6f,\"totalRequests\":%.0f,", total_seconds, (double)all.requests);
  printf("\"totalBytes\":%.0f,\"clientCpuSeconds\":%.6f}\n", (double)all.bytes, cpu);
  fflush(stdout);
}

// Waits for what is still on its way. A connection whose echoes do not come is an error.
static void drain(void) {
  uint64_t deadline = now_ns() + DRAIN_TIMEOUT;
  while (outstanding > 0 && now_ns() < deadline) turn(10);
  for (int i = 0; i < options.connections && outstanding > 0; i++) {
    struct connection *connection = &connections[i];
    if (connection->fd >= 0 && connection->received < connection->allowed) {
      give_up(connection, "no echo within 10 s");
    }
  }
}

static void run_slice(double seconds) {
  memset(&measured, 0, sizeof measured);
  memset(&all, 0, sizeof all);
  errors = 0;
  histogram_clear(&latency);
  double cpu = cpu_seconds();
  uint64_t begin = now_ns();
  uint64_t measured_from = begin + (uint64_t)(options.warm_up * (double)NANOSECONDS);
  uint64_t measured_until = measured_from + (uint64_t)(seconds * (double)NANOSECONDS);

  is_running = true;
  for (int i = 0; i < options.connections; i++) {
    if (connections[i].fd >= 0) refill(&connections[i], now_ns());
  }
  uint64_t now = now_ns();
  while (now < measured_until && open_count > 0) {
    if (!is_measuring && now >= measured_from) {
      is_measuring = true;
      measured_from = now;
    }
    turn(10);
    now = now_ns();
  }
  is_running = false;
  is_measuring = false;
  drain();
  if (now < measured_from) fail("all connections were lost during the warm-up");
  double total_seconds = (double)(now_ns() - begin) / 1e9;
  print_slice((double)(now - measured_from) / 1e9, total_seconds, cpu_seconds() - cpu);
}

static void run_commands(void) {
  char line[128];
  printf("{\"mode\":\"ready\",\"connections\":%d}\n", open_count);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
    double seconds = 0;
    if (sscanf(line, "run %lf", &seconds) != 1 || !(seconds > 0)) fail("not a command: %s", line);
    if (open_count == 0) fail("no connection is open any more");
    run_slice(seconds);
  }
}

static const char USAGE[] =
    "usage: echo-load --address ADDRESS [options]\n"
    "  --address ADDRESS   tcp://127.0.0.1:9000 or unix:///path\n"
    "  --connections N     connections, all opened before the first slice (1)\n"
    "  --bytes N           bytes of a message, at most 65536 (512; 65536 with --stream)\n"
    "  --in-flight N       messages on their way for each connection (1)\n"
    "  --stream            write continuously, up to --window bytes on their way\n"
    "  --window BYTES      (262144)\n"
    "  --seconds S         run one slice and end; without it commands come on standard input\n"
    "  --warm-up S         seconds at the start of each slice that do not count (0)\n"
    "  --sources N         source addresses, 127.0.0.1 to 127.0.0.N (1: the kernel's choice)";

static void parse_options(int count, char **arguments) {
  static const struct option known[] = {
      {"address", required_argument, NULL, 'a'}, {"connections", required_argument, NULL, 'c'},
      {"bytes", required_argument, NULL, 'b'},   {"in-flight", required_argument, NULL, 'f'},
      {"stream", no_argument, NULL, 's'},        {"window", required_argument, NULL, 'w'},
      {"seconds", required_argument, NULL, 't'}, {"warm-up", required_argument, NULL, 'u'},
      {"sources", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
  options = (struct options){.connections = 1, .in_flight = 1, .sources = 1, .window = 262144};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'a': options.address = optarg; break;
      case 'c': options.connections = atoi(optarg); break;
      case 'b': options.message_bytes = atoi(optarg); break;
      case 'f': options.in_flight = atoi(optarg); break;
      case 's': options.stream = true; break;
      case 'w': options.window = strtoull(optarg, NULL, 10); break;
      case 't': options.seconds = atof(optarg); break;
      case 'u': options.warm_up = atof(optarg); break;
      case 'o': options.sources = atoi(optarg); break;
      default: fail("%s", USAGE);
    }
  }
  if (options.message_bytes == 0) options.message_bytes = options.stream ? SEND_BYTES_MAX : 512;
  bool is_valid = options.address != NULL && optind == count && options.window > 0;
  is_valid &= options.message_bytes > 0 && options.message_bytes <= SEND_BYTES_MAX;
  is_valid &= options.connections > 0 && options.in_flight > 0 && options.in_flight <= 1024;
  is_valid &= options.sources > 0 && options.sources < 255;
  is_valid &= options.seconds >= 0 && options.warm_up >= 0;
  if (!is_valid) fail("%s", USAGE);
}

int main(int count, char **arguments) {
  parse_options(count, arguments);
  endpoint = parse_endpoint(options.address, options.sources);
  fill_pattern();
  connections = allocate((size_t)options.connections, sizeof *connections);
  started = allocate((size_t)options.connections * (size_t)options.in_flight, sizeof *started);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  connect_all();
  if (options.seconds > 0) run_slice(options.seconds);
  else run_commands();
  return errors == 0 ? 0 : 1;
}
