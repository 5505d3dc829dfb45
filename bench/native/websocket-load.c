// websocket-load: a closed-loop load generator for WebSocket servers. One thread, one epoll loop.
//
//   websocket-load --port 9000 --connections 100 --bytes 64 [--broadcast]
//
// Echo: each connection keeps one message on its way. Broadcast: the first connection sends a message, and the next when
// every connection has got it. All connections are opened first, with their opening handshakes; then slices are
// commanded on standard input, as for echo-load: "run SECONDS" prints one line of JSON, "quit" ends.
//
// Every byte that comes back is compared with the frame that is due.
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/epoll.h>

#include "endpoint.h"

#define BYTES_MAX 65535
#define HEADER_MAX 8
#define RECEIVE_BYTES (256 * 1024)
#define EVENTS_MAX 512

struct connection {
  int fd;
  uint32_t at;  // Bytes of the frame that is being received.
};

static int connection_count = 1;
static int message_bytes = 64;
static int port;
static bool is_broadcast;
static struct connection *connections;
static int epoll_fd;
static char request_frame[BYTES_MAX + HEADER_MAX];
static size_t request_bytes;
static char reply_frame[BYTES_MAX + HEADER_MAX];
static uint32_t reply_bytes;
static char receive_buffer[RECEIVE_BYTES];
static bool is_running;
static uint64_t messages;   // Received, over all connections.
static uint64_t published;  // Received by all.
static uint64_t missing;    // Of the message on its way.

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

static void send_message(struct connection *connection) {
  ssize_t n = send(connection->fd, request_frame, request_bytes, MSG_NOSIGNAL);
  if (n != (ssize_t)request_bytes) fail("a message was not sent at once: %s", strerror(errno));
}

static void open_one(struct connection *connection, const struct endpoint *endpoint) {
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) fail("socket: %s", strerror(errno));
  int one = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
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
  int got = 0;
  while (got < 4 || memcmp(head + got - 4, "\r\n\r\n", 4) != 0) {
    ssize_t n = recv(connection->fd, head + got, 1, 0);
    if (n != 1 || ++got == (int)sizeof head) fail("no answer to the handshake");
  }
  if (memcmp(head, "HTTP/1.1 101", 12) != 0) fail("refused: %.40s", head);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void complete_one(struct connection *connection) {
  messages++;
  if (!is_broadcast) {
    if (is_running) send_message(connection);
    else missing--;
    return;
  }
  if (--missing > 0) return;
  published++;
  if (!is_running) return;
  missing = (uint64_t)connection_count;
  send_message(&connections[0]);
}

static void receive(struct connection *connection) {
  ssize_t n = recv(connection->fd, receive_buffer, RECEIVE_BYTES, MSG_DONTWAIT);
  if (n <= 0) {
    if (n < 0 && errno == EAGAIN) return;
    fail("connection %td was closed", connection - connections);
  }
  for (ssize_t at = 0; at < n;) {
    uint32_t part = reply_bytes - connection->at;
    if ((ssize_t)part > n - at) part = (uint32_t)(n - at);
    if (memcmp(receive_buffer + at, reply_frame + connection->at, part) != 0) fail("wrong bytes came back");
    at += part;
    connection->at += part;
    if (connection->at == reply_bytes) {
      connection->at = 0;
      complete_one(connection);
    }
  }
}

static void turn(void) {
  static struct epoll_event events[EVENTS_MAX];
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, 10);
  for (int i = 0; i < n; i++) receive(events[i].data.ptr);
}

static void run_slice(double seconds) {
  uint64_t begin = now_ns();
  uint64_t until = begin + (uint64_t)(seconds * (double)NANOSECONDS);
  messages = published = 0;
  is_running = true;
  missing = (uint64_t)connection_count;
  if (is_broadcast) send_message(&connections[0]);
  else for (int i = 0; i < connection_count; i++) send_message(&connections[i]);
  while (now_ns() < until) turn();
  is_running = false;
  // In the echo each connection has one message on its way still; in the broadcast some have.
  while (missing > 0) turn();
  double total = (double)(now_ns() - begin) / 1e9;
  printf("{\"seconds\":%.6f,\"messages\":%llu,\"published\":%llu}\n", total, (unsigned long long)messages,
         (unsigned long long)published);
  fflush(stdout);
}

int main(int count, char **arguments) {
  static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                        {"connections", required_argument, NULL, 'c'},
                                        {"bytes", required_argument, NULL, 'b'},
                                        {"broadcast", no_argument, NULL, 'r'},
                                        {NULL, 0, NULL, 0}};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'p': port = atoi(optarg); break;
      case 'c': connection_count = atoi(optarg); break;
      case 'b': message_bytes = atoi(optarg); break;
      case 'r': is_broadcast = true; break;
      default: fail("usage: websocket-load --port N [--connections N] [--bytes N] [--broadcast]");
    }
  }
  if (port <= 0 || connection_count <= 0 || message_bytes <= 0 || message_bytes > BYTES_MAX) fail("wrong options");
  request_bytes = fill_frame(request_frame, true);
  reply_bytes = (uint32_t)fill_frame(reply_frame, false);
  char address[64];
  snprintf(address, sizeof address, "tcp://127.0.0.1:%d", port);
  struct endpoint endpoint = parse_endpoint(address, 1);
  connections = allocate((size_t)connection_count, sizeof *connections);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < connection_count; i++) open_one(&connections[i], &endpoint);
  printf("{\"mode\":\"ready\"}\n");
  fflush(stdout);
  char line[128];
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
    double seconds = 0;
    if (sscanf(line, "run %lf", &seconds) != 1 || !(seconds > 0)) fail("not a command: %s", line);
    run_slice(seconds);
  }
  return 0;
}
