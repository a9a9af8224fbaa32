//! A table's store and what goes downstream of it: at once without a record cache, at eviction and
//! flush with one. Written once for all materialised tables.

use std::sync::Arc;

use millstream_state::{
    FlushedEntry, Origin, Put, PutReturn, SessionStore, StateStore, StoreIterator, TimestampedKeyValueStore,
    TimestampedWindowStore, ValueAndTimestamp, VersionedKeyValueStore, VersionedRecord,
};
use millstream_types::{Headers, Record, Result, Timestamp, Window, Windowed};

use super::change::Change;
use crate::dsl::Switch;
use crate::flow::{Context, ProcessorError, StoreHandle, StoreScope};

/// A store that holds a table's rows with their timestamps.
pub(crate) trait RowStore<K, V>: StateStore + Sized {
    fn row(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>>;
    fn put_row(&mut self, key: &K, value: Option<V>, timestamp: Timestamp, headers: &Headers) -> Result<Put>;
    fn next_evicted(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<K, V>>>;
    fn next_dirty(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<K, V>>>;

    fn evict_silently(&mut self) -> Result<()>;

    /// Takes it upon itself to forward what leaves the record cache.
    fn own(&mut self);

    /// Whether a read, or a write of somebody else, has brought more into the record caches than fits.
    fn owes_eviction(&self) -> bool;

    /// Deletes a row.
    fn remove_row(&mut self, key: &K, timestamp: Timestamp, headers: &Headers) -> Result<Put> {
        self.put_row(key, None, timestamp, headers)
    }
}

/// A store whose rows lie in windows, so that those of closed windows can be found.
pub(crate) trait WindowRows<K, V>: RowStore<K, V> {
    /// The rows of windows whose starts, for sessions whose ends, lie within the span.
    fn within(&mut self, span: (i64, i64)) -> Result<StoreIterator<(K, ValueAndTimestamp<V>)>>;
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> RowStore<K, V> for TimestampedKeyValueStore<K, V> {
    fn row(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        self.get(key)
    }

    fn put_row(&mut self, key: &K, value: Option<V>, timestamp: Timestamp, headers: &Headers) -> Result<Put> {
        self.put_row(key, value, timestamp, headers)
    }

    fn next_evicted(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<K, V>>> {
        self.next_evicted(wants_old, origin)
    }

    fn next_dirty(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<K, V>>> {
        self.next_dirty(wants_old, origin)
    }

    fn evict_silently(&mut self) -> Result<()> {
        self.evict_silently()
    }

    fn own(&mut self) {
        self.own();
    }

    fn owes_eviction(&self) -> bool {
        self.owes_eviction()
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> RowStore<Windowed<K>, V> for TimestampedWindowStore<K, V> {
    fn row(&mut self, key: &Windowed<K>) -> Result<Option<ValueAndTimestamp<V>>> {
        self.fetch(&key.key, key.window.start)
    }

    fn put_row(&mut self, key: &Windowed<K>, value: Option<V>, time: Timestamp, headers: &Headers) -> Result<Put> {
        self.put_row(&key.key, key.window.start, value, time, headers)
    }

    fn next_evicted(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        self.next_evicted(wants_old, origin)
    }

    fn next_dirty(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        self.next_dirty(wants_old, origin)
    }

    fn evict_silently(&mut self) -> Result<()> {
        self.evict_silently()
    }

    fn own(&mut self) {
        self.own();
    }

    fn owes_eviction(&self) -> bool {
        self.owes_eviction()
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> WindowRows<Windowed<K>, V> for TimestampedWindowStore<K, V> {
    fn within(&mut self, (from, to): (i64, i64)) -> Result<StoreIterator<(Windowed<K>, ValueAndTimestamp<V>)>> {
        self.fetch_all(Timestamp(from), Timestamp(to))
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> RowStore<Windowed<K>, V> for SessionStore<K, V> {
    fn row(&mut self, key: &Windowed<K>) -> Result<Option<ValueAndTimestamp<V>>> {
        let Window { start, end } = key.window;
        let value = self.fetch_session(&key.key, start, end)?;
        Ok(value.map(|value| ValueAndTimestamp::new(value, end)))
    }

    fn put_row(&mut self, key: &Windowed<K>, value: Option<V>, _: Timestamp, headers: &Headers) -> Result<Put> {
        self.put_row(key, value, headers)
    }

    fn next_evicted(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        self.next_evicted(wants_old, origin)
    }

    fn next_dirty(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        self.next_dirty(wants_old, origin)
    }

    fn evict_silently(&mut self) -> Result<()> {
        self.evict_silently()
    }

    fn own(&mut self) {
        self.own();
    }

    fn owes_eviction(&self) -> bool {
        self.owes_eviction()
    }

    fn remove_row(&mut self, key: &Windowed<K>, _: Timestamp, headers: &Headers) -> Result<Put> {
        self.remove_row(key, headers)
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> WindowRows<Windowed<K>, V> for SessionStore<K, V> {
    fn within(&mut self, (from, to): (i64, i64)) -> Result<StoreIterator<(Windowed<K>, ValueAndTimestamp<V>)>> {
        let rows = self.find_sessions_by_end(Timestamp(from), Timestamp(to))?;
        Ok(StoreIterator::new(rows.map(|row| {
            row.map(|(key, value)| {
                let end = key.window.end;
                (key, ValueAndTimestamp::new(value, end))
            })
        })))
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
    /// Whether rows have headers of their own, so that those of a record stay out of its result.
    keeps_headers: bool,
    /// Whether updates go on; where results come when a window closes, only the operator says when.
    is_silent: bool,
}

impl<K, V, S> Clone for TableOutput<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            sends_old: self.sends_old.clone(),
            rows: self.rows,
            is_cached: self.is_cached,
            keeps_headers: self.keeps_headers,
            is_silent: self.is_silent,
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
        Self { name, sends_old, rows: None, is_cached: false, keeps_headers: false, is_silent: false }
    }

    /// Keeps updates to itself.
    pub(crate) fn silent(self, is_silent: bool) -> Self {
        Self { is_silent, ..self }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn sends_old(&self) -> bool {
        self.sends_old.is_on()
    }

    pub(crate) fn init(&mut self, ctx: &mut TableContext<'_, K, V>) -> Result<()> {
        let rows = Rows::<K, V, S>::open(&mut ctx.scope(), &self.name)?;
        // The updates of a versioned store may not be collapsed.
        if let Rows::Usual(store) = rows {
            let store = ctx.store(store);
            let facts = store.facts();
            (self.is_cached, self.keeps_headers) = (facts.is_cached, facts.logs_headers);
            if self.is_cached && !self.is_silent {
                store.own();
            }
        }
        self.rows = Some(rows);
        Ok(())
    }

    /// Whether a record cache keeps the headers of a record for its result.
    pub(crate) fn caches_headers(&self) -> bool {
        self.is_cached && !self.keeps_headers
    }

    /// The row as it is now. What it brings into a record cache may push others out.
    pub(crate) fn row(&self, ctx: &mut TableContext<'_, K, V>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        let handle = match self.rows {
            Some(Rows::Usual(handle)) => handle,
            Some(versioned) => return versioned.row(&mut ctx.scope(), key),
            None => return Ok(None),
        };
        let store = ctx.store(handle);
        let row = store.row(key)?;
        if store.owes_eviction() {
            self.evict(ctx, handle)?;
        }
        Ok(row)
    }

    /// Makes room in the record caches, and tells downstream what had to leave.
    fn evict(&self, ctx: &mut TableContext<'_, K, V>, handle: StoreHandle<S>) -> Result<()> {
        if self.is_silent {
            return ctx.store(handle).evict_silently();
        }
        self.forward_each(ctx, handle, S::next_evicted)
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
        self.write(ctx, record, new, old, false)
    }

    /// Deletes a row that is there, and tells downstream as [`put`](Self::put) does.
    pub(crate) fn remove(
        &self,
        ctx: &mut TableContext<'_, K, V>,
        record: Record<K, ()>,
        old: Option<V>,
    ) -> Result<(), ProcessorError> {
        self.write(ctx, record, None, old, true)
    }

    fn write(
        &self,
        ctx: &mut TableContext<'_, K, V>,
        record: Record<K, ()>,
        mut new: Option<V>,
        old: Option<V>,
        is_removal: bool,
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
        let store = ctx.store(handle);
        let goes_on = !self.is_cached && !self.is_silent;
        let put = if is_removal {
            store.remove_row(&record.key, record.timestamp, &record.headers)?
        } else if goes_on {
            store.put_row(&record.key, new.clone(), record.timestamp, &record.headers)?
        } else {
            store.put_row(&record.key, new.take(), record.timestamp, &record.headers)?
        };
        if put.is_over_budget {
            self.evict(ctx, handle)?;
        }
        if goes_on {
            ctx.forward(record.with_value(Change::new(new, old)));
        }
        Ok(())
    }

    /// Writes all dirty rows through and forwards them.
    pub(crate) fn flush(&self, ctx: &mut TableContext<'_, K, V>) -> Result<(), ProcessorError> {
        let Some(Rows::Usual(handle)) = self.rows.filter(|_| self.is_cached) else { return Ok(()) };
        if self.is_silent {
            return Ok(ctx.store(handle).flush_cache()?);
        }
        Ok(self.forward_each(ctx, handle, S::next_dirty)?)
    }

    /// Forwards rows as they leave the record cache.
    fn forward_each(
        &self,
        ctx: &mut TableContext<'_, K, V>,
        handle: StoreHandle<S>,
        next: impl Fn(&mut S, bool, &mut Origin) -> Result<Option<FlushedEntry<K, V>>>,
    ) -> Result<()> {
        let sends_old = self.sends_old.is_on();
        let mut origin = Origin::NONE;
        ctx.from(&mut origin, |ctx| {
            loop {
                let (store, origin) = ctx.store_and_origin(handle);
                let Some(row) = next(store, sends_old, origin)? else { return Ok(()) };
                let FlushedEntry { key, new, old, timestamp, headers } = row;
                let value = Change::new(new, if sends_old { old } else { None });
                ctx.forward(Record { key, value, timestamp, headers });
            }
        })
    }
}

impl<K, V, S> TableOutput<K, V, S>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    S: WindowRows<K, V>,
{
    /// Tells the rows of closed windows: those whose starts, for sessions whose ends, lie within the
    /// span. They carry the headers of the record that closed them.
    pub(crate) fn forward_closed(
        &self,
        ctx: &mut TableContext<'_, K, V>,
        span: (i64, i64),
        headers: &Headers,
    ) -> Result<(), ProcessorError> {
        let Some(Rows::Usual(handle)) = self.rows else { return Ok(()) };
        for row in ctx.store(handle).within(span)? {
            let (key, ValueAndTimestamp { value, timestamp }) = row?;
            ctx.forward(Record { key, value: Change::new(Some(value), None), timestamp, headers: headers.clone() });
        }
        Ok(())
    }
}

impl<K, V> TableOutput<Windowed<K>, V, TimestampedWindowStore<K, V>>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// The windows of a key that start within the span, in order or newest first.
    pub(crate) fn window_rows(
        &self,
        ctx: &mut TableContext<'_, Windowed<K>, V>,
        key: &K,
        (from, to): (Timestamp, Timestamp),
        is_reverse: bool,
    ) -> Result<StoreIterator<(Timestamp, ValueAndTimestamp<V>)>> {
        let Some(Rows::Usual(handle)) = self.rows else { return Ok(StoreIterator::empty()) };
        let store = ctx.store(handle);
        if is_reverse { store.backward_fetch(key, from, to) } else { store.fetch_range(key, from, to) }
    }
}

impl<K, V> TableOutput<Windowed<K>, V, SessionStore<K, V>>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// The sessions of a key that touch the span, oldest first.
    pub(crate) fn session_rows(
        &self,
        ctx: &mut TableContext<'_, Windowed<K>, V>,
        key: &K,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<StoreIterator<(Windowed<K>, V)>> {
        let Some(Rows::Usual(handle)) = self.rows else { return Ok(StoreIterator::empty()) };
        ctx.store(handle).find_sessions(key, from, to)
    }
}
