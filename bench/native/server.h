// server.h: what the reference servers for TCP have in common: one thread, one level-triggered epoll loop, connections
// known by their descriptors alone. They have no limits, no clock and no back-pressure: what is left is what the kernel
// costs, and whatever library they are a yardstick for.
#ifndef MILLRACE_BENCH_SERVER_H
#define MILLRACE_BENCH_SERVER_H

#include <sys/epoll.h>

#include "endpoint.h"

#define SERVER_EVENTS_MAX 512
#define SERVER_BACKLOG 4096
#define SERVER_FILES_MAX (1 << 20)

static int server_epoll_fd;
static int server_listen_fd;

static inline void server_watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(server_epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static inline void server_accept(void (*on_open)(int fd)) {
  for (;;) {
    int fd = accept4(server_listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno == EAGAIN) return;
    if (fd < 0 && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (fd < 0 || fd >= SERVER_FILES_MAX) fail("accept4: %s", strerror(errno));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    on_open(fd);
    server_watch(fd);
  }
}

// Listens on 127.0.0.1; the kernel chooses for port 0. Returns the port.
static inline int server_listen(int port) {
  server_listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (server_listen_fd < 0) fail("socket: %s", strerror(errno));
  int on = 1;
  setsockopt(server_listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  if (bind(server_listen_fd, (struct sockaddr *)&address, bytes) < 0) fail("bind: %s", strerror(errno));
  if (listen(server_listen_fd, SERVER_BACKLOG) < 0) fail("listen: %s", strerror(errno));
  if (getsockname(server_listen_fd, (struct sockaddr *)&address, &bytes) < 0) {
    fail("getsockname: %s", strerror(errno));
  }
  return ntohs(address.sin_port);
}

// Prints "listening PORT" and serves until the process is killed. `on_readable` may close its descriptor, which takes it
// out of the interest set (epoll(7), question 6), as nothing else refers to it.
__attribute__((noreturn)) static inline void server_run(int port, void (*on_open)(int fd), void (*on_readable)(int fd)) {
  static struct epoll_event events[SERVER_EVENTS_MAX];
  port = server_listen(port);
  server_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (server_epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  server_watch(server_listen_fd);
  printf("listening %d\n", port);
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(server_epoll_fd, events, SERVER_EVENTS_MAX, -1);
    if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == server_listen_fd) server_accept(on_open);
      else on_readable(fd);
    }
  }
}

#endif
