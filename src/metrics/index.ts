/** `millrace/metrics`: a server's counters for Prometheus and OpenTelemetry. Everything public is named here. */

export type { HistogramMetric, HistogramSample, Metric, NumberMetric, Sample } from './metric.js';
export { type MetricsHandlerOptions, metricsHandler } from './metrics-handler.js';
export {
  type InstrumentObserver,
  type ObservableInstrument,
  type ObserveOptions,
  type OpenTelemetryMeter,
  observeServer,
} from './open-telemetry.js';
export {
  type HistogramData,
  type HistogramPoint,
  histogramProducer,
  type OpenTelemetryProducer,
} from './open-telemetry-histograms.js';
export {
  CONTENT_TYPES,
  type MetricsFormat,
  type MetricsTextOptions,
  metricsText,
} from './prometheus.js';
export { serverMetrics } from './server-metrics.js';
