// idle-clients: opens connections that each echo one message and are then silent, for measuring what a connection costs
// a server that holds it. One thread, one epoll loop. Many of these processes together make a million connections.
//
//   idle-clients --address tcp://127.0.0.1:9000 [--bytes 64] [--sources N | --source 127.0.0.7] [--at-once N]
//
// Commands on standard input, one on a line; each is answered with one line of JSON when it is done, and during a long
// one lines with "event":"progress" tell how far it is:
//   "open N"   opens N more connections; each echoes once before it counts as open
//   "echo"     every open connection echoes once more
//   "load N FROM UNTIL"
//              N of the open connections, evenly spread, echo in a closed loop, one message on its way for each. What
//              comes back between FROM and UNTIL is measured; times are nanoseconds of CLOCK_MONOTONIC, so that several
//              processes measure at the same time. The answer has the histogram of latency, in nanoseconds.
//   "end"      ends all connections gracefully: sends FIN, and waits for the server's
//   "close"    closes all connections
//   "quit"     ends, as does the end of input
// At most --at-once connections are connecting, echoing or ending at any moment, but for load. A connection that fails,
// that the server closed, or whose echo (or end) differs or does not come within ten seconds is counted as lost and
// closed.
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "endpoint.h"
#include "histogram.h"

#define EVENTS_MAX 256
#define MESSAGE_BYTES_MAX 4096
#define SILENCE_MAX (10 * NANOSECONDS)
#define LATE_MAX (30 * NANOSECONDS)  // After load: with 100,000 connections an echo may take seconds.

enum state { CLOSED, CONNECTING, ECHOING, HOLDING, ENDING };

struct connection {
  int fd;
  enum state state;
  uint32_t sequence;  // Of the present message.
  int received;       // Bytes of the present echo.
  uint64_t started;
};

static struct endpoint endpoint;
static const char *address;
static int message_bytes = 64;
static int at_once_max = 128;
static int epoll_fd;
static struct connection *connections;
static int connections_max;
static int connections_used;  // Entries below this were used; used again when all are closed.

// Of the present command, but `open_count`.
static int open_count;
static int busy_count;
static int done_count;
static int lost_count;
static uint64_t max_ns;

// Of load. While it runs, an echo is answered with the next message.
static bool is_running;
static uint64_t measured_from;
static uint64_t measured_until;
static uint64_t all_requests;
static struct histogram latency;

static void lose(struct connection *connection, const char *why) {
  if (lost_count++ == 0) {
    fprintf(stderr, "idle-clients: connection %td: %s\n", connection - connections, why);
  }
  if (connection->state == HOLDING) open_count--;
  else busy_count--;
  close(connection->fd);
  connection->state = CLOSED;
}

static void watch(int operation, struct connection *connection, uint32_t interest) {
  struct epoll_event event = {.events = interest, .data.ptr = connection};
  if (epoll_ctl(epoll_fd, operation, connection->fd, &event) < 0) {
    fail("epoll_ctl: %s", strerror(errno));
  }
}

// The connection's number and the message's come first, so that another's or an older echo is noticed.
static void fill_message(char *message, const struct connection *connection) {
  uint32_t name[2] = {(uint32_t)(connection - connections), connection->sequence};
  size_t bytes = (size_t)message_bytes;
  memset(message, 'm', bytes);
  memcpy(message, name, sizeof name < bytes ? sizeof name : bytes);
}

// The socket's buffer is empty and larger than any message, so that a short send means something is broken.
static void start_echo(struct connection *connection) {
  char message[MESSAGE_BYTES_MAX];
  connection->state = ECHOING;
  connection->received = 0;
  connection->sequence++;
  fill_message(message, connection);
  ssize_t n = send(connection->fd, message, (size_t)message_bytes, MSG_NOSIGNAL);
  if (n != message_bytes) lose(connection, n < 0 ? strerror(errno) : "short send");
}

static bool start_open(void) {
  int index = connections_used;
  struct connection *connection = &connections[index];
  int fd = start_connect(&endpoint, index);
  if (fd == -EAGAIN) return false;
  if (fd < 0) fail("connection %d: cannot connect to %s: %s", index, address, strerror(-fd));
  connection->fd = fd;
  connection->state = CONNECTING;
  connection->started = now_ns();
  connections_used++;
  busy_count++;
  watch(EPOLL_CTL_ADD, connection, EPOLLOUT);
  return true;
}

static void finish_connect(struct connection *connection) {
  int error = connect_outcome(connection->fd);
  if (error != 0) {
    lose(connection, strerror(error));
    return;
  }
  watch(EPOLL_CTL_MOD, connection, EPOLLIN);
  start_echo(connection);
}

static void finish_end(struct connection *connection) {
  close(connection->fd);
  connection->state = CLOSED;
  busy_count--;
  done_count++;
}

static void finish_echo(struct connection *connection) {
  uint64_t now = now_ns();
  uint64_t taken = now - connection->started;
  all_requests++;
  if (now >= measured_from && now < measured_until) histogram_record(&latency, taken);
  if (is_running) {
    connection->started = now;
    start_echo(connection);
    return;
  }
  if (taken > max_ns) max_ns = taken;
  connection->state = HOLDING;
  busy_count--;
  open_count++;
  done_count++;
}

static void receive(struct connection *connection) {
  char expected[MESSAGE_BYTES_MAX];
  char received[MESSAGE_BYTES_MAX];
  ssize_t n = recv(connection->fd, received, sizeof received, 0);
  if (n <= 0) {
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n == 0 && connection->state == ENDING) finish_end(connection);
    else lose(connection, n == 0 ? "closed by the server" : strerror(errno));
    return;
  }
  fill_message(expected, connection);
  bool is_expected = connection->state == ECHOING && connection->received + n <= message_bytes &&
                     memcmp(received, expected + connection->received, (size_t)n) == 0;
  if (!is_expected) {
    lose(connection, "received bytes that were not sent");
    return;
  }
  connection->received += (int)n;
  if (connection->received == message_bytes) finish_echo(connection);
}

static int turn(int timeout_ms) {
  static struct epoll_event events[EVENTS_MAX];
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);
  if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < n; i++) {
    struct connection *connection = events[i].data.ptr;
    if (connection->state == CONNECTING) finish_connect(connection);
    else if (connection->state != CLOSED) receive(connection);
  }
  return n;
}

// When nothing is open, the entries are free again: no event of an old socket can come any more.
static void reuse_entries(void) {
  if (open_count == 0 && busy_count == 0) connections_used = 0;
}

static void clear_counts(void) {
  done_count = lost_count = 0;
  max_ns = measured_from = measured_until = all_requests = 0;
}

// Leaves the object open: load has more to say.
static void print_counts(const char *event, uint64_t begin) {
  double seconds = (double)(now_ns() - begin) / 1e9;
  printf("{\"event\":\"%s\",\"open\":%d,\"done\":%d,", event, open_count, done_count);
  printf("\"lost\":%d,\"seconds\":%.3f,", lost_count, seconds);
  printf("\"maxUs\":%.1f", (double)max_ns / 1e3);
}

static void print_answer(const char *event, uint64_t begin) {
  print_counts(event, begin);
  puts("}");
  fflush(stdout);
}

static void lose_late(const char *why) {
  for (int i = 0; i < connections_used; i++) {
    enum state state = connections[i].state;
    if (state != CLOSED && state != HOLDING) lose(&connections[i], why);
  }
}

// Starts the next piece of the present command. False when nothing can be started now.
typedef bool (*start_next)(int number);

static bool open_next(int number) {
  (void)number;
  return start_open();
}

static bool echo_next(int number) {
  struct connection *connection = &connections[number];
  if (connection->state != HOLDING) return true;
  open_count--;
  busy_count++;
  connection->started = now_ns();
  start_echo(connection);
  return true;
}

static bool end_next(int number) {
  struct connection *connection = &connections[number];
  if (connection->state != HOLDING) return true;
  open_count--;
  busy_count++;
  connection->state = ENDING;
  if (shutdown(connection->fd, SHUT_WR) < 0) lose(connection, strerror(errno));
  return true;
}

// Runs a command of `count` pieces: starts as many as may be on their way at once, and waits for the last one.
static void run(const char *event, int count, start_next start) {
  uint64_t begin = now_ns();
  uint64_t progress_at = begin + NANOSECONDS;
  uint64_t last_event_at = begin;
  clear_counts();
  for (int begun = 0; begun < count || busy_count > 0;) {
    while (begun < count && busy_count < at_once_max && start(begun)) begun++;
    if (busy_count == 0 && begun == count) break;
    int n = turn(busy_count == 0 ? 1 : 100);
    uint64_t now = now_ns();
    if (n > 0) last_event_at = now;
    if (now - last_event_at > SILENCE_MAX) {
      lose_late("no answer within 10 s");
      if (begun < count) fail("gave up after %d of %d: the server is silent", begun, count);
    }
    if (now > progress_at) {
      progress_at = now + NANOSECONDS;
      print_answer("progress", begin);
    }
  }
  print_answer(event, begin);
}

static void print_load(int active, uint64_t begin) {
  print_counts("load", begin);
  printf(",\"active\":%d,\"requests\":%.0f,", active, (double)latency.count);
  printf("\"allRequests\":%.0f,\"longestUs\":%.1f,", (double)all_requests, (double)latency.max / 1e3);
  printf("\"histogram\":[");
  const char *separator = "";
  for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
    if (latency.buckets[i] == 0) continue;
    printf("%s[%.0f,%.0f]", separator, (double)histogram_bucket_max(i), (double)latency.buckets[i]);
    separator = ",";
  }
  puts("]}");
  fflush(stdout);
}

static void run_load(int count, uint64_t from, uint64_t until) {
  uint64_t begin = now_ns();
  clear_counts();
  histogram_clear(&latency);
  measured_from = from;
  measured_until = until;
  is_running = true;
  int active = 0;
  int held = open_count;
  for (int i = 0, seen = 0; i < connections_used && active < count; i++) {
    if (connections[i].state != HOLDING) continue;
    // Evenly spread: the n-th of those that are held is taken whenever n * count / held passes a whole number.
    seen++;
    if ((int64_t)seen * count / held == (int64_t)(seen - 1) * count / held) continue;
    echo_next(i);
    active++;
  }
  while (now_ns() < until && busy_count > 0) turn(10);
  is_running = false;
  uint64_t deadline = now_ns() + LATE_MAX;
  while (busy_count > 0 && now_ns() < deadline) turn(100);
  lose_late("no echo within 30 s");
  print_load(active, begin);
}

static void close_all(void) {
  uint64_t begin = now_ns();
  clear_counts();
  for (int i = 0; i < connections_used; i++) {
    if (connections[i].state == CLOSED) continue;
    close(connections[i].fd);
    connections[i].state = CLOSED;
    done_count++;
  }
  open_count = 0;
  print_answer("close", begin);
}

static void run_commands(void) {
  char line[128];
  int count = 0;
  unsigned long long from = 0;
  unsigned long long until = 0;
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
    if (sscanf(line, "open %d", &count) == 1 && count > 0) {
      if (count > connections_max - connections_used) {
        fail("more than %d connections in all", connections_max);
      }
      run("open", count, open_next);
    } else if (sscanf(line, "load %d %llu %llu", &count, &from, &until) == 3 && count > 0) {
      run_load(count, from, until);
    } else if (strcmp(line, "echo\n") == 0) {
      run("echo", connections_used, echo_next);
    } else if (strcmp(line, "end\n") == 0) {
      run("end", connections_used, end_next);
      reuse_entries();
    } else if (strcmp(line, "close\n") == 0) {
      close_all();
      reuse_entries();
    } else {
      fail("not a command: %s", line);
    }
  }
}

static const char USAGE[] =
    "usage: idle-clients --address tcp://127.0.0.1:9000 [--bytes 1…4096] [--at-once N]\n"
    "                    [--sources 1…254 | --source 127.0.0.7]";

static void parse_options(int count, char **arguments) {
  static const struct option known[] = {
      {"address", required_argument, NULL, 'a'}, {"bytes", required_argument, NULL, 'b'},
      {"sources", required_argument, NULL, 'o'}, {"source", required_argument, NULL, 's'},
      {"at-once", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
  int sources = 1;
  const char *source = NULL;
  bool is_known = true;
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'a': address = optarg; break;
      case 'b': message_bytes = atoi(optarg); break;
      case 'o': sources = atoi(optarg); break;
      case 's': source = optarg; break;
      case 'n': at_once_max = atoi(optarg); break;
      default: is_known = false;
    }
  }
  bool is_valid = is_known && address != NULL && sources >= 1 && sources <= 254;
  is_valid &= message_bytes > 0 && message_bytes <= MESSAGE_BYTES_MAX && at_once_max > 0;
  if (!is_valid) fail("%s", USAGE);
  endpoint = parse_endpoint(address, sources);
  if (source != NULL) bind_from(&endpoint, source);
}

int main(int count, char **arguments) {
  parse_options(count, arguments);
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit: %s", strerror(errno));
  // Twice as many as can be open at a time, as the entry of one that was lost is not used again.
  connections_max = limit.rlim_cur < 1u << 20 ? (int)limit.rlim_cur * 2 : 1 << 21;
  connections = allocate((size_t)connections_max, sizeof *connections);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  run_commands();
  return 0;
}
