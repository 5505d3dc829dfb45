/** What is measured, in the form that all exporters share: named families of samples with labels. */

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A histogram's sample: how many values were at most `upTo`, for each bound, ascending. */
export interface HistogramSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly buckets: readonly (readonly [upTo: number, count: number])[];
  readonly sum: number;
  readonly count: number;
}

export interface NumberMetric {
  /** In snake_case, with its unit at the end and without `_total`, such as `received_bytes`. */
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

export interface HistogramMetric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'histogram';
  readonly samples: readonly HistogramSample[];
}

export type Metric = NumberMetric | HistogramMetric;
