// websocket-load: a closed-loop load generator for WebSocket servers. One thread, one epoll loop.
//
//   websocket-load --address tcp://127.0.0.1:9000 --connections 100 --bytes 64 [--broadcast]
//
// Echo: each connection keeps one message on its way. Broadcast: the first connection sends a message, and the next when
// every connection has got it; each receipt counts, and its latency is from when the message was sent. All connections
// are opened first, with their opening handshakes. Commands and answers are those of load.h.
//
// Every byte that comes back is compared with the frame that is due.
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/epoll.h>

#include "load.h"

#define BYTES_MAX 65535
#define HEADER_MAX 8
#define RECEIVE_BYTES (256 * 1024)
#define EVENTS_MAX 512

struct connection {
  int fd;
  uint32_t at;  // Bytes of the frame that is being received.
  uint64_t started;
};

static const char *address;
static int connection_count = 1;
static int message_bytes = 64;
static int sources = 1;
static double warm_up = 0.1;
static bool is_broadcast;
static struct connection *connections;
static int epoll_fd;
static char request_frame[BYTES_MAX + HEADER_MAX];
static size_t request_bytes;
static char reply_frame[BYTES_MAX + HEADER_MAX];
static uint32_t reply_bytes;
static char receive_buffer[RECEIVE_BYTES];
static bool is_running;
static struct slice slice;
static uint64_t missing;       // Replies on their way.
static uint64_t published_at;  // The broadcast that is under way.

// A binary frame: the client's is masked (RFC 6455 section 5.2).
static size_t fill_frame(char *frame, bool is_masked) {
  static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
  size_t at = 0;
  frame[at++] = (char)0x82;
  if (message_bytes < 126) {
    frame[at++] = (char)((is_masked ? 0x80 : 0) | message_bytes);
  } else {
    frame[at++] = (char)((is_masked ? 0x80 : 0) | 126);
    frame[at++] = (char)(message_bytes >> 8);
    frame[at++] = (char)message_bytes;
  }
  if (is_masked) {
    memcpy(frame + at, key, sizeof key);
    at += sizeof key;
  }
  for (int i = 0; i < message_bytes; i++) {
    char byte = (char)('a' + i * 7 % 26);
    frame[at++] = is_masked ? (char)(byte ^ (char)key[i % 4]) : byte;
  }
  return at;
}

static void send_message(struct connection *connection, uint64_t now) {
  connection->started = now;
  ssize_t n = send(connection->fd, request_frame, request_bytes, MSG_NOSIGNAL);
  if (n != (ssize_t)request_bytes) fail("a message was not sent at once: %s", strerror(errno));
}

static void publish(uint64_t now) {
  missing = (uint64_t)connection_count;
  published_at = now;
  send_message(&connections[0], now);
}

// Waits for each step: what counts is what comes afterwards.
static void open_one(struct connection *connection, const struct endpoint *endpoint, int index) {
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) fail("socket: %s", strerror(errno));
  int one = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (sources > 1) bind_source(connection->fd, index % sources);
  if (connect(connection->fd, (const struct sockaddr *)&endpoint->address, endpoint->address_bytes) < 0) {
    fail("connect: %s", strerror(errno));
  }
  char request[256];
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        is_broadcast ? "/hub" : "/echo");
  if (send(connection->fd, request, (size_t)length, MSG_NOSIGNAL) != length) fail("no handshake");
  char head[1024];
  size_t got = 0;
  // Servers say nothing after it of their own accord, so that nothing else can be in these bytes.
  while (got < 4 || memcmp(head + got - 4, "\r\n\r\n", 4) != 0) {
    ssize_t n = recv(connection->fd, head + got, sizeof head - got, 0);
    if (n <= 0) fail("no answer to the handshake");
    got += (size_t)n;
  }
  if (memcmp(head, "HTTP/1.1 101", 12) != 0) fail("refused: %.40s", head);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void complete_one(struct connection *connection, uint64_t now) {
  missing--;
  if (is_broadcast) {
    slice_record(&slice, published_at, now);
    if (missing == 0 && is_running) publish(now);
    return;
  }
  slice_record(&slice, connection->started, now);
  if (!is_running) return;
  missing++;
  send_message(connection, now);
}

static void receive(struct connection *connection) {
  ssize_t n = recv(connection->fd, receive_buffer, RECEIVE_BYTES, MSG_DONTWAIT);
  if (n <= 0) {
    if (n < 0 && errno == EAGAIN) return;
    fail("connection %td was closed", connection - connections);
  }
  uint64_t now = now_ns();
  for (ssize_t at = 0; at < n;) {
    uint32_t part = reply_bytes - connection->at;
    if ((ssize_t)part > n - at) part = (uint32_t)(n - at);
    if (memcmp(receive_buffer + at, reply_frame + connection->at, part) != 0) fail("wrong bytes came back");
    at += part;
    connection->at += part;
    if (connection->at == reply_bytes) {
      connection->at = 0;
      complete_one(connection, now);
    }
  }
}

static void turn(void) {
  static struct epoll_event events[EVENTS_MAX];
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, 10);
  for (int i = 0; i < n; i++) receive(events[i].data.ptr);
}

static void run_slice(double seconds) {
  slice_begin(&slice, warm_up, seconds);
  is_running = true;
  if (is_broadcast) {
    publish(slice.begin);
  } else {
    missing = (uint64_t)connection_count;
    for (int i = 0; i < connection_count; i++) send_message(&connections[i], slice.begin);
  }
  while (now_ns() < slice.until) turn();
  is_running = false;
  uint64_t deadline = now_ns() + DRAIN_TIMEOUT;
  while (missing > 0 && now_ns() < deadline) turn();
  slice.errors += missing;
  slice_print(&slice, connection_count, connection_count);
}

static const char USAGE[] =
    "usage: websocket-load --address tcp://127.0.0.1:9000 [--connections N] [--bytes N] [--broadcast] [--warm-up S]\n"
    "  [--sources N]";

static void parse_options(int count, char **arguments) {
  static const struct option known[] = {
      {"address", required_argument, NULL, 'a'}, {"connections", required_argument, NULL, 'c'},
      {"bytes", required_argument, NULL, 'b'},   {"broadcast", no_argument, NULL, 'r'},
      {"warm-up", required_argument, NULL, 'u'}, {"sources", required_argument, NULL, 'o'},
      {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'a': address = optarg; break;
      case 'c': connection_count = atoi(optarg); break;
      case 'b': message_bytes = atoi(optarg); break;
      case 'r': is_broadcast = true; break;
      case 'u': warm_up = atof(optarg); break;
      case 'o': sources = atoi(optarg); break;
      default: fail("%s", USAGE);
    }
  }
  bool is_valid = address != NULL && optind == count && connection_count > 0 && sources > 0 && sources < 255;
  is_valid &= message_bytes > 0 && message_bytes <= BYTES_MAX && warm_up >= 0;
  if (!is_valid) fail("%s", USAGE);
}

int main(int count, char **arguments) {
  parse_options(count, arguments);
  request_bytes = fill_frame(request_frame, true);
  reply_bytes = (uint32_t)fill_frame(reply_frame, false);
  struct endpoint endpoint = parse_endpoint(address, 1);
  connections = allocate((size_t)connection_count, sizeof *connections);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  for (int i = 0; i < connection_count; i++) open_one(&connections[i], &endpoint, i);
  run_commands(connection_count, run_slice);
  return 0;
}
