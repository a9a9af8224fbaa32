//! Sensors of the user's processors: what Kafka Streams' `StreamsMetrics` is. The instance counts its own work
//! elsewhere, without locks; these are for user code, and each takes a lock of its own when it records.

mod sampled;
mod sensor;

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::clock::millis;
use millstream_types::config::MetricsLevel;
use millstream_types::{Config, Timestamp};
use parking_lot::Mutex;

pub use sensor::{Sensor, Stat};

/// What a metric is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName {
    /// Group: `stream-<scope>-metrics` for those that [`StreamsMetrics`] names.
    pub group: String,
    /// Name within the group.
    pub name: String,
    /// What distinguishes it from others of the same name.
    pub tags: BTreeMap<String, String>,
}

/// The sensors of an instance. Processors get it from [`Context::metrics`](super::Context::metrics); what was
/// measured is read with `Streams::sensors` or `TopologyTestDriver::sensors`. Cloning shares the sensors.
///
/// Sensors have a name; a second one of the same name is the first, so tasks that ask for the same measure
/// it together. Rates, averages and extremes are of the last `metrics.num.samples` times
/// `metrics.sample.window.ms`, as in Kafka.
///
/// ```
/// # use millstream_testkit::TopologyTestDriver;
/// # use millstream_topology::{Context, Incoming, Processor, ProcessorError, Sensor, StreamsBuilder};
/// # use millstream_types::{Serdes, config::MetricsLevel};
/// struct Measured(Option<Sensor>);
///
/// impl Processor for Measured {
///     # type KeyIn = i64;
///     # type ValueIn = i64;
///     # type KeyOut = i64;
///     # type ValueOut = i64;
///     fn init(&mut self, ctx: &mut Context<'_, i64, i64>) -> Result<(), ProcessorError> {
///         let metrics = ctx.metrics();
///         self.0 = Some(metrics.add_rate_total_sensor("price", "shop", "sale", MetricsLevel::Info, &[]));
///         Ok(())
///     }
///
///     fn process(
///         &mut self,
///         ctx: &mut Context<'_, i64, i64>,
///         record: Incoming<'_, i64, i64>,
///     ) -> Result<(), ProcessorError> {
///         if let Some(sensor) = &self.0 {
///             sensor.record(record.value as f64, ctx.wall_clock_time());
///         }
///         Ok(())
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// builder.stream::<i64, i64>("sales").process(|| Measured(None));
///
/// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
/// driver.create_input_topic("sales", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 5), (1, 7)])?;
/// let total = driver.sensors().into_iter().find(|(metric, _)| metric.name == "sale-total").expect("was measured");
/// assert_eq!((total.0.group.as_str(), total.1), ("stream-price-metrics", 2.0));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamsMetrics {
    sampling: Sampling,
    level: MetricsLevel,
    sensors: Arc<Mutex<BTreeMap<String, Sensor>>>,
}

/// What windows are measured over.
#[derive(Clone, Copy, Debug)]
struct Sampling {
    samples: usize,
    window_ms: i64,
}

impl Default for StreamsMetrics {
    fn default() -> Self {
        let sampling = Sampling { samples: 2, window_ms: 30_000 };
        Self { sampling, level: MetricsLevel::Info, sensors: Arc::default() }
    }
}

impl StreamsMetrics {
    /// No sensors; `metrics.recording.level`, `metrics.num.samples` and `metrics.sample.window.ms` say how they
    /// measure.
    pub fn new(config: &Config) -> Self {
        let window_ms = millis(config.metrics_sample_window()).max(1);
        let sampling = Sampling { samples: config.metrics_num_samples(), window_ms };
        Self { sampling, level: config.metrics_recording_level(), sensors: Arc::default() }
    }

    /// The sensor of that name, which measures nothing until it is told what ([`Sensor::add`]). What it records,
    /// its parents record, too. It records nothing when `level` is finer than `metrics.recording.level`.
    pub fn add_sensor(&self, name: &str, level: MetricsLevel, parents: &[Sensor]) -> Sensor {
        let mut sensors = self.sensors.lock();
        let new = || Sensor::new(name, self.sampling, self.records(level), parents);
        sensors.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// A sensor that counts: `<operation>-rate` (calls a second) and `<operation>-total`, in the group
    /// `stream-<scope>-metrics`, with the tag `<scope>-id` = `entity` and those given.
    pub fn add_rate_total_sensor(
        &self,
        scope: &str,
        entity: &str,
        operation: &str,
        level: MetricsLevel,
        tags: &[(&str, &str)],
    ) -> Sensor {
        let sensor = self.add_sensor(&format!("external.entity.{entity}.s.{operation}"), level, &[]);
        let name = |suffix: &str| metric_name(scope, entity, format!("{operation}-{suffix}"), tags);
        sensor.add(name("rate"), Stat::CountRate).add(name("total"), Stat::Count).clone()
    }

    /// A sensor that counts as [`add_rate_total_sensor`](Self::add_rate_total_sensor) and tells what it records:
    /// `<operation>-latency-avg` and `<operation>-latency-max`.
    pub fn add_latency_rate_total_sensor(
        &self,
        scope: &str,
        entity: &str,
        operation: &str,
        level: MetricsLevel,
        tags: &[(&str, &str)],
    ) -> Sensor {
        let sensor = self.add_rate_total_sensor(scope, entity, operation, level, tags);
        let name = |suffix: &str| metric_name(scope, entity, format!("{operation}-latency-{suffix}"), tags);
        sensor.add(name("avg"), Stat::Avg).add(name("max"), Stat::Max).clone()
    }

    /// Forgets a sensor and what it has measured. Who still holds it records into nothing that is read.
    pub fn remove_sensor(&self, sensor: &Sensor) {
        self.sensors.lock().remove(sensor.name());
    }

    /// What all sensors have measured, by name; `NaN` where nothing was recorded in the window.
    pub fn values(&self, now: Timestamp) -> Vec<(MetricName, f64)> {
        let mut values: Vec<_> = self.sensors.lock().values().flat_map(|sensor| sensor.values(now)).collect();
        values.sort_by(|one, other| one.0.cmp(&other.0));
        values
    }

    fn records(&self, level: MetricsLevel) -> bool {
        let rank = |level| match level {
            MetricsLevel::Info => 0,
            MetricsLevel::Debug => 1,
            MetricsLevel::Trace => 2,
        };
        rank(level) <= rank(self.level)
    }
}

fn metric_name(scope: &str, entity: &str, name: String, tags: &[(&str, &str)]) -> MetricName {
    let id = (format!("{scope}-id"), entity.to_owned());
    let given = tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()));
    MetricName { group: format!("stream-{scope}-metrics"), name, tags: std::iter::once(id).chain(given).collect() }
}
