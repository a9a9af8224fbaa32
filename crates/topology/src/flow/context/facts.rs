//! What a processor may ask about where it is: the record's origin, times, names and settings.

use std::path::PathBuf;

use bytes::Bytes;
use millstream_types::{Headers, RecordMetadata, Serde, TaskId, Timestamp};

use super::Context;
use crate::flow::StreamsMetrics;

impl<KO, VO> Context<'_, KO, VO>
where
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
{
    /// Where the record being processed came from.
    pub fn record_metadata(&self) -> RecordMetadata {
        self.flow.record_metadata()
    }

    /// Timestamp of the record being processed, as it was forwarded to this node; below a timer, the time that
    /// it is given.
    pub fn timestamp(&self) -> Timestamp {
        self.flow.origin.timestamp
    }

    /// Headers of the record being processed, as they were forwarded to this node; empty below a
    /// punctuator.
    pub fn source_headers(&self) -> &Headers {
        &self.flow.origin_headers
    }

    /// Key bytes of the input record being read, also where a row of an earlier one leaves a cache or a buffer
    /// meanwhile; `None` for a null one, below a timer, and with a commit. Costs a reference count.
    pub fn source_raw_key(&self) -> Option<Bytes> {
        self.env.source_record()?.key
    }

    /// Value bytes of the input record being processed, as [`source_raw_key`](Self::source_raw_key).
    pub fn source_raw_value(&self) -> Option<Bytes> {
        self.env.source_record()?.value
    }

    /// Stream time of the task: the largest timestamp taken out of its queues; -1 before.
    pub fn stream_time(&self) -> Timestamp {
        self.flow.stream_time
    }

    /// Wall clock in ms since the epoch.
    pub fn wall_clock_time(&self) -> Timestamp {
        Timestamp(self.env.wall_ms())
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.flow.build.task
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        &self.flow.build.application_id
    }

    /// Where this application's local state lies: `state.dir` and the application id. A processor may
    /// keep files of its own there, under a directory that it makes and names after its task; `None`
    /// for a flow without configuration.
    pub fn state_dir(&self) -> Option<PathBuf> {
        let config = self.flow.options.config.as_ref()?;
        Some(config.state_dir().join(config.application_id()))
    }

    /// What the configuration was given, in the order of the keys; also keys that Millstream does not
    /// know, which are there for user code.
    pub fn app_configs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.flow.options.config.iter().flat_map(|config| config.app_configs())
    }

    /// What the configuration was given under keys that start with the prefix, which is left out.
    ///
    /// ```
    /// # use millstream_topology::{Context, Incoming, Processor, ProcessorError};
    /// struct Gate(i64);
    ///
    /// impl Processor for Gate {
    ///     # type KeyIn = i64;
    ///     # type ValueIn = i64;
    ///     # type KeyOut = i64;
    ///     # type ValueOut = i64;
    ///     fn init(&mut self, ctx: &mut Context<'_, i64, i64>) -> Result<(), ProcessorError> {
    ///         for (key, value) in ctx.app_configs_with_prefix("gate.") {
    ///             match key {
    ///                 "least" => self.0 = value.parse()?,
    ///                 other => return Err(format!("no such setting: gate.{other}").into()),
    ///             }
    ///         }
    ///         Ok(())
    ///     }
    ///     # fn process(
    ///     #     &mut self,
    ///     #     _: &mut Context<'_, i64, i64>,
    ///     #     _: Incoming<'_, i64, i64>,
    ///     # ) -> Result<(), ProcessorError> {
    ///     #     Ok(())
    ///     # }
    /// }
    /// ```
    pub fn app_configs_with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.app_configs().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value)))
    }

    /// The default serde of a type (Kafka Streams' `keySerde()` and `valueSerde()`): one that was registered with
    /// [`StreamsBuilder::register_serde`](crate::StreamsBuilder::register_serde), or one of
    /// [`Serdes`](millstream_types::Serdes); `None` for other types.
    pub fn default_serde<T: 'static>(&self) -> Option<Serde<T>> {
        self.flow.serdes.get()
    }

    /// The sensors of this instance, to make one's own (Kafka Streams' `metrics()`).
    /// [`StreamsMetrics`] has an example.
    pub fn metrics(&self) -> &StreamsMetrics {
        &self.flow.options.metrics
    }

    /// Name of this node.
    pub fn node_name(&self) -> &str {
        self.flow.node_name(self.index).map_or("", |name| name)
    }
}
