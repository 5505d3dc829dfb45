// load.h: what the load generators for protocols (http-load.c, websocket-load.c) have in common: the counters and the
// latency of a slice, the line of JSON they become, and the commands on standard input that start slices.
//
// A slice starts and ends with nothing on its way. What comes back within its measured span, after the warm-up, is
// counted in `measured`; `all` counts everything, as CPU time is read over everything.
#ifndef MILLRACE_BENCH_LOAD_H
#define MILLRACE_BENCH_LOAD_H

#include "endpoint.h"
#include "histogram.h"
#include "usage.h"

#define DRAIN_TIMEOUT (20 * NANOSECONDS)

struct slice {
  uint64_t begin;  // Of the warm-up.
  uint64_t from;   // Of the measured span.
  uint64_t until;
  double cpu_begin;
  uint64_t measured;
  uint64_t all;
  uint64_t errors;
  struct histogram latency;
};

static inline void slice_begin(struct slice *slice, double warm_up, double seconds) {
  memset(slice, 0, sizeof *slice);
  slice->cpu_begin = cpu_seconds();
  slice->begin = now_ns();
  slice->from = slice->begin + (uint64_t)(warm_up * (double)NANOSECONDS);
  slice->until = slice->from + (uint64_t)(seconds * (double)NANOSECONDS);
}

// One answer that arrived `now` to what was due at `started`.
static inline void slice_record(struct slice *slice, uint64_t started, uint64_t now) {
  slice->all++;
  if (now < slice->from || now >= slice->until) return;
  slice->measured++;
  histogram_record(&slice->latency, now > started ? now - started : 0);
}

static inline double slice_us(const struct slice *slice, double fraction) {
  return (double)histogram_percentile(&slice->latency, fraction) / 1e3;
}

// Prints the slice; `connections` as asked for and `open` now.
static inline void slice_print(const struct slice *slice, int connections, int open) {
  double seconds = (double)(slice->until - slice->from) / 1e9;
  printf("{\"mode\":\"slice\",\"connections\":%d,\"open\":%d,\"seconds\":%.6f,", connections, open, seconds);
  printf("\"requests\":%llu,\"rate\":%.1f,", (unsigned long long)slice->measured,
         (double)slice->measured / seconds);
  printf("\"p50Us\":%.2f,\"p99Us\":%.2f,", slice_us(slice, 0.5), slice_us(slice, 0.99));
  printf("\"p999Us\":%.2f,\"maxUs\":%.2f,", slice_us(slice, 0.999), (double)slice->latency.max / 1e3);
  printf("\"errors\":%llu,\"totalSeconds\":%.6f,", (unsigned long long)slice->errors,
         (double)(now_ns() - slice->begin) / 1e9);
  printf("\"totalRequests\":%llu,\"clientCpuSeconds\":%.6f}\n", (unsigned long long)slice->all,
         cpu_seconds() - slice->cpu_begin);
  fflush(stdout);
}

// Says that all connections are open, and then: "run SECONDS" is one slice, "quit" or the end of input the end.
static inline void run_commands(int open, void (*run_slice)(double seconds)) {
  char line[128];
  printf("{\"mode\":\"ready\",\"connections\":%d}\n", open);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
    double seconds = 0;
    if (sscanf(line, "run %lf", &seconds) != 1 || !(seconds > 0)) fail("not a command: %s", line);
    run_slice(seconds);
  }
}

#endif
