//! The arena: nodes, stores and timers of one task, and how a record walks through them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use millstream_state::{Origin, StateStore};
use millstream_types::{Error, Headers, RawRecord, RecordMetadata, SerdeRegistry, TaskId, Timestamp};

use super::any_processor::{AnyContext, AnyProcessor};
use super::build::{FlowBuild, FlowOptions, NodeIndex};
use super::context::Context;
use super::env::FlowEnv;
use super::failures::{Cause, panic_text};
use super::global::{GlobalState, GlobalView};
use super::head::Head;
use super::input::{AnyRecord, Input};
use super::node::RecordType;
use super::processor::ProcessorError;
use super::timer::{PunctuationType, Timers};

/// A node and what the arena knows of it.
pub(crate) struct FlowNode {
    pub(crate) name: Arc<str>,
    /// `None` for sources, and while the node runs.
    pub(crate) code: Option<Box<dyn AnyProcessor>>,
    /// What the node forwards; `None` for sinks.
    pub(crate) output: Option<RecordType>,
    pub(crate) children: Box<[NodeIndex]>,
    /// Stores the node may use, by name and place.
    pub(crate) stores: Vec<(Arc<str>, usize)>,
}

/// The runnable topology of one task. See the [module](super) for how records move.
pub struct Flow {
    pub(crate) build: FlowBuild,
    pub(crate) options: Arc<FlowOptions>,
    /// Default serdes, for processors that ask.
    pub(crate) serdes: SerdeRegistry,
    pub(crate) nodes: Vec<FlowNode>,
    pub(crate) stores: Vec<Box<dyn StateStore>>,
    pub(crate) globals: GlobalView,
    pub(crate) timers: Timers,
    /// Where the record being processed comes from, with the timestamp it was forwarded with.
    pub(crate) origin: Origin,
    pub(crate) origin_headers: Headers,
    pub(crate) stream_time: Timestamp,
    pub(crate) queue_heads: Vec<(NodeIndex, Arc<dyn Fn() -> Box<dyn Head> + Send + Sync>)>,
    pub(crate) flush_order: Vec<FlushStep>,
    /// The stores that the records of a source may reach, by place; filled when first asked for.
    pub(super) stores_below: Vec<(NodeIndex, Box<[usize]>)>,
    /// What processors ask to be remembered with the input offsets, by name.
    pub(crate) metadata: BTreeMap<String, i64>,
    /// A processor that cannot start is never asked about: the task cannot run.
    pub(super) is_starting: bool,
    failure: Option<Error>,
    pub(super) dropped: u64,
}

/// One step of a flush, in store order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FlushStep {
    /// The node flushes what it buffers, its cached stores among it.
    Node(NodeIndex),
    /// Nobody listens to the store's cache; it is written through.
    Store(usize),
}

impl Flow {
    pub(crate) fn new(build: FlowBuild, options: Arc<FlowOptions>, serdes: SerdeRegistry) -> Self {
        Self {
            build,
            options,
            serdes,
            nodes: Vec::new(),
            stores: Vec::new(),
            globals: GlobalView::default(),
            timers: Timers::default(),
            origin: no_origin(Timestamp::UNKNOWN),
            origin_headers: Headers::new(),
            stream_time: Timestamp::UNKNOWN,
            queue_heads: Vec::new(),
            flush_order: Vec::new(),
            stores_below: Vec::new(),
            metadata: BTreeMap::new(),
            is_starting: false,
            failure: None,
            dropped: 0,
        }
    }

    /// The task this flow belongs to.
    pub fn task(&self) -> TaskId {
        self.build.task
    }

    /// What processors ask to be remembered with the input offsets, by name.
    pub fn processor_metadata(&self) -> &BTreeMap<String, i64> {
        &self.metadata
    }

    /// Gives processors back what they asked to be remembered; before [`init`](Self::init).
    pub fn set_processor_metadata(&mut self, metadata: BTreeMap<String, i64>) {
        self.metadata = metadata;
    }

    /// The source node of that name.
    pub fn source(&self, name: &str) -> Option<NodeIndex> {
        let is_source = |index: &NodeIndex| self.node(*index).is_some_and(|node| *node.name == *name);
        self.queue_heads.iter().map(|(index, _)| *index).find(is_source)
    }

    /// A slot for the head of a queue of that source.
    pub fn new_head(&self, source: NodeIndex) -> Option<Box<dyn Head>> {
        self.queue_heads.iter().find(|(index, _)| *index == source).map(|(_, make)| make())
    }

    /// Calls `init` of every node, parents first. `stream_time` is what was committed (-1 at first).
    pub fn init(&mut self, env: &mut dyn FlowEnv, stream_time: Timestamp) -> Result<(), Error> {
        self.stream_time = stream_time;
        self.is_starting = true;
        for index in self.indexes() {
            self.enter(env, index, |node, ctx| node.init(ctx));
        }
        self.is_starting = false;
        self.check()
    }

    /// Runs the record in `head` through the flow. `timestamp` is its extracted timestamp.
    ///
    /// # Errors
    /// What no handler continued from. The flow is of no use afterwards.
    pub fn process(
        &mut self,
        env: &mut dyn FlowEnv,
        source: NodeIndex,
        head: &mut dyn Head,
        origin: &Origin,
        headers: &Headers,
    ) -> Result<(), Error> {
        self.origin.set(origin);
        if self.options.keeps_raw_records {
            self.origin.raw = env.source_record().map(apart).map(Arc::new);
        }
        if !(headers.is_empty() && self.origin_headers.is_empty()) {
            self.origin_headers = headers.clone();
        }
        self.stream_time = self.stream_time.max(origin.timestamp);
        let count = self.child_count(source);
        for position in 0..count {
            let Some(child) = self.child(source, position) else { continue };
            if position + 1 == count {
                self.run(env, child, Input::Given(head.give()), origin.timestamp);
            } else if let Some(record) = head.lend() {
                self.run(env, child, Input::Lent(record), origin.timestamp);
            }
        }
        self.check()
    }

    /// Fires the timers of that clock that are due; whether any fired.
    pub fn punctuate(&mut self, env: &mut dyn FlowEnv, kind: PunctuationType, now: Timestamp) -> Result<bool, Error> {
        let mut has_fired = false;
        while let Some((index, timer)) = self.timers.take_due(kind, now) {
            has_fired = true;
            self.origin = no_origin(now);
            self.origin_headers = Headers::new();
            self.enter(env, index, |node, ctx| node.punctuate(ctx, timer, now));
            self.timers.fired(kind, now);
        }
        if has_fired {
            self.check()?;
        }
        Ok(has_fired)
    }

    /// When the next wall-clock timer is due, in ms since the epoch.
    pub fn next_wall_clock_timer(&self) -> Option<i64> {
        self.timers.next_due(PunctuationType::WallClockTime)
    }

    /// Flushes caches and buffers in store order; what they forward runs through the flow.
    pub fn flush(&mut self, env: &mut dyn FlowEnv) -> Result<(), Error> {
        for step in 0..self.flush_order.len() {
            match self.flush_order.get(step) {
                Some(FlushStep::Node(index)) => {
                    let index = *index;
                    self.origin = no_origin(self.stream_time);
                    self.enter(env, index, |node, ctx| node.flush(ctx));
                }
                Some(FlushStep::Store(store)) => {
                    if let Some(store) = self.stores.get_mut(*store) {
                        store.flush_cache()?;
                    }
                }
                None => {}
            }
        }
        self.check()
    }

    /// Calls `close` of every node.
    pub fn close(&mut self) {
        for node in &mut self.nodes {
            if let Some(code) = &mut node.code {
                // A panic in user code while closing must not keep the others from closing.
                if catch_unwind(AssertUnwindSafe(|| code.close())).is_err() {
                    tracing::warn!(node = %node.name, task = %self.build.task, "a processor panicked in close");
                }
            }
        }
    }

    /// Stream time of the task: the largest timestamp taken out of its queues; -1 before.
    pub fn stream_time(&self) -> Timestamp {
        self.stream_time
    }

    /// The task's stores, in flush order.
    pub fn stores_mut(&mut self) -> &mut [Box<dyn StateStore>] {
        &mut self.stores
    }

    /// The task's stores, in flush order.
    pub fn stores(&self) -> &[Box<dyn StateStore>] {
        &self.stores
    }

    /// Lets the nodes read the global stores until [`Self::unlock_globals`]: one lock for a batch.
    ///
    /// # Errors
    /// `Retriable` while the stores are being filled.
    pub fn lock_globals(&mut self, state: &Arc<parking_lot::RwLock<GlobalState>>) -> Result<(), Error> {
        self.globals.lock(state)
    }

    /// Gives the global stores free again.
    pub fn unlock_globals(&mut self) {
        self.globals.unlock();
    }

    /// Records dropped since the last call (`dropped-records-total`).
    pub fn take_dropped(&mut self) -> u64 {
        let by_stores: u64 = self.stores.iter_mut().map(|store| store.take_dropped()).sum();
        std::mem::take(&mut self.dropped) + by_stores
    }

    /// Counts dropped records.
    pub fn count_dropped(&mut self, records: u64) {
        self.dropped += records;
    }

    /// Name of a node.
    pub fn node_name(&self, index: NodeIndex) -> Option<&Arc<str>> {
        self.node(index).map(|node| &node.name)
    }

    pub(crate) fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    pub(crate) fn record_metadata(&self) -> RecordMetadata {
        RecordMetadata {
            topic: self.origin.topic.clone(),
            partition: self.origin.partition,
            offset: self.origin.offset,
        }
    }

    pub(crate) fn node(&self, index: NodeIndex) -> Option<&FlowNode> {
        self.nodes.get(index.0 as usize)
    }

    pub(crate) fn child_count(&self, index: NodeIndex) -> usize {
        self.node(index).map_or(0, |node| node.children.len())
    }

    pub(crate) fn child(&self, index: NodeIndex, position: usize) -> Option<NodeIndex> {
        self.node(index)?.children.get(position).copied()
    }

    /// Runs one node with a record that was forwarded with `timestamp`.
    pub(crate) fn run(&mut self, env: &mut dyn FlowEnv, index: NodeIndex, input: Input<'_>, timestamp: Timestamp) {
        let before = std::mem::replace(&mut self.origin.timestamp, timestamp);
        // Each by itself: a reference travels in registers, either of two by way of memory.
        match input {
            Input::Lent(record) => {
                self.enter(env, index, |node, ctx| node.process(ctx, AnyRecord(Input::Lent(record))));
            }
            Input::Given(slot) => {
                self.enter(env, index, |node, ctx| node.process(ctx, AnyRecord(Input::Given(slot))));
            }
        }
        self.origin.timestamp = before;
    }

    /// Takes a node out of its slot, runs it, puts it back whatever happens, and asks the
    /// processing handler if it failed.
    fn enter(
        &mut self,
        env: &mut dyn FlowEnv,
        index: NodeIndex,
        run: impl FnOnce(&mut dyn AnyProcessor, &mut AnyContext<'_>) -> Result<(), ProcessorError>,
    ) {
        if self.failure.is_some() {
            return;
        }
        let slot = index.0 as usize;
        let Some(mut code) = self.nodes.get_mut(slot).and_then(|node| node.code.take()) else { return };
        // The flow is only used after an unwind to report it or to go on with the next record, as
        // the handler decides; a node whose own state broke is the user's to mind.
        let outcome =
            catch_unwind(AssertUnwindSafe(|| run(&mut *code, &mut Context::new(&mut *self, &mut *env, index))));
        if let Some(node) = self.nodes.get_mut(slot) {
            node.code = Some(code);
        }
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.processing_failed(env, index, Cause::Error(error)),
            Err(panic) => self.processing_failed(env, index, Cause::Panic(panic_text(&*panic))),
        }
    }

    pub(super) fn indexes(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len() as u32).map(NodeIndex)
    }

    fn check(&mut self) -> Result<(), Error> {
        // The failure stays: a flow that failed must not run on.
        self.failure.clone().map_or(Ok(()), Err)
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow").field("task", &self.build.task).field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

/// A record in memory of its own: what keeps it does not keep the batch that it came in.
fn apart(raw: RawRecord) -> RawRecord {
    let own = |bytes: Bytes| Bytes::copy_from_slice(&bytes);
    RawRecord { key: raw.key.map(own), value: raw.value.map(own), headers: Headers::new(), ..raw }
}

/// Where nothing comes from: no record is being processed.
pub(super) fn no_origin(timestamp: Timestamp) -> Origin {
    Origin { timestamp, ..Origin::NONE }
}
