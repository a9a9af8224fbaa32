//! Processors that cannot change the key of a record, so that a stream stays partitioned.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use millstream_state::{StateStore, StoreFactory};
use millstream_types::{Headers, Record, Result, Timestamp};

use super::{Context, Incoming, Processor, ProcessorError, ProcessorSupplier, PunctuationType, StoreHandle, Timer};

/// Code at a node that keeps the key of each record: Kafka Streams' `FixedKeyProcessor` (KIP-820), for
/// [`KStream::process_values`](crate::KStream::process_values), which has an example.
///
/// It is a [`Processor`] in all but this: it forwards [`FixedKeyRecord`]s, and those are made from the
/// record that came in only. So a timer forwards what was kept of records, as in Kafka Streams.
///
/// ```compile_fail
/// # use millstream_topology::{FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor, ProcessorError};
/// # struct Rekey;
/// # impl FixedKeyProcessor for Rekey {
/// #     type Key = i64;
/// #     type ValueIn = i64;
/// #     type ValueOut = i64;
/// fn process(
///     &mut self,
///     ctx: &mut FixedKeyContext<'_, i64, i64>,
///     record: FixedKeyIncoming<'_, i64, i64>,
/// ) -> Result<(), ProcessorError> {
///     let mut record = record.into_record();
///     record.key = 7; // Does not compile.
///     ctx.forward(record);
///     Ok(())
/// }
/// # }
/// ```
pub trait FixedKeyProcessor: Send + 'static {
    /// Type of the keys.
    type Key: Clone + Send + 'static;
    /// Type of the values it takes.
    type ValueIn: Clone + Send + 'static;
    /// Type of the values it forwards.
    type ValueOut: Clone + Send + 'static;

    /// Called once before the first record, with all stores open and restored.
    ///
    /// # Errors
    /// Any error keeps the task from starting.
    fn init(&mut self, ctx: &mut FixedKeyContext<'_, Self::Key, Self::ValueOut>) -> Result<(), ProcessorError> {
        let _ = ctx;
        Ok(())
    }

    /// Called for every record.
    ///
    /// # Errors
    /// What it fails with goes to the processing exception handler.
    fn process(
        &mut self,
        ctx: &mut FixedKeyContext<'_, Self::Key, Self::ValueOut>,
        record: FixedKeyIncoming<'_, Self::Key, Self::ValueIn>,
    ) -> Result<(), ProcessorError>;

    /// Called when a timer is due, as [`Processor::punctuate`].
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn punctuate(
        &mut self,
        ctx: &mut FixedKeyContext<'_, Self::Key, Self::ValueOut>,
        timer: Timer,
        timestamp: Timestamp,
    ) -> Result<(), ProcessorError> {
        let _ = (ctx, timer, timestamp);
        Ok(())
    }

    /// Called when the task closes cleanly.
    fn close(&mut self) {}
}

/// A record whose key stays: Kafka Streams' `FixedKeyRecord`. Its parts are read as those of a
/// [`Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedKeyRecord<K, V>(Record<K, V>);

impl<K, V> FixedKeyRecord<K, V> {
    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> FixedKeyRecord<K, V2> {
        FixedKeyRecord(self.0.with_value(value))
    }

    /// The same record with another timestamp.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        Self(self.0.with_timestamp(timestamp))
    }

    /// The same record with these headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self(Record { headers, ..self.0 })
    }
}

impl<K, V> Deref for FixedKeyRecord<K, V> {
    type Target = Record<K, V>;

    fn deref(&self) -> &Record<K, V> {
        &self.0
    }
}

/// A record arriving at a [`FixedKeyProcessor`]. Look at it through `Deref`;
/// [`into_record`](Self::into_record) makes it the node's own, which clones only if a sibling still
/// needs it.
pub struct FixedKeyIncoming<'a, K, V>(Incoming<'a, K, V>);

impl<K: Clone, V: Clone> FixedKeyIncoming<'_, K, V> {
    /// The record itself; clones it if it was lent.
    pub fn into_record(self) -> FixedKeyRecord<K, V> {
        FixedKeyRecord(self.0.into_record())
    }
}

impl<K, V> Deref for FixedKeyIncoming<'_, K, V> {
    type Target = Record<K, V>;

    fn deref(&self) -> &Record<K, V> {
        &self.0
    }
}

/// A [`FixedKeyProcessor`]'s access to the task around it: what [`Context`] tells, and what it does
/// except forwarding records under other keys. Kafka Streams' `FixedKeyProcessorContext`.
pub struct FixedKeyContext<'a, K, V>(Context<'a, K, V>);

impl<'a, K, V> Deref for FixedKeyContext<'a, K, V> {
    type Target = Context<'a, K, V>;

    fn deref(&self) -> &Context<'a, K, V> {
        &self.0
    }
}

impl<K, V> FixedKeyContext<'_, K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Sends a record to all children, as [`Context::forward`].
    pub fn forward(&mut self, record: FixedKeyRecord<K, V>) {
        self.0.forward(record.0);
    }

    /// Sends an incoming record on as it is, without taking or cloning it.
    pub fn forward_incoming(&mut self, record: FixedKeyIncoming<'_, K, V>) {
        self.0.forward_incoming(record.0);
    }

    /// Sends a record to one child only, by its name.
    ///
    /// # Errors
    /// As [`Context::forward_to`].
    pub fn forward_to(&mut self, child: &str, record: FixedKeyRecord<K, V>) -> Result<()> {
        self.0.forward_to(child, record.0)
    }

    /// A handle to a store connected to this node.
    ///
    /// # Errors
    /// As [`Context::store_handle`].
    pub fn store_handle<S: StateStore>(&mut self, name: &str) -> Result<StoreHandle<S>> {
        self.0.store_handle(name)
    }

    /// A store. Writes carry the time and origin of the record being processed.
    pub fn store<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        self.0.store(handle)
    }

    /// Starts a timer, as [`Context::schedule`].
    pub fn schedule(&mut self, interval: Duration, kind: PunctuationType) -> Timer {
        self.0.schedule(interval, kind)
    }

    /// Starts a timer on a grid, as [`Context::schedule_at`].
    pub fn schedule_at(&mut self, start: Timestamp, interval: Duration, kind: PunctuationType) -> Timer {
        self.0.schedule_at(start, interval, kind)
    }

    /// Stops a timer; one that is stopped already is ignored.
    pub fn cancel(&mut self, timer: Timer) {
        self.0.cancel(timer);
    }

    /// Asks for a commit soon.
    pub fn commit(&mut self) {
        self.0.commit();
    }

    /// Counts records that this processor leaves out (`dropped-records-total`).
    pub fn count_dropped(&mut self, records: u64) {
        self.0.count_dropped(records);
    }
}

/// Runs a processor that keeps the key as any other.
pub(crate) struct FixedKey<P>(P);

impl<P: FixedKeyProcessor> Processor for FixedKey<P> {
    type KeyIn = P::Key;
    type ValueIn = P::ValueIn;
    type KeyOut = P::Key;
    type ValueOut = P::ValueOut;

    fn init(&mut self, ctx: &mut Context<'_, P::Key, P::ValueOut>) -> Result<(), ProcessorError> {
        self.0.init(&mut FixedKeyContext(ctx.reborrow()))
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, P::Key, P::ValueOut>,
        record: Incoming<'_, P::Key, P::ValueIn>,
    ) -> Result<(), ProcessorError> {
        self.0.process(&mut FixedKeyContext(ctx.reborrow()), FixedKeyIncoming(record))
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_, P::Key, P::ValueOut>,
        timer: Timer,
        timestamp: Timestamp,
    ) -> Result<(), ProcessorError> {
        self.0.punctuate(&mut FixedKeyContext(ctx.reborrow()), timer, timestamp)
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// Supplies processors that keep the key as any others.
pub(crate) struct FixedKeySupplier<S>(pub(crate) S);

impl<P, S: ProcessorSupplier<P>> ProcessorSupplier<FixedKey<P>> for FixedKeySupplier<S> {
    fn get(&self) -> FixedKey<P> {
        FixedKey(self.0.get())
    }

    fn stores(&self) -> Vec<Arc<dyn StoreFactory>> {
        self.0.stores()
    }
}
