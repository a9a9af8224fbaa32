//! A task: the runnable flow of one partition of a sub-topology, with its input queues.
//!
//! A task knows neither threads nor the log: batches come in by [`Task::add`], records go out
//! through a [`TaskOutput`], time is handed in. Between the thread and the flow it keeps what must
//! be committed: which offsets are processed and what the stores have written.

mod changelogs;
mod commit;
mod env;
mod heap;
mod held;
mod metadata;
mod options;
mod output;
mod queue;
mod queues;
mod routes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use millstream_log::batch::{Batch, BatchBuilder, Compression, Stamp};
use millstream_log::{Fetched, ReadPosition};
use millstream_state::StateStore;
use millstream_topology::PunctuationType;
use millstream_topology::flow::{Flow, GlobalState};
use millstream_types::{Error, ErrorKind, Now, Offset, RawRecord, Result, TaskId, Timestamp, TopicPartition};
use parking_lot::RwLock;

use crate::task_lock::TaskLock;
pub use changelogs::StoreChangelog;
pub use commit::Applied;
pub(crate) use commit::of_store;
pub use options::{FlowControl, TaskInput, TaskOptions};
pub use output::TaskOutput;

use changelogs::Changelogs;
use env::TaskEnv;
use held::Held;
pub(crate) use metadata::CommitMetadata;
use queue::{HeadState, QueueRules, RecordQueue};
use queues::RecordQueues;
use routes::Routes;

/// The runnable flow of one partition of a sub-topology. See the [module](self).
pub struct Task {
    flow: Flow,
    queues: RecordQueues,
    rules: QueueRules,
    routes: Routes,
    changelogs: Changelogs,
    globals: Option<Arc<RwLock<GlobalState>>>,
    buffered_records_max: usize,
    /// Whether offsets are committed before their records are processed (`at_most_once`).
    claims_first: bool,
    /// Whether the task is about to be given up: what it claimed and has not processed goes back.
    is_closing: bool,
    inputs: Vec<InputState>,
    control: Vec<FlowControl>,
    /// Stores with writes that their engines do not have.
    unapplied: Vec<commit::Unapplied>,
    commit_requested: bool,
    /// Whether something ran since the last commit that may have changed state or output.
    is_dirty: bool,
    /// Its claim to its stores. Stands last, to be dropped after the engines.
    lock: Option<TaskLock>,
}

/// What is known of an input besides its queue.
#[derive(Debug)]
struct InputState {
    /// Offset and time of the last commit, or of the start.
    committed: (Offset, Timestamp),
    /// Those of the commit under way.
    committing: Option<(Offset, Timestamp)>,
    /// Whether an offset was ever committed.
    has_history: bool,
    is_paused: bool,
    /// Fetched, and not to be processed before it is committed.
    held: Held,
}

impl Task {
    /// A task over its flow. The stores of the flow are open; restore them, then call
    /// [`init`](Self::init).
    ///
    /// # Errors
    /// `Topology` when the flow has no source of an input's name.
    pub fn new(
        flow: Flow,
        inputs: Vec<TaskInput>,
        changelogs: &[StoreChangelog],
        options: &TaskOptions,
    ) -> Result<Self> {
        let mut queues = Vec::with_capacity(inputs.len());
        let mut states = Vec::with_capacity(inputs.len());
        let mut processors = BTreeMap::new();
        for input in inputs {
            let unknown = || Error::new(ErrorKind::Topology, format!("the flow has no source {}", input.source));
            let source = flow.source(&input.source).ok_or_else(unknown)?;
            let head = flow.new_head(source).ok_or_else(unknown)?;
            let metadata = CommitMetadata::decode(&input.metadata);
            let mut queue = RecordQueue::new(input.partition, source, head, input.position);
            queue.partition_time = metadata.partition_time;
            for (name, value) in metadata.processors {
                let known = processors.entry(name).or_insert(value);
                *known = value.max(*known);
            }
            states.push(InputState {
                committed: (input.position.offset, metadata.partition_time),
                committing: None,
                has_history: input.is_committed && !input.metadata.is_empty(),
                is_paused: false,
                held: Held::default(),
            });
            queues.push(queue);
        }
        let mut flow = flow;
        flow.set_processor_metadata(processors);
        Ok(Self {
            changelogs: Changelogs::new(flow.stores(), changelogs),
            flow,
            queues: RecordQueues::new(queues, options.idle),
            rules: QueueRules {
                extraction: options.extraction,
                handler: Arc::clone(&options.deserialization_handler),
                dead_letter_topic: options.dead_letter_topic.clone(),
            },
            routes: Routes::default(),
            globals: options.globals.clone(),
            buffered_records_max: options.buffered_records_max,
            claims_first: options.claims_first,
            is_closing: false,
            inputs: states,
            control: Vec::new(),
            unapplied: Vec::new(),
            commit_requested: false,
            is_dirty: false,
            lock: None,
        })
    }

    /// Keeps the claim to its stores as long as the task lives.
    pub(crate) fn keep(&mut self, lock: Option<TaskLock>) {
        self.lock = lock;
    }

    /// The task's id.
    pub fn id(&self) -> TaskId {
        self.flow.task()
    }

    /// Starts the processors, with the stream time of the last commit.
    ///
    /// # Errors
    /// What a processor's `init` fails with; the task cannot run then.
    pub fn init(&mut self, output: &mut dyn TaskOutput, now: Now) -> Result<()> {
        let times = self.queues.list.iter().map(|queue| queue.partition_time);
        let stream_time = times.max().unwrap_or(Timestamp::UNKNOWN);
        let has_sent = self.run(output, now, |flow, env| flow.init(env, stream_time).map(|()| env.has_sent))?;
        self.changelogs.drain((self.flow.task(), now), self.flow.stores_mut(), output)?;
        self.is_dirty |= has_sent || self.changelogs.is_written();
        Ok(())
    }

    /// The input partitions and where reading them goes on.
    pub fn positions(&self) -> impl Iterator<Item = (&TopicPartition, ReadPosition)> {
        let queues = self.queues.list.iter().zip(&self.inputs);
        queues.map(|(queue, input)| (&queue.partition, input.held.next().unwrap_or(queue.next)))
    }

    /// Whether a partition is one of the inputs.
    pub fn reads(&self, partition: &TopicPartition) -> bool {
        self.queues.find(partition).is_some()
    }

    /// The input partitions that are paused.
    pub fn paused(&self) -> impl Iterator<Item = &TopicPartition> {
        let inputs = self.queues.list.iter().zip(&self.inputs);
        inputs.filter(|(_, input)| input.is_paused).map(|(queue, _)| &queue.partition)
    }

    /// Takes fetched batches of one of the task's partitions. `false` if it is none of them.
    ///
    /// # Errors
    /// Of the new head: see [`process`](Self::process).
    pub fn add(&mut self, output: &mut dyn TaskOutput, now: Now, fetched: Fetched) -> Result<bool> {
        self.add_of(None, output, now, fetched)
    }

    fn add_of(
        &mut self,
        topic: Option<&Arc<str>>,
        output: &mut dyn TaskOutput,
        now: Now,
        fetched: Fetched,
    ) -> Result<bool> {
        let Some(at) = self.queues.find(&fetched.partition) else { return Ok(false) };
        if let (Some(queue), Some(input)) = (self.queues.list.get_mut(at), self.inputs.get_mut(at)) {
            queue.end = Some(fetched.end);
            if self.claims_first && !(fetched.batches.is_empty() && input.held.is_empty()) {
                input.held.add(fetched);
                self.control_flow(at);
                return Ok(true);
            }
            queue.next = fetched.position();
            if !fetched.batches.is_empty() {
                queue.add(fetched.batches, fetched.from, topic);
                self.refill(at, output, now)?;
            }
        }
        self.control_flow(at);
        Ok(true)
    }

    /// Takes one record of `topic` into the queue of a partition, for those who have no log: the
    /// test driver, where one queue stands for all topics that a pattern matches.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_record(
        &mut self,
        output: &mut dyn TaskOutput,
        now: Now,
        partition: &TopicPartition,
        topic: &Arc<str>,
        record: &RawRecord,
    ) -> Result<bool> {
        let mut builder = BatchBuilder::new();
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
        let bytes: Bytes = builder.finish(Stamp::NONE, Compression::None);
        let (batch, _) = Batch::parse(bytes)
            .map_err(|error| Error::new(ErrorKind::Fatal, "a record could not be laid out").with_source(error))?;
        let next = record.offset.next();
        self.add_of(
            Some(topic),
            output,
            now,
            Fetched {
                partition: partition.clone(),
                batches: vec![batch.with_base_offset(record.offset)],
                from: record.offset,
                next,
                leader_epoch: -1,
                end: next,
                log_start: Offset(0),
            },
        )
    }

    /// Says where a partition's log ends, as asked from the log: what `max.task.idle.ms` needs to
    /// know before the first fetch.
    pub fn set_end(&mut self, partition: &TopicPartition, end: Offset) {
        if let Some(queue) = self.queues.find(partition).and_then(|at| self.queues.list.get_mut(at)) {
            queue.end = Some(end);
        }
    }

    /// Whether a record may be processed now: one waits, and `max.task.idle.ms` lets it go.
    pub fn is_ready(&mut self, now: Now) -> bool {
        self.queues.is_ready(now)
    }

    /// When a task that waits for empty partitions goes on without them (monotonic ns).
    pub fn ready_at(&self) -> Option<u64> {
        self.queues.ready_at()
    }

    /// Processes up to `records_max` records, while the task is ready; how many it took out of the
    /// queues.
    ///
    /// # Errors
    /// What no handler continued from. The task is of no use afterwards.
    pub fn process(&mut self, output: &mut dyn TaskOutput, now: Now, records_max: usize) -> Result<usize> {
        if !self.queues.is_ready(now) {
            return Ok(0);
        }
        self.lock_globals()?;
        let processed = self.process_locked(output, now, records_max);
        self.flow.unlock_globals();
        let processed = processed?;
        self.changelogs.drain((self.flow.task(), now), self.flow.stores_mut(), output)?;
        Ok(processed)
    }

    fn process_locked(&mut self, output: &mut dyn TaskOutput, now: Now, records_max: usize) -> Result<usize> {
        let mut processed = 0;
        while processed < records_max && self.queues.is_ready(now) {
            let Some(at) = self.queues.take() else { break };
            let Some(queue) = self.queues.list.get_mut(at) else { break };
            if queue.state == HeadState::Ready {
                queue.read_ahead(&mut self.flow);
                let mut env = TaskEnv {
                    output: &mut *output,
                    routes: &mut self.routes,
                    commit_requested: &mut self.commit_requested,
                    wall_ms: now.wall_ms,
                    source: queue.cursor.as_ref(),
                    has_sent: false,
                };
                self.flow.process(&mut env, queue.source, &mut *queue.head, &queue.origin, &queue.headers)?;
            }
            self.is_dirty = true;
            queue.pop();
            processed += 1;
            self.refill(at, output, now)?;
            self.control_flow(at);
        }
        Ok(processed)
    }

    /// Fires the stream-time timers that are due; whether any fired.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn punctuate_stream_time(&mut self, output: &mut dyn TaskOutput, now: Now) -> Result<bool> {
        let time = self.flow.stream_time();
        if time == Timestamp::UNKNOWN {
            return Ok(false);
        }
        self.punctuate(output, now, PunctuationType::StreamTime, time)
    }

    /// Fires the wall-clock timers that are due; whether any fired.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn punctuate_wall_clock(&mut self, output: &mut dyn TaskOutput, now: Now) -> Result<bool> {
        self.punctuate(output, now, PunctuationType::WallClockTime, Timestamp(now.wall_ms))
    }

    fn punctuate(
        &mut self,
        output: &mut dyn TaskOutput,
        now: Now,
        kind: PunctuationType,
        time: Timestamp,
    ) -> Result<bool> {
        let fired = self.run(output, now, |flow, env| flow.punctuate(env, kind, time))?;
        if fired {
            self.is_dirty = true;
            self.changelogs.drain((self.flow.task(), now), self.flow.stores_mut(), output)?;
        }
        Ok(fired)
    }

    /// When the next wall-clock timer is due, in ms since the epoch.
    pub fn next_wall_clock_timer(&self) -> Option<i64> {
        self.flow.next_wall_clock_timer()
    }

    /// Flushes caches and buffers and writes what they give to outputs and changelogs: the first
    /// part of a commit.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn flush(&mut self, output: &mut dyn TaskOutput, now: Now) -> Result<()> {
        self.run(output, now, |flow, env| flow.flush(env))?;
        self.changelogs.drain((self.flow.task(), now), self.flow.stores_mut(), output)?;
        // Even without a record: what a processor has put into a cache when it started.
        self.is_dirty |= self.changelogs.is_written();
        Ok(())
    }

    /// Bytes that the stores hold and have not yet applied, committed or not.
    pub fn uncommitted_bytes(&self) -> usize {
        self.flow.stores().iter().map(|store| store.uncommitted_bytes()).sum()
    }

    /// The partitions to pause or resume since the last call, in order.
    pub fn take_flow_control(&mut self) -> Vec<FlowControl> {
        std::mem::take(&mut self.control)
    }

    /// Records dropped since the last call (`dropped-records-total`).
    pub fn take_dropped(&mut self) -> u64 {
        self.flow.take_dropped()
    }

    /// Records waiting in the queues.
    pub fn buffered(&self) -> usize {
        let held = self.inputs.iter().map(|input| input.held.len()).sum::<usize>();
        self.queues.list.iter().map(RecordQueue::len).sum::<usize>() + held
    }

    /// Records that are known to be in the log and not processed, fetched or not.
    pub fn lag(&self) -> i64 {
        self.queues.list.iter().map(|queue| queue.lag().unwrap_or(0).saturating_add(queue.len() as i64)).sum()
    }

    /// Stream time: the largest timestamp taken out of the queues; -1 before.
    pub fn stream_time(&self) -> Timestamp {
        self.flow.stream_time()
    }

    /// The stores, in flush order.
    pub fn stores(&self) -> &[Box<dyn StateStore>] {
        self.flow.stores()
    }

    /// The stores, in flush order.
    pub fn stores_mut(&mut self) -> &mut [Box<dyn StateStore>] {
        self.flow.stores_mut()
    }

    /// The changelog of the store at that place of [`stores`](Self::stores).
    pub fn changelog(&self, store: usize) -> Option<&StoreChangelog> {
        self.changelogs.get(store)
    }

    /// Closes the processors.
    pub fn close(&mut self) {
        self.flow.close();
    }

    fn run<T>(
        &mut self,
        output: &mut dyn TaskOutput,
        now: Now,
        run: impl FnOnce(&mut Flow, &mut TaskEnv<'_>) -> Result<T>,
    ) -> Result<T> {
        self.lock_globals()?;
        let mut env = TaskEnv {
            output,
            routes: &mut self.routes,
            commit_requested: &mut self.commit_requested,
            wall_ms: now.wall_ms,
            source: None,
            has_sent: false,
        };
        let outcome = run(&mut self.flow, &mut env);
        self.flow.unlock_globals();
        outcome
    }

    fn lock_globals(&mut self) -> Result<()> {
        self.globals.as_ref().map_or(Ok(()), |globals| self.flow.lock_globals(globals))
    }

    /// Decodes the next head of a queue without one and puts the queue up for choice.
    fn refill(&mut self, at: usize, output: &mut dyn TaskOutput, now: Now) -> Result<()> {
        let Some(queue) = self.queues.list.get_mut(at) else { return Ok(()) };
        if queue.state != HeadState::None {
            return Ok(());
        }
        let mut env = TaskEnv {
            output,
            routes: &mut self.routes,
            commit_requested: &mut self.commit_requested,
            wall_ms: now.wall_ms,
            source: None,
            has_sent: false,
        };
        queue.fill(&mut self.flow, &mut env, &self.rules)?;
        self.queues.offer(at);
        Ok(())
    }

    /// Pauses a partition that holds more than its share, resumes one that does not any more.
    fn control_flow(&mut self, at: usize) {
        let (Some(queue), Some(input)) = (self.queues.list.get(at), self.inputs.get_mut(at)) else { return };
        let held = if input.held.is_empty() { 0 } else { input.held.len() };
        let pause = queue.len() + held > self.buffered_records_max;
        if pause != input.is_paused {
            input.is_paused = pause;
            self.control.push(FlowControl { partition: queue.partition.clone(), pause });
        }
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("id", &self.id()).field("buffered", &self.buffered()).finish_non_exhaustive()
    }
}
