// usage.h: the CPU time that a load generator has taken itself, which is set against what it measured.
#ifndef MILLRACE_BENCH_USAGE_H
#define MILLRACE_BENCH_USAGE_H

#include <sys/resource.h>

// User and system time of all threads of this process.
static inline double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

#endif
