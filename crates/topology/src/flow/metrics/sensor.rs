//! One sensor: what it measures of what it records.

use std::fmt;
use std::sync::Arc;

use millstream_types::Timestamp;
use parking_lot::Mutex;

use super::sampled::{Combine, Sampled};
use super::{MetricName, Sampling};

/// What a sensor tells of the values it records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// How many there were.
    Count,
    /// Their sum.
    Sum,
    /// How many there were a second, lately.
    CountRate,
    /// Their sum a second, lately.
    SumRate,
    /// Their average, lately.
    Avg,
    /// The least, lately.
    Min,
    /// The largest, lately.
    Max,
    /// The last.
    Value,
}

/// A place to record values in; made by [`StreamsMetrics`](super::StreamsMetrics). Cloning shares it.
#[derive(Clone)]
pub struct Sensor(Arc<Inner>);

struct Inner {
    name: String,
    sampling: Sampling,
    is_recording: bool,
    parents: Vec<Sensor>,
    metrics: Mutex<Vec<(MetricName, Measured)>>,
}

enum Measured {
    Count(f64),
    Sum(f64),
    Value(f64),
    Lately(Sampled),
    /// A second.
    Rate(Sampled),
}

impl Sensor {
    pub(super) fn new(name: &str, sampling: Sampling, is_recording: bool, parents: &[Sensor]) -> Self {
        let metrics = Mutex::default();
        Self(Arc::new(Inner { name: name.to_owned(), sampling, is_recording, parents: parents.to_vec(), metrics }))
    }

    /// The name it was asked for by.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Tells something more of what it records from now on; a metric that it has already stays as it is.
    pub fn add(&self, name: MetricName, stat: Stat) -> &Self {
        let measured = match stat {
            Stat::Count => Measured::Count(0.0),
            Stat::Sum => Measured::Sum(0.0),
            Stat::Value => Measured::Value(f64::NAN),
            Stat::CountRate => Measured::Rate(Sampled::new(Combine::Count)),
            Stat::SumRate => Measured::Rate(Sampled::new(Combine::Sum)),
            Stat::Avg => Measured::Lately(Sampled::new(Combine::Avg)),
            Stat::Min => Measured::Lately(Sampled::new(Combine::Min)),
            Stat::Max => Measured::Lately(Sampled::new(Combine::Max)),
        };
        let mut metrics = self.0.metrics.lock();
        if !metrics.iter().any(|(known, _)| *known == name) {
            metrics.push((name, measured));
        }
        drop(metrics);
        self
    }

    /// Records a value at a time of the wall clock
    /// ([`Context::wall_clock_time`](crate::Context::wall_clock_time)), and in its parents.
    pub fn record(&self, value: f64, now: Timestamp) {
        if !self.0.is_recording {
            return;
        }
        for (_, measured) in &mut *self.0.metrics.lock() {
            match measured {
                Measured::Count(count) => *count += 1.0,
                Measured::Sum(sum) => *sum += value,
                Measured::Value(last) => *last = value,
                Measured::Lately(sampled) | Measured::Rate(sampled) => sampled.record(value, now.0, self.0.sampling),
            }
        }
        for parent in &self.0.parents {
            parent.record(value, now);
        }
    }

    pub(super) fn values(&self, now: Timestamp) -> Vec<(MetricName, f64)> {
        let mut metrics = self.0.metrics.lock();
        let value = |measured: &mut Measured| match measured {
            Measured::Count(value) | Measured::Sum(value) | Measured::Value(value) => *value,
            Measured::Lately(sampled) => sampled.measure(now.0, self.0.sampling),
            Measured::Rate(sampled) => sampled.per_second(now.0, self.0.sampling),
        };
        metrics.iter_mut().map(|(name, measured)| (name.clone(), value(measured))).collect()
    }
}

impl fmt::Debug for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sensor").field("name", &self.0.name).finish_non_exhaustive()
    }
}
