// echo-reference: the yardstick. The echo server that a careful C programmer writes first: one thread, one
// level-triggered epoll loop, recv and send with one 64 KiB buffer.
//
//   echo-reference PORT        PORT 0 lets the kernel choose; prints "listening PORT" and serves until it is killed.
//
// It is correct, not only fast: what the socket does not take is kept for the connection, and the connection is not
// read again until that is gone, so that a slow peer costs at most one buffer. It has no timeouts, counters or
// addresses; a server that does more than this loop can be slower than it with a good conscience.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES 65536
#define EVENTS_MAX 512
#define BACKLOG 4096

// What is still to be sent of one received block.
struct pending {
  size_t start;
  size_t end;
  char bytes[];
};

static int epoll_fd;
static int listen_fd;
static char receive_buffer[RECEIVE_BYTES];
static struct pending **pending_of;  // Indexed by descriptor; NULL for nearly all of them.
static size_t descriptors_max;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(int operation, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(epoll_fd, operation, fd, &event) < 0) fail("epoll_ctl");
}

// close() also takes the descriptor out of the interest set (epoll(7), question 6), as nothing else refers to it.
static void close_connection(int fd) {
  free(pending_of[fd]);
  pending_of[fd] = NULL;
  close(fd);
}

static void accept_connections(void) {
  for (;;) {
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN) return;
      if (errno == ECONNABORTED || errno == EINTR) continue;
      fail("accept4");  // Too many descriptors: the measurement would be worthless anyway.
    }
    if ((size_t)fd >= descriptors_max) {
      close(fd);
      continue;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  }
}

static void keep_rest(int fd, const char *bytes, size_t length) {
  struct pending *pending = malloc(sizeof *pending + length);
  if (pending == NULL) fail("malloc");
  pending->start = 0;
  pending->end = length;
  memcpy(pending->bytes, bytes, length);
  pending_of[fd] = pending;
  watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void echo(int fd) {
  ssize_t received = recv(fd, receive_buffer, RECEIVE_BYTES, 0);
  if (received <= 0) {
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    close_connection(fd);
    return;
  }
  ssize_t sent = send(fd, receive_buffer, (size_t)received, MSG_NOSIGNAL);
  if (sent == received) return;
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      close_connection(fd);
      return;
    }
    sent = 0;
  }
  keep_rest(fd, receive_buffer + sent, (size_t)(received - sent));
}

static void send_rest(int fd) {
  struct pending *pending = pending_of[fd];
  size_t rest = pending->end - pending->start;
  ssize_t sent = send(fd, pending->bytes + pending->start, rest, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR) close_connection(fd);
    return;
  }
  pending->start += (size_t)sent;
  if (pending->start < pending->end) return;
  free(pending);
  pending_of[fd] = NULL;
  watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static int listen_on(int port) {
  listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd < 0) fail("socket");
  int on = 1;
  setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  if (bind(listen_fd, (struct sockaddr *)&address, bytes) < 0) fail("bind");
  if (listen(listen_fd, BACKLOG) < 0) fail("listen");
  if (getsockname(listen_fd, (struct sockaddr *)&address, &bytes) < 0) fail("getsockname");
  return ntohs(address.sin_port);
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: echo-reference PORT\n");
    return 2;
  }
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit");
  descriptors_max = limit.rlim_cur < 1u << 20 ? limit.rlim_cur : 1u << 20;
  pending_of = calloc(descriptors_max, sizeof *pending_of);
  if (pending_of == NULL) fail("calloc");

  int port = listen_on(atoi(arguments[1]));
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1");
  watch(EPOLL_CTL_ADD, listen_fd, EPOLLIN);
  printf("listening %d\n", port);
  fflush(stdout);

  static struct epoll_event events[EVENTS_MAX];
  for (;;) {
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listen_fd) accept_connections();
      else if (pending_of[fd] != NULL) send_rest(fd);
      else echo(fd);
    }
  }
}
