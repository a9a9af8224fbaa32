//! A table's store and what goes downstream of it: at once without a record cache, at eviction and
//! flush with one. Written once for all materialised tables.

use std::sync::Arc;

use millstream_state::{
    FlushedEntry, Put, PutReturn, StateStore, TimestampedKeyValueStore, TimestampedWindowStore, ValueAndTimestamp,
    VersionedKeyValueStore, VersionedRecord,
};
use millstream_types::{Headers, Record, Result, Timestamp, Windowed};

use super::change::Change;
use crate::dsl::Switch;
use crate::flow::{Context, ProcessorError, StoreHandle, StoreScope};

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

/// The store behind a table, opened: the one its operator usually has, or a versioned one.
pub(crate) enum Rows<K, V, S> {
    Usual(StoreHandle<S>),
    Versioned(StoreHandle<VersionedKeyValueStore<K, V>>),
}

impl<K, V, S> Clone for Rows<K, V, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, S> Copy for Rows<K, V, S> {}

impl<K, V, S> Rows<K, V, S>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    S: RowStore<K, V>,
{
    pub(crate) fn open(scope: &mut StoreScope<'_>, name: &str) -> Result<Self> {
        if let Ok(store) = scope.store_handle(name) {
            return Ok(Self::Versioned(store));
        }
        scope.store_handle(name).map(Self::Usual)
    }

    /// The newest row of a key.
    pub(crate) fn row(self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        match self {
            Self::Usual(store) => scope.store(store).row(key),
            Self::Versioned(store) => Ok(scope.store(store).get(key)?.map(newest)),
        }
    }

    /// The row as it was at a time, where the store knows; else the newest.
    pub(crate) fn row_as_of(
        self,
        scope: &mut StoreScope<'_>,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<ValueAndTimestamp<V>>> {
        match self {
            Self::Usual(store) => scope.store(store).row(key),
            Self::Versioned(store) => Ok(scope.store(store).get_as_of(key, time)?.map(newest)),
        }
    }
}

fn newest<V>(record: VersionedRecord<V>) -> ValueAndTimestamp<V> {
    ValueAndTimestamp::new(record.value, record.timestamp)
}

/// The store of a materialised table, seen by the operator that owns it.
pub(crate) struct TableOutput<K, V, S> {
    name: Arc<str>,
    sends_old: Switch,
    rows: Option<Rows<K, V, S>>,
    is_cached: bool,
}

impl<K, V, S> Clone for TableOutput<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            sends_old: self.sends_old.clone(),
            rows: self.rows,
            is_cached: self.is_cached,
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
        Self { name, sends_old, rows: None, is_cached: false }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn sends_old(&self) -> bool {
        self.sends_old.is_on()
    }

    pub(crate) fn init(&mut self, ctx: &mut TableContext<'_, K, V>) -> Result<()> {
        let rows = Rows::<K, V, S>::open(&mut ctx.scope(), &self.name)?;
        self.is_cached = match rows {
            Rows::Usual(store) => ctx.store(store).facts().is_cached,
            // Its updates may not be collapsed.
            Rows::Versioned(_) => false,
        };
        self.rows = Some(rows);
        Ok(())
    }

    /// The row as it is now.
    pub(crate) fn row(&self, ctx: &mut TableContext<'_, K, V>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        match self.rows {
            Some(rows) => rows.row(&mut ctx.scope(), key),
            None => Ok(None),
        }
    }

    /// The row as it is now, if an update must tell it: with a cache the flush finds it itself.
    pub(crate) fn old_value(&self, ctx: &mut TableContext<'_, K, V>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        if self.is_cached { Ok(None) } else { self.row(ctx, key) }
    }

    /// Writes a row and tells downstream, at once or when the cache lets go of it. `record` carries
    /// key, timestamp and headers. A version too late for a versioned store goes nowhere.
    pub(crate) fn put(
        &self,
        ctx: &mut TableContext<'_, K, V>,
        record: Record<K, ()>,
        new: Option<V>,
        old: Option<V>,
    ) -> Result<(), ProcessorError> {
        let old = if self.sends_old.is_on() { old } else { None };
        let handle = match self.rows {
            Some(Rows::Usual(handle)) => handle,
            Some(Rows::Versioned(store)) => {
                let put = ctx.store(store).put(&record.key, new.clone(), record.timestamp)?;
                if put != PutReturn::NotPut {
                    ctx.forward(record.with_value(Change { new, old, is_latest: put == PutReturn::Latest }));
                }
                return Ok(());
            }
            None => return Ok(()),
        };
        if self.is_cached {
            let put = ctx.store(handle).put_row(&record.key, new, record.timestamp, &record.headers)?;
            if put.is_over_budget {
                let evicted = ctx.store(handle).evicted(self.sends_old.is_on())?;
                self.forward_flushed(ctx, evicted);
            }
            return Ok(());
        }
        ctx.store(handle).put_row(&record.key, new.clone(), record.timestamp, &record.headers)?;
        ctx.forward(record.with_value(Change::new(new, old)));
        Ok(())
    }

    /// Writes all dirty rows through and forwards them.
    pub(crate) fn flush(&self, ctx: &mut TableContext<'_, K, V>) -> Result<(), ProcessorError> {
        let Some(Rows::Usual(handle)) = self.rows.filter(|_| self.is_cached) else { return Ok(()) };
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
