//! What a processor may do: forward, use stores, set timers, ask where it is.

mod facts;

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use millstream_state::{Origin, StateStore};
use millstream_types::clock::millis;
use millstream_types::{
    CodecError, Error, ErrorKind, Headers, Record, RecordMetadata, Result, Serde, TaskId, Timestamp,
};

use super::Flow;
use super::arena::no_origin;
use super::build::NodeIndex;
use super::env::FlowEnv;
use super::input::{Incoming, Input};
use super::timer::{PunctuationType, Timer};

/// A processor's access to the task around it. `KO` and `VO` are the types it forwards.
///
/// ```
/// # use millstream_state::{KeyValueStore, Stores};
/// # use millstream_testkit::TopologyTestDriver;
/// # use millstream_topology::{Context, Incoming, Processor, ProcessorError, PunctuationType};
/// # use millstream_topology::{StoreHandle, StreamsBuilder, Timer};
/// # use millstream_types::{Record, Serdes, Timestamp};
/// # use std::time::Duration;
/// /// Counts in a store, and tells the counts every ten milliseconds of stream time.
/// struct Ticker(Option<StoreHandle<KeyValueStore<i64, i64>>>);
///
/// impl Processor for Ticker {
///     # type KeyIn = i64;
///     # type ValueIn = i64;
///     # type KeyOut = i64;
///     # type ValueOut = i64;
///     fn init(&mut self, ctx: &mut Context<'_, i64, i64>) -> Result<(), ProcessorError> {
///         self.0 = Some(ctx.store_handle("counts")?);
///         ctx.schedule(Duration::from_millis(10), PunctuationType::StreamTime);
///         Ok(())
///     }
///
///     fn process(
///         &mut self,
///         ctx: &mut Context<'_, i64, i64>,
///         record: Incoming<'_, i64, i64>,
///     ) -> Result<(), ProcessorError> {
///         let counts = ctx.store(self.0.ok_or("no store")?);
///         let count = counts.get(&record.key)?.unwrap_or(0) + 1;
///         counts.put(&record.key, Some(count))?;
///         Ok(())
///     }
///
///     fn punctuate(
///         &mut self,
///         ctx: &mut Context<'_, i64, i64>,
///         _: Timer,
///         now: Timestamp,
///     ) -> Result<(), ProcessorError> {
///         // The iterator is a snapshot: it does not hold the context.
///         for row in ctx.store(self.0.ok_or("no store")?).all()? {
///             let (key, count) = row?;
///             ctx.forward(Record::new(key, count, now));
///         }
///         Ok(())
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// builder.add_state_store(Stores::key_value_store_builder("counts", Serdes::long(), Serdes::long()));
/// builder.stream::<i64, i64>("in").process_with(|| Ticker(None), &["counts"]).to("out");
///
/// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
/// let input = driver.create_input_topic("in", Serdes::long(), Serdes::long());
/// for time in [1, 2, 11] {
///     input.pipe_input_at(7, 0, Timestamp(time))?;
/// }
/// let out = driver.create_output_topic("out", Serdes::long(), Serdes::long());
/// // The first timer was due with the first record.
/// assert_eq!(out.read_key_values_to_list()?, [(7, 1), (7, 3)]);
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct Context<'a, KO, VO> {
    pub(crate) flow: &'a mut Flow,
    pub(crate) env: &'a mut dyn FlowEnv,
    pub(crate) index: NodeIndex,
    types: PhantomData<fn(KO, VO)>,
}

static NO_HEADERS: Headers = Headers::new();

/// A processor's handle to one of its stores, typed by the store. Made by
/// [`Context::store_handle`], usually in `init`; valid in the flow that made it.
#[derive(Debug)]
pub struct StoreHandle<S> {
    place: usize,
    store: PhantomData<fn(S)>,
}

impl<S> Clone for StoreHandle<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for StoreHandle<S> {}

impl<S: StateStore> StoreHandle<S> {
    #[expect(clippy::expect_used, reason = "a handle is made only for a store of this type in this flow")]
    fn of(self, stores: &mut [Box<dyn StateStore>]) -> &mut S {
        let store = stores.get_mut(self.place).expect("a handle's store is in its flow");
        store.as_any_mut().downcast_mut().expect("a handle's store has its type")
    }
}

impl<'a, KO, VO> Context<'a, KO, VO> {
    pub(crate) fn new(flow: &'a mut Flow, env: &'a mut dyn FlowEnv, index: NodeIndex) -> Self {
        Self { flow, env, index, types: PhantomData }
    }

    /// The same context, for a while.
    pub(crate) fn reborrow(&mut self) -> Context<'_, KO, VO> {
        self.retyped()
    }

    /// The same context, for a while, for what the node forwards by other types.
    pub(crate) fn retyped<K, V>(&mut self) -> Context<'_, K, V> {
        Context { flow: &mut *self.flow, env: &mut *self.env, index: self.index, types: PhantomData }
    }
}

impl<KO, VO> Context<'_, KO, VO>
where
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
{
    /// Sends a record to all children, depth first, in the order they were connected: it is lent
    /// to all but the last and given to the last. What a child fails with goes to the processing
    /// exception handler, not to the caller; after a fatal failure further calls do nothing.
    pub fn forward(&mut self, record: Record<KO, VO>) {
        let timestamp = record.timestamp;
        self.with_headers_of(&mut Some(record), |ctx, slot| ctx.push(slot, timestamp));
    }

    /// Forwards a record, whose headers are those of the flow meanwhile: what fails below is told
    /// with them.
    fn with_headers_of(
        &mut self,
        record: &mut Option<Record<KO, VO>>,
        forward: impl FnOnce(&mut Self, &mut Option<Record<KO, VO>>),
    ) {
        let headers = record.as_ref().map_or(&NO_HEADERS, |record| &record.headers);
        if headers.is_same_list(&self.flow.origin_headers) {
            return forward(self, record);
        }
        let before = std::mem::replace(&mut self.flow.origin_headers, headers.clone());
        forward(self, record);
        self.flow.origin_headers = before;
    }

    /// Sends an incoming record on as it is, without taking or cloning it.
    pub fn forward_incoming(&mut self, record: Incoming<'_, KO, VO>) {
        match record {
            Incoming::Given(slot, _) => {
                let timestamp = slot.as_ref().map_or(Timestamp::UNKNOWN, |record| record.timestamp);
                self.push(slot, timestamp);
            }
            Incoming::Lent(record) => {
                for position in 0..self.flow.child_count(self.index) {
                    if let Some(child) = self.flow.child(self.index, position) {
                        self.flow.run(self.env, child, Input::Lent(record), record.timestamp);
                    }
                }
            }
        }
    }

    /// Lends a record to all children and keeps it.
    pub(crate) fn lend(&mut self, record: &Record<KO, VO>) {
        self.forward_incoming(Incoming::Lent(record));
    }

    /// How often an operator looks for results that are due, in ms of the wall clock.
    pub(crate) fn emit_interval_ms(&self) -> i64 {
        self.flow.options.emit_interval_ms
    }

    /// Sends a record to one child only, by its name.
    ///
    /// # Errors
    /// `Topology` when no child has that name; the message lists the children there are.
    pub fn forward_to(&mut self, child: &str, record: Record<KO, VO>) -> Result<()> {
        let children = self.flow.node(self.index).map_or(&[] as &[_], |node| &node.children);
        let named = |index: &&NodeIndex| self.flow.node_name(**index).is_some_and(|name| **name == *child);
        let Some(index) = children.iter().find(named).copied() else {
            let known: Vec<&str> =
                children.iter().filter_map(|index| self.flow.node_name(*index)).map(|name| &**name).collect();
            let message = format!("unknown downstream node {child}; the children are: {}", known.join(", "));
            return Err(Error::new(ErrorKind::Topology, message));
        };
        self.forward_to_index(index, record);
        Ok(())
    }

    /// Sends a record to the child at that position, counted in the order of connection; nothing
    /// happens when there is none.
    pub(crate) fn forward_to_position(&mut self, position: usize, record: Incoming<'_, KO, VO>) {
        let Some(index) = self.flow.child(self.index, position) else { return };
        let timestamp = record.timestamp;
        match record {
            Incoming::Lent(record) => self.flow.run(self.env, index, Input::Lent(record), timestamp),
            Incoming::Given(slot, _) => self.flow.run(self.env, index, Input::Given(slot), timestamp),
        }
    }

    /// Forwards a record as if it had come from elsewhere: a flushed cache entry with the context
    /// captured when it was written. The origin is the caller's again afterwards.
    pub fn forward_from(&mut self, origin: &mut Origin, record: Record<KO, VO>) {
        self.from(origin, |ctx| ctx.forward(record));
    }

    /// Runs something as if for a record from elsewhere. The origin is the caller's again afterwards, also after a panic.
    pub(crate) fn from<T>(&mut self, origin: &mut Origin, run: impl FnOnce(&mut Self) -> T) -> T {
        std::mem::swap(&mut self.flow.origin, origin);
        with_end(self, run, |ctx| std::mem::swap(&mut ctx.flow.origin, origin))
    }

    fn forward_to_index(&mut self, index: NodeIndex, record: Record<KO, VO>) {
        let timestamp = record.timestamp;
        self.with_headers_of(&mut Some(record), |ctx, slot| {
            ctx.flow.run(ctx.env, index, Input::Given(slot), timestamp);
        });
    }

    fn push(&mut self, slot: &mut Option<Record<KO, VO>>, timestamp: Timestamp) {
        let count = self.flow.child_count(self.index);
        for position in 0..count {
            let Some(child) = self.flow.child(self.index, position) else { continue };
            if position + 1 == count {
                self.flow.run(self.env, child, Input::Given(slot), timestamp);
            } else if let Some(record) = slot.as_ref() {
                self.flow.run(self.env, child, Input::Lent(record), timestamp);
            }
        }
    }

    /// A handle to a store connected to this node.
    ///
    /// # Errors
    /// `Topology` when the store is not connected to this node or is of another type.
    pub fn store_handle<S: StateStore>(&mut self, name: &str) -> Result<StoreHandle<S>> {
        self.scope().store_handle(name)
    }

    /// A store. Writes carry the time and origin of the record being processed.
    pub fn store<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        StoreScope { flow: &mut *self.flow, index: self.index }.into_store(handle)
    }

    /// A store, and the origin of the record being processed for it to be changed. Nothing is written that comes from
    /// there: the store does not hear of it.
    pub(crate) fn store_and_origin<S: StateStore>(&mut self, handle: StoreHandle<S>) -> (&mut S, &mut Origin) {
        let Flow { stores, origin, .. } = &mut *self.flow;
        (handle.of(stores), origin)
    }

    /// The value under a key of a global store, read with these serdes; `None` where there is none.
    /// Any processor may ask, without being connected to the store.
    ///
    /// # Errors
    /// `State` when there is no such store, or none are open: they are while a record is processed.
    /// `Processing` when key or value do not fit the serdes.
    pub fn global_value<K, V>(&self, store: &str, key: &K, keys: &Serde<K>, values: &Serde<V>) -> Result<Option<V>> {
        let unfit = |what: &str, error: CodecError| {
            let message = format!("the {what} does not fit the serde given for global store {store}");
            Error::new(ErrorKind::Processing, message).with_source(error)
        };
        let mut bytes = Vec::new();
        if !keys.encode(key, &mut bytes).map_err(|error| unfit("key", error))? {
            return Ok(None);
        }
        let decode = |value: &[u8]| values.decode(Some(value)).map_err(|error| unfit("value", error));
        self.flow.globals.get(store, &bytes, decode)
    }

    /// The stores without the types that are forwarded.
    pub(crate) fn scope(&mut self) -> StoreScope<'_> {
        StoreScope { flow: &mut *self.flow, index: self.index }
    }

    /// Starts a timer. A stream-time timer is first due at 0, so with the first record, a
    /// wall-clock timer one interval from now; then at multiples of the interval. Intervals that
    /// were missed collapse into one call. An interval under 1 ms counts as 1 ms.
    pub fn schedule(&mut self, interval: Duration, kind: PunctuationType) -> Timer {
        let interval_ms = interval_ms(interval);
        let first_due = match kind {
            PunctuationType::StreamTime => 0,
            PunctuationType::WallClockTime => self.env.wall_ms().saturating_add(interval_ms),
        };
        self.flow.timers.add(self.index, kind, interval_ms, first_due)
    }

    /// Starts a timer on the grid `start + n * interval` (KIP-1146). A start in the past means the
    /// next point of the grid.
    pub fn schedule_at(&mut self, start: Timestamp, interval: Duration, kind: PunctuationType) -> Timer {
        let interval_ms = interval_ms(interval);
        let now = match kind {
            PunctuationType::StreamTime => self.flow.stream_time.0,
            PunctuationType::WallClockTime => self.env.wall_ms(),
        };
        let missed = now.saturating_sub(start.0);
        let first_due = if missed <= 0 {
            start.0
        } else {
            start.0.saturating_add((missed / interval_ms).saturating_add(1).saturating_mul(interval_ms))
        };
        self.flow.timers.add(self.index, kind, interval_ms, first_due)
    }

    /// Stops a timer; one that is stopped already is ignored.
    pub fn cancel(&mut self, timer: Timer) {
        self.flow.timers.cancel(timer);
    }

    /// Asks for a commit soon.
    pub fn commit(&mut self) {
        self.env.request_commit();
    }

    /// A number that was remembered with the input offsets.
    pub(crate) fn processor_metadata(&self, name: &str) -> Option<i64> {
        self.flow.metadata.get(name).copied()
    }

    /// Has a number remembered with the input offsets.
    pub(crate) fn set_processor_metadata(&mut self, name: &str, value: i64) {
        match self.flow.metadata.get_mut(name) {
            Some(known) => *known = value,
            None => drop(self.flow.metadata.insert(name.to_owned(), value)),
        }
    }

    /// Counts records that this processor leaves out (`dropped-records-total`).
    pub fn count_dropped(&mut self, records: u64) {
        self.flow.count_dropped(records);
    }

    /// Counts the record being processed as left out, and says why in the log.
    #[cold]
    pub(crate) fn drop_record(&mut self, why: &str) {
        tracing::warn!(node = self.node_name(), "{why}");
        self.count_dropped(1);
    }
}

/// A node's stores, and where it is, without anything to forward: what a
/// [`ValueTransformer`](super::ValueTransformer) may use.
pub struct StoreScope<'a> {
    flow: &'a mut Flow,
    index: NodeIndex,
}

impl<'a> StoreScope<'a> {
    /// A handle to a store connected to this node.
    ///
    /// # Errors
    /// `Topology` when the store is not connected to this node or is of another type.
    pub fn store_handle<S: StateStore>(&mut self, name: &str) -> Result<StoreHandle<S>> {
        let node = self.flow.node(self.index);
        let place = node.and_then(|node| node.stores.iter().find(|(store, _)| **store == *name).map(|(_, at)| *at));
        let problem = |text: String| Err(Error::new(ErrorKind::Topology, text));
        let Some(place) = place else {
            let processor = node.map_or("", |node| &node.name);
            return problem(format!(
                "processor {processor} has no access to state store {name}: it is not connected to it"
            ));
        };
        match self.flow.stores.get(place) {
            Some(store) if store.as_any().is::<S>() => Ok(StoreHandle { place, store: PhantomData }),
            _ => problem(format!("state store {name} is not a {}", std::any::type_name::<S>())),
        }
    }

    /// A store. Writes carry the time and origin of the record being processed.
    pub fn store<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        StoreScope { flow: &mut *self.flow, index: self.index }.into_store(handle)
    }

    /// Where the record being processed came from.
    pub fn record_metadata(&self) -> RecordMetadata {
        self.flow.record_metadata()
    }

    /// Timestamp of the record being processed.
    pub fn timestamp(&self) -> Timestamp {
        self.flow.origin.timestamp
    }

    /// Stream time of the task: the largest timestamp taken out of its queues; -1 before.
    pub fn stream_time(&self) -> Timestamp {
        self.flow.stream_time
    }

    /// The task.
    pub fn task_id(&self) -> TaskId {
        self.flow.build.task
    }

    /// The application id.
    pub fn application_id(&self) -> &str {
        &self.flow.build.application_id
    }

    /// Runs something as if for a record of that time from nowhere: a row that is looked up. Afterwards, also after a
    /// panic, all is as it was.
    pub(crate) fn at_row<T>(&mut self, timestamp: Timestamp, run: impl FnOnce(&mut Self) -> T) -> T {
        let origin = std::mem::replace(&mut self.flow.origin, no_origin(timestamp));
        let headers = std::mem::take(&mut self.flow.origin_headers);
        with_end(self, run, |scope| {
            scope.flow.origin = origin;
            scope.flow.origin_headers = headers;
        })
    }

    fn into_store<S: StateStore>(self, handle: StoreHandle<S>) -> &'a mut S {
        let store = handle.of(&mut self.flow.stores);
        store.enter(&self.flow.origin, &self.flow.origin_headers);
        store
    }

    /// The global stores.
    pub(crate) fn globals(&self) -> &super::global::GlobalView {
        &self.flow.globals
    }
}

/// Runs something and then its end, which comes also after a panic.
fn with_end<C, T>(context: &mut C, run: impl FnOnce(&mut C) -> T, end: impl FnOnce(&mut C)) -> T {
    let result = catch_unwind(AssertUnwindSafe(|| run(context)));
    end(context);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

fn interval_ms(interval: Duration) -> i64 {
    millis(interval).max(1)
}
