// histogram.h: a log-linear histogram of durations, after HdrHistogram: 128 equal buckets for each power of two, so a
// percentile is off by less than 0.8 % at any size, from a nanosecond to centuries, in 58 kB and without allocation.
//
// Used by echo-load.c. Recording costs a handful of instructions; nothing is ever dropped or clipped.
#ifndef MILLRACE_BENCH_HISTOGRAM_H
#define MILLRACE_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <string.h>

#define HISTOGRAM_BITS 7
#define HISTOGRAM_SUB_BUCKETS (1u << HISTOGRAM_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB_BUCKETS)

struct histogram {
  uint64_t count;
  uint64_t max;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_clear(struct histogram *histogram) {
  memset(histogram, 0, sizeof *histogram);
}

// Values below 128 have a bucket each; above, the seven bits after the leading one choose the bucket of their power.
static inline unsigned histogram_index(uint64_t value) {
  if (value < HISTOGRAM_SUB_BUCKETS) return (unsigned)value;
  unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
  return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

// The largest value that falls into the bucket: a percentile is rounded up, never flattered.
static inline uint64_t histogram_bucket_max(unsigned index) {
  if (index < 2 * HISTOGRAM_SUB_BUCKETS) return index;
  unsigned shift = (index >> HISTOGRAM_BITS) - 1;
  uint64_t leading = index - (shift << HISTOGRAM_BITS);
  return ((leading + 1) << shift) - 1;
}

static inline void histogram_record(struct histogram *histogram, uint64_t value) {
  histogram->buckets[histogram_index(value)]++;
  histogram->count++;
  if (value > histogram->max) histogram->max = value;
}

// The smallest bucket that at least `fraction` (0 to 1) of the values do not exceed; 0 when nothing was recorded.
static inline uint64_t histogram_percentile(const struct histogram *histogram, double fraction) {
  uint64_t wanted = (uint64_t)((double)histogram->count * fraction + 0.5);
  if (wanted == 0) wanted = 1;
  uint64_t seen = 0;
  for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += histogram->buckets[i];
    if (seen < wanted) continue;
    uint64_t value = histogram_bucket_max(i);
    return value < histogram->max ? value : histogram->max;
  }
  return histogram->max;
}

#endif
