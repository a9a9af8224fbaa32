//! A table's store and what goes downstream of it: at once without a record cache, at eviction and
//! flush with one. Written once for all materialised tables.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::{
    FlushedEntry, Put, StateStore, TimestampedKeyValueStore, TimestampedWindowStore, ValueAndTimestamp,
};
use millstream_types::{Headers, Record, Result, Timestamp, Windowed};

use super::change::Change;
use crate::dsl::Switch;
use crate::flow::{Context, ProcessorError, StoreHandle};

/// A store that holds a table's rows with their timestamps.
pub(crate) trait RowStore<K, V>: StateStore + Sized {
    fn row(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>>;
    fn put_row(&mut self, key: &K, value: Option<V>, timestamp: Timestamp, headers: &Headers) -> Result<Put>;
    fn evicted(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<K, V>>>;
    fn dirty(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<K, V>>>;
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> RowStore<K, V> for TimestampedKeyValueStore<K, V> {
    fn row(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        self.get(key)
    }

    fn put_row(&mut self, key: &K, value: Option<V>, timestamp: Timestamp, headers: &Headers) -> Result<Put> {
        self.put_row(key, value, timestamp, headers)
    }

    fn evicted(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<K, V>>> {
        self.take_evicted(wants_old)
    }

    fn dirty(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<K, V>>> {
        self.take_dirty(wants_old)
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> RowStore<Windowed<K>, V> for TimestampedWindowStore<K, V> {
    fn row(&mut self, key: &Windowed<K>) -> Result<Option<ValueAndTimestamp<V>>> {
        self.fetch(&key.key, key.window.start)
    }

    fn put_row(&mut self, key: &Windowed<K>, value: Option<V>, time: Timestamp, headers: &Headers) -> Result<Put> {
        self.put_row(&key.key, key.window.start, value, time, headers)
    }

    fn evicted(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<Windowed<K>, V>>> {
        self.take_evicted(wants_old)
    }

    fn dirty(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<Windowed<K>, V>>> {
        self.take_dirty(wants_old)
    }
}

/// The store of a materialised table, seen by the operator that owns it.
pub(crate) struct TableOutput<K, V, S> {
    name: Arc<str>,
    sends_old: Switch,
    handle: Option<StoreHandle<S>>,
    is_cached: bool,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, S> Clone for TableOutput<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            sends_old: self.sends_old.clone(),
            handle: self.handle,
            is_cached: self.is_cached,
            types: PhantomData,
        }
    }
}

type TableContext<'a, K, V> = Context<'a, K, Change<V>>;

impl<K, V, S> TableOutput<K, V, S>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    S: RowStore<K, V>,
{
    pub(crate) fn new(name: Arc<str>, sends_old: Switch) -> Self {
        Self { name, sends_old, handle: None, is_cached: false, types: PhantomData }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn sends_old(&self) -> bool {
        self.sends_old.is_on()
    }

    pub(crate) fn init(&mut self, ctx: &mut TableContext<'_, K, V>) -> Result<()> {
        let handle = ctx.store_handle::<S>(&self.name)?;
        self.is_cached = ctx.store(handle).facts().is_cached;
        self.handle = Some(handle);
        Ok(())
    }

    /// The row as it is now.
    pub(crate) fn row(&self, ctx: &mut TableContext<'_, K, V>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        match self.handle {
            Some(handle) => ctx.store(handle).row(key),
            None => Ok(None),
        }
    }

    /// The row as it is now, if an update must tell it: with a cache the flush finds it itself.
    pub(crate) fn old_value(&self, ctx: &mut TableContext<'_, K, V>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        if self.is_cached { Ok(None) } else { self.row(ctx, key) }
    }

    /// Writes a row and tells downstream, at once or when the cache lets go of it. `record` carries
    /// key, timestamp and headers.
    pub(crate) fn put(
        &self,
        ctx: &mut TableContext<'_, K, V>,
        record: Record<K, ()>,
        new: Option<V>,
        old: Option<V>,
    ) -> Result<(), ProcessorError> {
        let Some(handle) = self.handle else { return Ok(()) };
        if self.is_cached {
            let put = ctx.store(handle).put_row(&record.key, new, record.timestamp, &record.headers)?;
            if put.is_over_budget {
                let evicted = ctx.store(handle).evicted(self.sends_old.is_on())?;
                self.forward_flushed(ctx, evicted);
            }
            return Ok(());
        }
        ctx.store(handle).put_row(&record.key, new.clone(), record.timestamp, &record.headers)?;
        let old = if self.sends_old.is_on() { old } else { None };
        ctx.forward(record.with_value(Change::new(new, old)));
        Ok(())
    }

    /// Writes all dirty rows through and forwards them.
    pub(crate) fn flush(&self, ctx: &mut TableContext<'_, K, V>) -> Result<(), ProcessorError> {
        let Some(handle) = self.handle.filter(|_| self.is_cached) else { return Ok(()) };
        loop {
            let dirty = ctx.store(handle).dirty(self.sends_old.is_on())?;
            if dirty.is_empty() {
                return Ok(());
            }
            self.forward_flushed(ctx, dirty);
        }
    }

    fn forward_flushed(&self, ctx: &mut TableContext<'_, K, V>, entries: Vec<FlushedEntry<K, V>>) {
        let sends_old = self.sends_old.is_on();
        for entry in entries {
            let old = if sends_old { entry.old } else { None };
            let record = Record {
                key: entry.key,
                value: Change::new(entry.new, old),
                timestamp: entry.timestamp,
                headers: entry.headers,
            };
            ctx.forward_from(entry.origin, record);
        }
    }
}
