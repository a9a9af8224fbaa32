//! Collecting values before they are checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::{
    Config, DslStoreChoice, HandlerChoice, LogFlush, ProcessingGuarantee, TaskIdle, TimestampExtractorChoice,
    debug_given, rules,
};
use crate::Error;

/// Values given so far, as text by key. Nothing is checked before [`Self::build`], so that all
/// problems are told together.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigBuilder {
    given: BTreeMap<String, String>,
}

impl ConfigBuilder {
    pub(super) fn from_map(given: BTreeMap<String, String>) -> Self {
        Self { given }
    }

    /// Gives any key, known or not, with any prefix (`consumer.`, `producer.`, `topic.`, …).
    /// Replaces what was given before.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts read best without an ampersand")]
    pub fn set(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.given.insert(key.into(), value.to_string());
        self
    }

    /// Adds what another builder has; where both have a key, the other one wins.
    #[must_use]
    pub fn merge(mut self, later: Self) -> Self {
        self.given.extend(later.given);
        self
    }

    /// `application.id`: the group id, and the prefix of internal topics.
    #[must_use]
    pub fn application_id(self, id: &str) -> Self {
        self.set("application.id", id)
    }

    /// `bootstrap.servers`: `host:port,…`, `embedded:DIR` or `memory:`.
    #[must_use]
    pub fn bootstrap_servers(self, servers: &str) -> Self {
        self.set("bootstrap.servers", servers)
    }

    /// `client.id`.
    #[must_use]
    pub fn client_id(self, id: &str) -> Self {
        self.set("client.id", id)
    }

    /// `num.stream.threads`.
    #[must_use]
    pub fn num_stream_threads(self, threads: usize) -> Self {
        self.set("num.stream.threads", threads)
    }

    /// `processing.guarantee`.
    #[must_use]
    pub fn processing_guarantee(self, guarantee: ProcessingGuarantee) -> Self {
        self.set("processing.guarantee", guarantee)
    }

    /// `commit.interval.ms`.
    #[must_use]
    pub fn commit_interval(self, interval: Duration) -> Self {
        self.set("commit.interval.ms", interval.as_millis())
    }

    /// `state.dir`: local state lies below it, in a directory per application.
    #[must_use]
    pub fn state_dir(self, dir: impl AsRef<Path>) -> Self {
        self.set("state.dir", dir.as_ref().display())
    }

    /// `statestore.cache.max.bytes`: the record cache of the whole instance.
    #[must_use]
    pub fn statestore_cache_max_bytes(self, bytes: u64) -> Self {
        self.set("statestore.cache.max.bytes", bytes)
    }

    /// `statestore.memory.max.bytes`: memory of all local stores on disk together.
    #[must_use]
    pub fn statestore_memory_max_bytes(self, bytes: u64) -> Self {
        self.set("statestore.memory.max.bytes", bytes)
    }

    /// `statestore.uncommitted.max.bytes`: a thread commits early above it.
    #[must_use]
    pub fn statestore_uncommitted_max_bytes(self, bytes: u64) -> Self {
        self.set("statestore.uncommitted.max.bytes", bytes)
    }

    /// `max.task.idle.ms`: a time, or one of [`TaskIdle`]'s other choices.
    #[must_use]
    pub fn max_task_idle(self, idle: impl Into<TaskIdle>) -> Self {
        self.set("max.task.idle.ms", idle.into().as_millis())
    }

    /// `task.timeout.ms`.
    #[must_use]
    pub fn task_timeout(self, timeout: Duration) -> Self {
        self.set("task.timeout.ms", timeout.as_millis())
    }

    /// `buffered.records.per.partition`.
    #[must_use]
    pub fn buffered_records_per_partition(self, records: usize) -> Self {
        self.set("buffered.records.per.partition", records)
    }

    /// `poll.ms`: longest wait for records.
    #[must_use]
    pub fn poll(self, wait: Duration) -> Self {
        self.set("poll.ms", wait.as_millis())
    }

    /// `repartition.purge.interval.ms`.
    #[must_use]
    pub fn repartition_purge_interval(self, interval: Duration) -> Self {
        self.set("repartition.purge.interval.ms", interval.as_millis())
    }

    /// `replication.factor` of internal topics; -1 is the broker's default.
    #[must_use]
    pub fn replication_factor(self, factor: i32) -> Self {
        self.set("replication.factor", factor)
    }

    /// `topology.optimization`: `all`, `none` or a list.
    #[must_use]
    pub fn topology_optimization(self, optimization: &str) -> Self {
        self.set("topology.optimization", optimization)
    }

    /// `errors.dead.letter.queue.topic.name`: where handlers put the records they drop.
    #[must_use]
    pub fn dead_letter_queue_topic(self, topic: &str) -> Self {
        self.set("errors.dead.letter.queue.topic.name", topic)
    }

    /// `default.timestamp.extractor`.
    #[must_use]
    pub fn default_timestamp_extractor(self, extractor: TimestampExtractorChoice) -> Self {
        self.set("default.timestamp.extractor", extractor)
    }

    /// `deserialization.exception.handler`.
    #[must_use]
    pub fn deserialization_exception_handler(self, handler: HandlerChoice) -> Self {
        self.set("deserialization.exception.handler", handler)
    }

    /// `processing.exception.handler`.
    #[must_use]
    pub fn processing_exception_handler(self, handler: HandlerChoice) -> Self {
        self.set("processing.exception.handler", handler)
    }

    /// `production.exception.handler`.
    #[must_use]
    pub fn production_exception_handler(self, handler: HandlerChoice) -> Self {
        self.set("production.exception.handler", handler)
    }

    /// `dsl.store.suppliers.class`: where stores of the DSL live.
    #[must_use]
    pub fn dsl_store(self, store: DslStoreChoice) -> Self {
        self.set("dsl.store.suppliers.class", store)
    }

    /// `log.flush`: what the embedded log survives.
    #[must_use]
    pub fn log_flush(self, flush: LogFlush) -> Self {
        self.set("log.flush", flush)
    }

    /// `session.timeout.ms`.
    #[must_use]
    pub fn session_timeout(self, timeout: Duration) -> Self {
        self.set("session.timeout.ms", timeout.as_millis())
    }

    /// Checks everything.
    ///
    /// # Errors
    /// One of kind `Configuration` that lists every problem: key, value and what is allowed.
    pub fn build(self) -> Result<Config, Error> {
        rules::build(self.given)
    }

    /// Checks everything without using it up; see [`Self::build`].
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn validate(&self) -> Result<(), Error> {
        self.clone().build().map(|_| ())
    }
}

impl fmt::Debug for ConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfigBuilder ")?;
        debug_given(&self.given, f)
    }
}
