// http-reference: the yardstick for HTTP, and the least that can be done: one thread, one level-triggered epoll loop, recv
// and send, and a fixed response for each empty line that arrives.
//
//   http-reference PORT        PORT 0 lets the kernel choose; prints "listening PORT" and serves until it is killed.
//
// It is no HTTP server: it reads no method, target or field, has no limits, no clock and no back-pressure (a peer that does
// not read is closed). What it costs is what the kernel costs, so it says how much there is to win at all.
#define _GNU_SOURCE
#include <sys/epoll.h>

#include "endpoint.h"

#define RECEIVE_BYTES 65536
#define EVENTS_MAX 512
#define BACKLOG 4096
#define RESPONSES_MAX 512
#define FILES_MAX (1 << 20)

static const char RESPONSE[] =
    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
    "Hello, World!";
#define RESPONSE_BYTES (sizeof RESPONSE - 1)

static int epoll_fd;
static int listen_fd;
static char receive_buffer[RECEIVE_BYTES];
static char responses[RESPONSES_MAX * RESPONSE_BYTES];
// How many bytes of CR LF CR LF the connection's last bytes are.
static uint8_t matched_of[FILES_MAX];

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static void accept_connections(void) {
  for (;;) {
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno == EAGAIN) return;
    if (fd < 0 && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (fd < 0 || fd >= FILES_MAX) fail("accept4: %s", strerror(errno));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    matched_of[fd] = 0;
    watch(fd);
  }
}

static size_t count_requests(int fd, const char *bytes, size_t length) {
  size_t count = 0;
  unsigned matched = matched_of[fd];
  for (size_t i = 0; i < length; i++) {
    char byte = bytes[i];
    if (byte == ((matched & 1) != 0 ? '\n' : '\r')) matched++;
    else matched = byte == '\r' ? 1 : 0;
    if (matched == 4) {
      count++;
      matched = 0;
    }
  }
  matched_of[fd] = (uint8_t)matched;
  return count;
}

static void answer(int fd) {
  ssize_t received = recv(fd, receive_buffer, RECEIVE_BYTES, 0);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
  size_t count = received > 0 ? count_requests(fd, receive_buffer, (size_t)received) : 0;
  if (received > 0 && count == 0) return;
  bool is_sent = count > 0 && count <= RESPONSES_MAX &&
                 send(fd, responses, count * RESPONSE_BYTES, MSG_NOSIGNAL) == (ssize_t)(count * RESPONSE_BYTES);
  // close() also takes the descriptor out of the interest set (epoll(7), question 6), as nothing else refers to it.
  if (!is_sent) close(fd);
}

static int listen_on(int port) {
  listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd < 0) fail("socket: %s", strerror(errno));
  int on = 1;
  setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  if (bind(listen_fd, (struct sockaddr *)&address, bytes) < 0) fail("bind: %s", strerror(errno));
  if (listen(listen_fd, BACKLOG) < 0) fail("listen: %s", strerror(errno));
  if (getsockname(listen_fd, (struct sockaddr *)&address, &bytes) < 0) fail("getsockname: %s", strerror(errno));
  return ntohs(address.sin_port);
}

int main(int count, char **arguments) {
  if (count != 2) fail("usage: http-reference PORT");
  for (size_t i = 0; i < RESPONSES_MAX; i++) memcpy(responses + i * RESPONSE_BYTES, RESPONSE, RESPONSE_BYTES);
  int port = listen_on(atoi(arguments[1]));
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  watch(listen_fd);
  printf("listening %d\n", port);
  fflush(stdout);
  static struct epoll_event events[EVENTS_MAX];
  for (;;) {
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
    if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listen_fd) accept_connections();
      else answer(fd);
    }
  }
}
