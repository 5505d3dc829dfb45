// http-load: a load generator for HTTP/1.1 servers with keep-alive. One thread, one epoll loop.
//
//   http-load --address tcp://127.0.0.1:8080 --connections 64 --in-flight 1
//   http-load --address tcp://127.0.0.1:8080 --connections 32 --rate 1000
//
// Closed loop: a connection sends --in-flight requests in one piece (pipelining, as clients do it), and the next ones when
// all are answered. With --rate the loop is open: so many requests a second become due, evenly. Each goes to the next
// connection that waits for no answer, and latency counts from when it was due, whether or not there was one.
//
// Each response must have status 200, a Content-Length and the body that is expected (--body, "Hello, World!"). Commands
// and answers are those of load.h.
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/epoll.h>

#include "load.h"

#define EVENTS_MAX 512
#define IN_FLIGHT_MAX 256
#define HEAD_BYTES_MAX 2048
#define RECEIVE_BYTES 32768
#define CONNECTING_MAX 128
#define OPEN_TIMEOUT (60 * NANOSECONDS)

struct connection {
  int fd;
  bool is_open;
  int waiting;       // Requests on their way.
  uint64_t started;  // When they were due.
  int kept;          // Bytes of a response that is not complete.
  char *bytes;       // They, with room for RECEIVE_BYTES.
};

static const char *address;
static const char *path = "/plaintext";
static const char *body = "Hello, World!";
static size_t body_bytes;
static int connection_count = 1;
static int in_flight = 1;
static int sources = 1;
static double rate;
static double warm_up = 0.1;
static bool is_browser;

static struct endpoint endpoint;
static struct connection *connections;
static int epoll_fd;
static char *requests;
static size_t request_bytes;  // Of one.
static char last_head[HEAD_BYTES_MAX];
static size_t last_head_bytes;
static struct slice slice;
static bool is_running;
static int busy_count;
static int open_count;

// What a browser sends beside Host: about 600 bytes.
static const char BROWSER[] =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\nReferer: http://localhost/start\r\nUpgrade-Insecure-Requests: 1\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; region=eu-central\r\n"
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nCache-Control: max-age=0\r\n";

static void make_requests(void) {
  char request[2048];
  int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, is_browser ? BROWSER : "");
  if (n <= 0 || (size_t)n >= sizeof request) fail("the path is too long");
  request_bytes = (size_t)n;
  requests = allocate((size_t)in_flight, request_bytes);
  for (int i = 0; i < in_flight; i++) memcpy(requests + (size_t)i * request_bytes, request, request_bytes);
}

static void lose(struct connection *connection, const char *why) {
  if (slice.errors++ == 0) fprintf(stderr, "http-load: connection %td: %s\n", connection - connections, why);
  if (connection->waiting > 0) busy_count--;
  connection->waiting = 0;
  connection->is_open = false;
  open_count--;
  close(connection->fd);
}

// Socket buffers hold far more than one batch, so that a short send means that the server stopped reading.
static void send_requests(struct connection *connection, uint64_t due) {
  size_t bytes = request_bytes * (size_t)in_flight;
  connection->started = due;
  connection->waiting = in_flight;
  busy_count++;
  ssize_t n = send(connection->fd, requests, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n != (ssize_t)bytes) lose(connection, n < 0 ? strerror(errno) : "short send");
}

// The length of the head if it is complete and right, 0 if it is not complete, -1 if it is wrong.
static ssize_t read_head(const char *bytes, size_t length) {
  // Heads of one second are the same.
  if (last_head_bytes > 0 && length >= last_head_bytes && memcmp(bytes, last_head, last_head_bytes) == 0) {
    return (ssize_t)last_head_bytes;
  }
  const char *end = memmem(bytes, length, "\r\n\r\n", 4);
  if (end == NULL) return length > HEAD_BYTES_MAX - 1 ? -1 : 0;
  size_t head_bytes = (size_t)(end - bytes) + 4;
  if (head_bytes >= HEAD_BYTES_MAX || head_bytes < 16 || memcmp(bytes, "HTTP/1.1 200", 12) != 0) return -1;
  char head[HEAD_BYTES_MAX];
  memcpy(head, bytes, head_bytes);
  head[head_bytes] = '\0';
  const char *field = strcasestr(head, "\r\nContent-Length:");
  if (field == NULL || strtoul(field + 17, NULL, 10) != body_bytes) return -1;
  memcpy(last_head, head, head_bytes);
  last_head_bytes = head_bytes;
  return (ssize_t)head_bytes;
}

// All requests of the connection are answered.
static void complete(struct connection *connection, uint64_t now) {
  busy_count--;
  if (rate == 0 && is_running) send_requests(connection, now);
}

static void receive(struct connection *connection) {
  char *bytes = connection->bytes;
  ssize_t n = recv(connection->fd, bytes + connection->kept, RECEIVE_BYTES, MSG_DONTWAIT);
  if (n <= 0) {
    if (n < 0 && errno == EAGAIN) return;
    lose(connection, n == 0 ? "closed by the server" : strerror(errno));
    return;
  }
  uint64_t now = now_ns();
  size_t length = (size_t)connection->kept + (size_t)n;
  size_t at = 0;
  while (at < length) {
    ssize_t head_bytes = read_head(bytes + at, length - at);
    if (head_bytes == 0 || (head_bytes > 0 && length - at < (size_t)head_bytes + body_bytes)) break;
    bool is_right = head_bytes > 0 && connection->waiting > 0 && memcmp(bytes + at + head_bytes, body, body_bytes) == 0;
    if (!is_right) {
      lose(connection, "a response that is not the one that was expected");
      return;
    }
    at += (size_t)head_bytes + body_bytes;
    slice_record(&slice, connection->started, now);
    connection->waiting--;
  }
  connection->kept = (int)(length - at);
  if (connection->kept > 0 && at > 0) memmove(bytes, bytes + at, length - at);
  if (connection->kept > HEAD_BYTES_MAX + (int)body_bytes) lose(connection, "an endless response");
  else if (connection->waiting == 0 && at > 0) complete(connection, now);
}

static void turn(uint64_t until) {
  static struct epoll_event events[EVENTS_MAX];
  uint64_t now = now_ns();
  uint64_t rest = until > now ? until - now : 0;
  struct timespec timeout = {.tv_sec = (time_t)(rest / NANOSECONDS), .tv_nsec = (long)(rest % NANOSECONDS)};
  int n = epoll_pwait2(epoll_fd, events, EVENTS_MAX, &timeout, NULL);
  for (int i = 0; i < n; i++) {
    struct connection *connection = events[i].data.ptr;
    if (connection->is_open) receive(connection);
  }
}

// With --rate: sends what is due, and returns when to look again.
static uint64_t send_due(uint64_t now, uint64_t *due, uint64_t gap) {
  static int next;
  for (int busy = 0; *due <= now && busy < connection_count;) {
    struct connection *connection = &connections[next];
    next = (next + 1) % connection_count;
    if (!connection->is_open || connection->waiting > 0) {
      busy++;
      continue;
    }
    send_requests(connection, *due);
    *due += gap;
    busy = 0;
  }
  // What is due and found nobody is sent when somebody is answered.
  return *due > now ? *due : now + NANOSECONDS / 1000;
}

static void run_slice(double seconds) {
  slice_begin(&slice, warm_up, seconds);
  is_running = true;
  uint64_t gap = rate > 0 ? (uint64_t)((double)NANOSECONDS / rate) : 0;
  uint64_t due = slice.begin;
  for (int i = 0; i < connection_count && rate == 0; i++) {
    if (connections[i].is_open) send_requests(&connections[i], slice.begin);
  }
  for (uint64_t now = slice.begin; now < slice.until && open_count > 0; now = now_ns()) {
    uint64_t next = rate > 0 ? send_due(now, &due, gap) : now + NANOSECONDS / 100;
    turn(next < slice.until ? next : slice.until);
  }
  is_running = false;
  uint64_t deadline = now_ns() + DRAIN_TIMEOUT;
  while (busy_count > 0 && now_ns() < deadline) turn(now_ns() + NANOSECONDS / 100);
  slice.errors += (uint64_t)busy_count;
  slice_print(&slice, connection_count, open_count);
}

static void open_all(void) {
  int begun = 0;
  uint64_t deadline = now_ns() + OPEN_TIMEOUT;
  while (open_count < connection_count) {
    while (begun < connection_count && begun - open_count < CONNECTING_MAX) {
      struct connection *connection = &connections[begun];
      connection->fd = start_connect(&endpoint, begun);
      if (connection->fd < 0) fail("cannot connect: %s", strerror(-connection->fd));
      connection->bytes = allocate(1, RECEIVE_BYTES + HEAD_BYTES_MAX * 2 + body_bytes);
      struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
      if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
      begun++;
    }
    struct epoll_event events[CONNECTING_MAX];
    int n = epoll_wait(epoll_fd, events, CONNECTING_MAX, 100);
    for (int i = 0; i < n; i++) {
      struct connection *connection = events[i].data.ptr;
      if (connection->is_open) continue;
      int error = connect_outcome(connection->fd);
      if (error != 0) fail("cannot connect to %s: %s", address, strerror(error));
      struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
      if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
      connection->is_open = true;
      open_count++;
    }
    if (now_ns() > deadline) fail("not all connections could be opened");
  }
}

static const char USAGE[] =
    "usage: http-load --address tcp://127.0.0.1:8080 [--connections N] [--in-flight 1…256 | --rate PER_SECOND]\n"
    "  [--path /plaintext] [--body TEXT] [--browser] [--warm-up S] [--sources N]";

static void parse_options(int count, char **arguments) {
  static const struct option known[] = {
      {"address", required_argument, NULL, 'a'}, {"connections", required_argument, NULL, 'c'},
      {"in-flight", required_argument, NULL, 'f'}, {"rate", required_argument, NULL, 'r'},
      {"path", required_argument, NULL, 'p'},    {"body", required_argument, NULL, 'b'},
      {"browser", no_argument, NULL, 'w'},       {"warm-up", required_argument, NULL, 'u'},
      {"sources", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'a': address = optarg; break;
      case 'c': connection_count = atoi(optarg); break;
      case 'f': in_flight = atoi(optarg); break;
      case 'r': rate = atof(optarg); break;
      case 'p': path = optarg; break;
      case 'b': body = optarg; break;
      case 'w': is_browser = true; break;
      case 'u': warm_up = atof(optarg); break;
      case 'o': sources = atoi(optarg); break;
      default: fail("%s", USAGE);
    }
  }
  body_bytes = strlen(body);
  bool is_valid = address != NULL && optind == count && connection_count > 0 && sources > 0 && sources < 255;
  is_valid &= in_flight > 0 && in_flight <= IN_FLIGHT_MAX && rate >= 0 && (rate == 0 || in_flight == 1);
  is_valid &= warm_up >= 0 && body_bytes < RECEIVE_BYTES;
  if (!is_valid) fail("%s", USAGE);
}

int main(int count, char **arguments) {
  parse_options(count, arguments);
  endpoint = parse_endpoint(address, sources);
  make_requests();
  connections = allocate((size_t)connection_count, sizeof *connections);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  open_all();
  run_commands(open_count, run_slice);
  return 0;
}
