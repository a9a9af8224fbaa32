//! `KTABLE-SUPPRESS`: a table's updates wait in a buffer and go on when their time has come.

use std::sync::Arc;

use millstream_state::{ChangeBuffer, ValueAndTimestamp};
use millstream_types::{Error, ErrorKind, Record, Result, Timestamp};

use super::change::Change;
use super::table_view::{TableView, ViewSupplier};
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreHandle, StoreScope};

/// What the operator is told when the topology is built.
pub(crate) struct SuppressSpec<K> {
    /// Name of the buffer.
    pub(crate) store: Arc<str>,
    /// How long an update waits, in ms of stream time.
    pub(crate) wait_ms: i64,
    /// The time from which it waits, if not the record's: the end of the key's window. Deleted rows
    /// are left out then, since nothing was ever emitted for a window.
    pub(crate) window_end: Option<fn(&K) -> Timestamp>,
    pub(crate) records_max: u64,
    pub(crate) bytes_max: u64,
    /// Whether a full buffer is an error; otherwise the oldest updates go early.
    pub(crate) is_strict: bool,
}

impl<K> Clone for SuppressSpec<K> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), ..*self }
    }
}

struct Suppress<K, V> {
    spec: SuppressSpec<K>,
    buffer: Option<StoreHandle<ChangeBuffer<K, V>>>,
    /// Largest timestamp this operator has seen. Starts anew with the task, as in Kafka Streams.
    stream_time: Timestamp,
}

pub(crate) fn suppress<K, V>(spec: SuppressSpec<K>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    NodeFactory::processor(move || Suppress::<K, V> {
        spec: spec.clone(),
        buffer: None,
        stream_time: Timestamp::UNKNOWN,
    })
}

type SuppressContext<'a, K, V> = Context<'a, K, Change<V>>;

impl<K, V> Suppress<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    fn is_full(&self, buffer: &ChangeBuffer<K, V>) -> bool {
        buffer.record_count() > self.spec.records_max || buffer.byte_count() > self.spec.bytes_max
    }

    /// Lets the first update go while `goes` says so.
    fn release_while(
        &self,
        ctx: &mut SuppressContext<'_, K, V>,
        handle: StoreHandle<ChangeBuffer<K, V>>,
        goes: impl Fn(&ChangeBuffer<K, V>) -> bool,
    ) -> Result<()> {
        while goes(ctx.store(handle)) {
            let Some(mut first) = ctx.store(handle).first()? else { return Ok(()) };
            let (old, new) = first.value;
            if new.is_some() || self.spec.window_end.is_none() {
                let timestamp = first.origin.timestamp;
                let value = Change::new(new, old);
                // It is still held while it is forwarded: who looks the row up sees the one before.
                ctx.forward_from(
                    &mut first.origin,
                    Record { key: first.key, value, timestamp, headers: first.headers },
                );
            }
            ctx.store(handle).remove_first();
        }
        Ok(())
    }

    fn full(&self, ctx: &mut SuppressContext<'_, K, V>, handle: StoreHandle<ChangeBuffer<K, V>>) -> Error {
        let buffer = ctx.store(handle);
        let (records, bytes) = (buffer.record_count(), buffer.byte_count());
        let SuppressSpec { records_max, bytes_max, .. } = self.spec;
        let message = format!(
            "the buffer exceeded its maximal capacity: it holds {records} of {records_max} records and {bytes} of \
             {bytes_max} bytes"
        );
        Error::new(ErrorKind::Processing, message)
    }
}

impl<K, V> Processor for Suppress<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Change<V>;
    type KeyOut = K;
    type ValueOut = Change<V>;

    fn init(&mut self, ctx: &mut SuppressContext<'_, K, V>) -> Result<(), ProcessorError> {
        self.buffer = Some(ctx.store_handle(&self.spec.store)?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut SuppressContext<'_, K, V>,
        record: Incoming<'_, K, Change<V>>,
    ) -> Result<(), ProcessorError> {
        let Some(handle) = self.buffer else { return Ok(()) };
        self.stream_time = self.stream_time.max(record.timestamp);
        let time = self.spec.window_end.map_or(record.timestamp, |window_end| window_end(&record.key));
        let Change { new, old, .. } = &record.value;
        ctx.store(handle).put(time, &record.key, old.as_ref(), new.as_ref(), &record.headers)?;
        let expired = Timestamp(self.stream_time.0.saturating_sub(self.spec.wait_ms));
        self.release_while(ctx, handle, |buffer| buffer.first_time().is_some_and(|first| first <= expired))?;
        if self.is_full(ctx.store(handle)) {
            if self.spec.is_strict {
                return Err(self.full(ctx, handle).into());
            }
            self.release_while(ctx, handle, |buffer| self.is_full(buffer))?;
        }
        Ok(())
    }
}

impl<K, V> ViewSupplier<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// The rows as they were before what a buffer holds back.
    pub(crate) fn behind_buffer(self, buffer: &Arc<str>) -> Self {
        let (name, make) = (Arc::clone(buffer), self.make);
        let stores = [Arc::clone(buffer)].into_iter().chain(self.stores).collect();
        let make = move || {
            Box::new(SuppressedView { inner: make(), name: Arc::clone(&name), buffer: None })
                as Box<dyn TableView<K, V>>
        };
        Self { stores, make: Arc::new(make), is_versioned: false }
    }
}

struct SuppressedView<K, V> {
    inner: Box<dyn TableView<K, V>>,
    name: Arc<str>,
    buffer: Option<StoreHandle<ChangeBuffer<K, V>>>,
}

impl<K, V> TableView<K, V> for SuppressedView<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()> {
        self.buffer = Some(scope.store_handle(&self.name)?);
        self.inner.init(scope)
    }

    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        let Some(handle) = self.buffer else { return Ok(None) };
        match scope.store(handle).prior_value(key)? {
            Some(prior) => Ok(prior.map(|value| ValueAndTimestamp { value, timestamp: Timestamp::UNKNOWN })),
            None => self.inner.get(scope, key),
        }
    }
}
