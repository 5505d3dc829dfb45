// hostile-clients: connections that misbehave, for measuring what they do to a server and to its other clients. One
// thread, one epoll loop.
//
//   hostile-clients --address tcp://127.0.0.1:8080 --connections 10000 --first HEAD --drip FIELD --every 5000
//
// Each connection sends the bytes of the file --first as fast as it can, and then, if there is one, the file --drip every
// so many milliseconds. It reads what comes, unless --mute; --receive-buffer makes its socket small. When the server closes
// one, another is opened only with --again. --per-second limits how many are opened in a second.
//
// Commands on standard input, each answered with a line of JSON:
//   "start"   begins to open connections; answered when all are there, with --again at once
//   "report"  tells how many were opened, are open, were closed by the server, when (since the first byte was sent), and
//             how many were sent the bytes of the file --expect within the first 1024 that they received
//   "stop"    closes all with a reset, reports, and ends
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "endpoint.h"
#include "histogram.h"

#define EVENTS_MAX 512
#define SEEN_BYTES 1024
#define CONNECTING_MAX 256
#define SCAN_INTERVAL (NANOSECONDS / 50)
#define OPEN_TIMEOUT (30 * NANOSECONDS)

enum state { UNUSED, CONNECTING, OPEN };

struct connection {
  int fd;
  enum state state;
  bool is_expected;
  uint16_t seen;     // Bytes in `bytes`.
  size_t sent;       // Of `first`.
  size_t drip_sent;  // Of `drip`.
  uint64_t begin;
  uint64_t next_drip;
  char *bytes;
};

struct blob {
  char *bytes;
  size_t length;
};

static const char *address;
static int connection_count = 1;
static int sources = 1;
static int receive_buffer;
static double per_second = 1e9;
static double every_ms;
static bool is_mute;
static bool is_again;
static struct blob first;
static struct blob drip;
static struct blob expect;

static struct endpoint endpoint;
static struct connection *connections;
static int epoll_fd;
static int unused_count;
static int connecting_count;
static uint64_t started_at;
static uint64_t opened;   // Connects begun.
static uint64_t closed;   // By the server.
static uint64_t expected;
static uint64_t failed;
static struct histogram closed_after;

static struct blob read_file(const char *path) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) < 0) fail("cannot read %s: %s", path, strerror(errno));
  struct blob blob = {.bytes = allocate(1, (size_t)status.st_size + 1), .length = (size_t)status.st_size};
  for (size_t at = 0; at < blob.length;) {
    ssize_t n = read(fd, blob.bytes + at, blob.length - at);
    if (n <= 0) fail("cannot read %s", path);
    at += (size_t)n;
  }
  close(fd);
  return blob;
}

static void watch(int operation, struct connection *connection, uint32_t interest) {
  struct epoll_event event = {.events = interest, .data.ptr = connection};
  if (epoll_ctl(epoll_fd, operation, connection->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static uint32_t interest_of(const struct connection *connection) {
  uint32_t reading = is_mute ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP;
  bool is_sending = connection->sent < first.length || connection->drip_sent > 0;
  return is_sending ? reading | EPOLLOUT : reading;
}

static void forget(struct connection *connection) {
  if (connection->state == CONNECTING) connecting_count--;
  connection->state = UNUSED;
  unused_count++;
  close(connection->fd);
}

static void note_closed(struct connection *connection) {
  closed++;
  histogram_record(&closed_after, now_ns() - connection->begin);
  forget(connection);
}

// Sends what is due. False when the connection is gone.
static bool send_some(struct connection *connection) {
  for (;;) {
    bool is_first = connection->sent < first.length;
    const struct blob *blob = is_first ? &first : &drip;
    size_t *at = is_first ? &connection->sent : &connection->drip_sent;
    if (!is_first && connection->drip_sent == 0) return true;
    // The first byte of a drip was counted as sent when it became due, so that "under way" needs no flag.
    size_t from = is_first ? *at : *at - 1;
    ssize_t n = send(connection->fd, blob->bytes + from, blob->length - from, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
      watch(EPOLL_CTL_MOD, connection, interest_of(connection));
      return true;
    }
    if (n < 0) return false;
    *at += (size_t)n;
    if (!is_first && *at == blob->length + 1) *at = 0;
    if (connection->sent == first.length && connection->drip_sent == 0) {
      watch(EPOLL_CTL_MOD, connection, interest_of(connection));
      return true;
    }
  }
}

// Reads all there is. False when the connection is gone.
static bool receive(struct connection *connection) {
  static char sink[65536];
  for (;;) {
    size_t room = SEEN_BYTES - connection->seen;
    char *to = room > 0 ? connection->bytes + connection->seen : sink;
    ssize_t n = recv(connection->fd, to, room > 0 ? room : sizeof sink, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false;
    if (room == 0) continue;
    connection->seen += (uint16_t)n;
    if (!connection->is_expected && expect.length > 0 &&
        memmem(connection->bytes, connection->seen, expect.bytes, expect.length) != NULL) {
      connection->is_expected = true;
      expected++;
    }
  }
}

static void on_event(struct connection *connection, uint32_t events) {
  if (connection->state == CONNECTING) {
    int error = connect_outcome(connection->fd);
    if (error != 0) {
      failed++;
      forget(connection);
      return;
    }
    connecting_count--;
    connection->state = OPEN;
    connection->begin = now_ns();
    connection->next_drip = connection->begin + (uint64_t)(every_ms * 1e6);
    watch(EPOLL_CTL_MOD, connection, interest_of(connection));
    events = EPOLLOUT;
  }
  bool is_alive = true;
  // What was sent before the end is read first.
  if ((events & EPOLLIN) != 0 || (!is_mute && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)) {
    is_alive = receive(connection);
  }
  if (is_alive && (events & EPOLLOUT) != 0) is_alive = send_some(connection);
  if (!is_alive || (events & (EPOLLHUP | EPOLLERR)) != 0 || (is_mute && (events & EPOLLRDHUP) != 0)) {
    note_closed(connection);
  }
}

static void open_one(struct connection *connection) {
  int index = (int)(connection - connections);
  int fd = start_connect(&endpoint, index);
  if (fd < 0) fail("cannot connect to %s: %s", address, strerror(-fd));
  if (receive_buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  char *bytes = connection->bytes == NULL ? allocate(1, SEEN_BYTES) : connection->bytes;
  *connection = (struct connection){.fd = fd, .state = CONNECTING, .bytes = bytes};
  watch(EPOLL_CTL_ADD, connection, EPOLLOUT);
  opened++;
  unused_count--;
  connecting_count++;
}

static void open_due(uint64_t now) {
  static int next;
  double allowed = (double)(now - started_at) / 1e9 * per_second + 1;
  while (unused_count > 0 && connecting_count < CONNECTING_MAX && (double)opened < allowed) {
    if (!is_again && opened >= (uint64_t)connection_count) return;
    while (connections[next].state != UNUSED) next = (next + 1) % connection_count;
    open_one(&connections[next]);
  }
}

static void drip_due(uint64_t now) {
  for (int i = 0; i < connection_count; i++) {
    struct connection *connection = &connections[i];
    if (connection->state != OPEN || now < connection->next_drip || connection->sent < first.length) continue;
    connection->next_drip = now + (uint64_t)(every_ms * 1e6);
    if (connection->drip_sent > 0) continue;  // The last one is not through.
    connection->drip_sent = 1;
    if (!send_some(connection)) note_closed(connection);
  }
}

static void turn(void) {
  static struct epoll_event events[EVENTS_MAX];
  static uint64_t scanned_at;
  uint64_t now = now_ns();
  if (started_at > 0) open_due(now);
  if (drip.length > 0 && now - scanned_at > SCAN_INTERVAL) {
    scanned_at = now;
    drip_due(now);
  }
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, 5);
  for (int i = 0; i < n; i++) {
    struct connection *connection = events[i].data.ptr;
    if (connection->state != UNUSED) on_event(connection, events[i].events);
  }
}

static double closed_ms(double fraction) { return (double)histogram_percentile(&closed_after, fraction) / 1e6; }

static void report(const char *event) {
  printf("{\"event\":\"%s\",\"opened\":%llu,\"open\":%d,", event, (unsigned long long)opened,
         connection_count - unused_count - connecting_count);
  printf("\"closed\":%llu,\"expected\":%llu,\"failed\":%llu,", (unsigned long long)closed,
         (unsigned long long)expected, (unsigned long long)failed);
  printf("\"firstClosedMs\":%.0f,\"medianClosedMs\":%.0f,\"lastClosedMs\":%.0f}\n", closed_ms(0), closed_ms(0.5),
         (double)closed_after.max / 1e6);
  fflush(stdout);
}

static void start(void) {
  started_at = now_ns();
  while (!is_again && (opened < (uint64_t)connection_count || connecting_count > 0)) {
    turn();
    if (now_ns() - started_at > OPEN_TIMEOUT) fail("not all connections could be opened");
  }
  report("started");
}

static void stop(void) {
  struct linger now = {.l_onoff = 1};
  for (int i = 0; i < connection_count; i++) {
    if (connections[i].state == UNUSED) continue;
    setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    forget(&connections[i]);
  }
  report("stopped");
}

static const char USAGE[] =
    "usage: hostile-clients --address tcp://127.0.0.1:8080 --first FILE [--drip FILE --every MS] [--expect FILE]\n"
    "  [--connections N] [--per-second N] [--again] [--mute] [--receive-buffer BYTES] [--sources N]";

static void parse_options(int count, char **arguments) {
  static const struct option known[] = {
      {"address", required_argument, NULL, 'a'},    {"connections", required_argument, NULL, 'c'},
      {"first", required_argument, NULL, 'f'},      {"drip", required_argument, NULL, 'd'},
      {"every", required_argument, NULL, 'e'},      {"expect", required_argument, NULL, 'x'},
      {"per-second", required_argument, NULL, 'p'}, {"again", no_argument, NULL, 'g'},
      {"mute", no_argument, NULL, 'm'},             {"receive-buffer", required_argument, NULL, 'r'},
      {"sources", required_argument, NULL, 'o'},    {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'a': address = optarg; break;
      case 'c': connection_count = atoi(optarg); break;
      case 'f': first = read_file(optarg); break;
      case 'd': drip = read_file(optarg); break;
      case 'e': every_ms = atof(optarg); break;
      case 'x': expect = read_file(optarg); break;
      case 'p': per_second = atof(optarg); break;
      case 'g': is_again = true; break;
      case 'm': is_mute = true; break;
      case 'r': receive_buffer = atoi(optarg); break;
      case 'o': sources = atoi(optarg); break;
      default: fail("%s", USAGE);
    }
  }
  bool is_valid = address != NULL && optind == count && connection_count > 0 && sources > 0 && sources < 255;
  is_valid &= first.length > 0 && per_second > 0 && (drip.length == 0) == (every_ms <= 0);
  if (!is_valid) fail("%s", USAGE);
}

// Input is looked at between turns, since the connections have to go on meanwhile. The caller sends whole lines.
static bool next_command(char *line, int bytes) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  if (poll(&input, 1, 0) <= 0) return false;
  ssize_t n = read(STDIN_FILENO, line, (size_t)bytes - 1);
  if (n <= 0) exit(0);
  line[n] = '\0';
  return true;
}

int main(int count, char **arguments) {
  parse_options(count, arguments);
  endpoint = parse_endpoint(address, sources);
  connections = allocate((size_t)connection_count, sizeof *connections);
  unused_count = connection_count;
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  for (char line[64];;) {
    turn();
    if (!next_command(line, sizeof line)) continue;
    if (strcmp(line, "start\n") == 0) start();
    else if (strcmp(line, "report\n") == 0) report("report");
    else if (strcmp(line, "stop\n") == 0) break;
    else fail("not a command: %s", line);
  }
  stop();
  return 0;
}
