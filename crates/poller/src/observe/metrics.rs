//! `/metrics`: a snapshot in the text formats of Prometheus.

use std::fmt::{self, Write};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{self, Registry};

use super::list::METRICS;
use super::metric::{Kind, Metric, Sample, Unit, Value};
use super::snapshot::Snapshot;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics 1.0, which Prometheus asks for.
    OpenMetrics,
    /// The older format, version 0.0.4, which everything else reads.
    Prometheus,
}

/// All metrics at the moment of a snapshot.
///
/// # Errors
/// None: writing to a string does not fail.
pub fn exposition(snapshot: &Arc<Snapshot>, form: Form) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(OneSnapshot(Arc::clone(snapshot))));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    match form {
        Form::OpenMetrics => Ok(text),
        Form::Prometheus => older(&text),
    }
}

#[derive(Debug)]
struct OneSnapshot(Arc<Snapshot>);

// === impl Form ===

impl Form {
    /// The one that a client wants, by its `Accept` header.
    pub(super) fn accepted(accept: Option<&str>) -> Form {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Form::OpenMetrics,
            _ => Form::Prometheus,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

// === impl OneSnapshot ===

impl Collector for OneSnapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for metric in METRICS.iter() {
            let samples = (metric.samples)(&self.0);
            if samples.is_empty() {
                continue;
            }
            let unit = metric.unit.map(|unit| match unit {
                Unit::Seconds => registry::Unit::Seconds,
                Unit::Bytes => registry::Unit::Bytes,
            });
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut series = encoder.encode_descriptor(metric.stem(), metric.help, unit.as_ref(), kind)?;
            for sample in samples {
                write_sample(&mut series, metric, &sample)?;
            }
        }
        Ok(())
    }
}

fn write_sample(series: &mut MetricEncoder<'_>, metric: &Metric, sample: &Sample) -> Result<(), fmt::Error> {
    if metric.labels.is_empty() {
        return write_value(series, metric.kind, &sample.value);
    }
    let labels: Vec<(&str, &str)> =
        metric.labels.iter().copied().zip(sample.labels.iter().map(String::as_str)).collect();
    write_value(&mut series.encode_family(&labels)?, metric.kind, &sample.value)
}

fn write_value(series: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> Result<(), fmt::Error> {
    match (kind, value) {
        (Kind::Counter, Value::Number(number)) => series.encode_counter::<NoLabelSet, _, u64>(number, None),
        (Kind::Counter, Value::Fraction(fraction)) => series.encode_counter::<NoLabelSet, _, u64>(fraction, None),
        (_, Value::Number(number)) => series.encode_gauge(number),
        (_, Value::Fraction(fraction)) => series.encode_gauge(fraction),
        (_, Value::Spread { sum, count, classes }) => {
            series.encode_histogram::<NoLabelSet>(*sum, *count, classes, None)
        }
    }
}

/// The older format names a counter by its whole name, and knows neither units nor an end.
fn older(text: &str) -> Result<String, fmt::Error> {
    let mut older = String::with_capacity(text.len());
    for line in text.lines() {
        let comment = line.strip_prefix("# HELP ").map(|rest| ("HELP", rest));
        match comment.or_else(|| line.strip_prefix("# TYPE ").map(|rest| ("TYPE", rest))) {
            Some((word, rest)) => {
                let (stem, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let total = METRICS.iter().find(|metric| metric.name.strip_suffix("_total") == Some(stem));
                writeln!(older, "# {word} {} {rest}", total.map_or(stem, |metric| metric.name))?;
            }
            None if line.starts_with('#') => {}
            None => writeln!(older, "{line}")?,
        }
    }
    Ok(older)
}
