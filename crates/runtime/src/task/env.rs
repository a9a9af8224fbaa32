//! The world around a task's flow.

use std::sync::Arc;

use millstream_log::batch::Records;
use millstream_topology::flow::{FlowEnv, SinkRecord};
use millstream_types::{RawRecord, Result};

use super::TaskOutput;
use super::routes::Routes;

/// What a flow sees while one record, timer or flush runs. Made anew for each: it is only borrows.
pub(crate) struct TaskEnv<'a> {
    pub(crate) output: &'a mut dyn TaskOutput,
    pub(crate) routes: &'a mut Routes,
    pub(crate) commit_requested: &'a mut bool,
    pub(crate) wall_ms: i64,
    /// The queue whose head is being processed.
    pub(crate) source: Option<&'a Records>,
    /// Whether anything was sent.
    pub(crate) has_sent: bool,
}

impl FlowEnv for TaskEnv<'_> {
    fn send(&mut self, record: SinkRecord<'_>) -> Result<()> {
        let to = self.routes.find(&record, self.output)?;
        self.has_sent = true;
        self.output.append(to, record.timestamp, record.key, record.value, record.headers)
    }

    fn partition_count(&mut self, topic: &Arc<str>) -> Result<i32> {
        self.output.partition_count(topic)
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms
    }

    fn request_commit(&mut self) {
        *self.commit_requested = true;
    }

    fn source_record(&self) -> Option<RawRecord> {
        self.source.and_then(Records::current).map(|record| record.to_raw())
    }
}
