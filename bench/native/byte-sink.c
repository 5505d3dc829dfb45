// byte-sink: reads whatever it is sent as fast as it can, and counts it. One thread, one level-triggered epoll loop.
//
//   byte-sink ADDRESS          an IPv4 address; the kernel chooses the port; prints "listening PORT"
//
// "stats" on standard input prints one line of JSON: bytes received since the start, and CPU time used. It ends with its
// standard input. The bytes are copied to memory of ours, as a real receiver's are (MSG_TRUNC would drop them unread).
#define _GNU_SOURCE
#include <sys/epoll.h>

#include "endpoint.h"
#include "usage.h"

#define RECEIVE_BYTES (256 * 1024)
#define EVENTS_MAX 64
#define BACKLOG 1024

static int epoll_fd;
static int listen_fd;
static char receive_buffer[RECEIVE_BYTES];
static uint64_t received;

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static int listen_on(const char *host) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail("not an IPv4 address: %s", host);
  listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd < 0) fail("socket: %s", strerror(errno));
  socklen_t bytes = sizeof address;
  if (bind(listen_fd, (struct sockaddr *)&address, bytes) < 0) fail("bind: %s", strerror(errno));
  if (listen(listen_fd, BACKLOG) < 0) fail("listen: %s", strerror(errno));
  if (getsockname(listen_fd, (struct sockaddr *)&address, &bytes) < 0) {
    fail("getsockname: %s", strerror(errno));
  }
  return ntohs(address.sin_port);
}

static void answer(void) {
  char line[256];
  if (fgets(line, sizeof line, stdin) == NULL) exit(0);
  if (strcmp(line, "stats\n") != 0) fail("not a command: %s", line);
  printf("{\"bytes\":%llu,\"cpuSeconds\":%.6f}\n", (unsigned long long)received, cpu_seconds());
  fflush(stdout);
}

static void receive(int fd) {
  ssize_t n = recv(fd, receive_buffer, RECEIVE_BYTES, 0);
  if (n > 0) received += (uint64_t)n;
  else if (n == 0 || (errno != EAGAIN && errno != EINTR)) close(fd);
}

static void accept_one(void) {
  int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) watch(fd);
  else if (errno != EAGAIN && errno != EINTR) fail("accept4: %s", strerror(errno));
}

int main(int count, char **arguments) {
  if (count != 2) fail("usage: byte-sink ADDRESS");
  int port = listen_on(arguments[1]);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  // A line that is written in one piece is read in one: nothing stays behind in stdio's buffer.
  setvbuf(stdin, NULL, _IONBF, 0);
  watch(listen_fd);
  watch(STDIN_FILENO);
  printf("listening %d\n", port);
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
    if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listen_fd) accept_one();
      else if (fd == STDIN_FILENO) answer();
      else receive(fd);
    }
  }
}
