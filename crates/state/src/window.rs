//! Window stores: rows by key and window start, plain and with a timestamp beside each value.
//!
//! ```text
//! row key   key | window start (8) | sequence number (4)
//! ```
//!
//! The sequence number is 0, except in stores that keep duplicates (stream-stream joins), where it
//! counts from 1. What is shown, taken and kept is said by `bytes/retention.rs`.

use millstream_types::{CodecError, Headers, Result, Serde, Timestamp, Window, Windowed};

use crate::bytes::{ByteRange, Cell, Retention, Rows, Write, key_of, window_of};
use crate::key_value::split;
use crate::typed::{Core, Decoder, state_store};
use crate::{FlushedEntry, Put, StoreEnv, StoreFacts, StoreIterator, ValueAndTimestamp};

/// Values by key and window start: Kafka Streams' `WindowStore`. Rows whose start is older than the
/// newest one put by the retention are not shown any more.
///
/// ```
/// use millstream_state::{Stores, WindowStore};
/// # use millstream_state::{CacheBudget, MemoryEngine, StoreEnv};
/// # use millstream_types::{Serdes, Timestamp};
/// # use std::time::Duration;
/// # let env = StoreEnv { engine: Box::new(MemoryEngine::new()), cache: CacheBudget::new(0) };
///
/// let ms = Duration::from_millis;
/// let supplier = Stores::in_memory_window_store("clicks", ms(100), ms(10), false);
/// let mut clicks: WindowStore<i64, i64> =
///     Stores::window_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
/// clicks.put(&1, Some(20), Timestamp(0))?;
/// clicks.put(&1, Some(30), Timestamp(10))?;
/// let rows = clicks.fetch_range(&1, Timestamp(0), Timestamp(50))?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(rows, [(Timestamp(0), 20), (Timestamp(10), 30)]);
///
/// clicks.put(&1, Some(40), Timestamp(105))?;
/// assert_eq!(clicks.fetch(&1, Timestamp(0))?, None);
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct WindowStore<K, V> {
    pub(crate) core: Core<K, V>,
    key_bytes: Vec<u8>,
}

/// Values with timestamps by key and window start: Kafka Streams' `TimestampedWindowStore`, the
/// store behind windowed aggregates. It is a [`WindowStore`] of [`ValueAndTimestamp`].
///
/// ```
/// use millstream_state::{Stores, TimestampedWindowStore, ValueAndTimestamp};
/// # use millstream_state::{CacheBudget, MemoryEngine, StoreEnv};
/// # use millstream_types::{Serdes, Timestamp};
/// # use std::time::Duration;
/// # let env = StoreEnv { engine: Box::new(MemoryEngine::new()), cache: CacheBudget::new(0) };
///
/// let ms = Duration::from_millis;
/// let supplier = Stores::in_memory_window_store("counts", ms(100), ms(10), false);
/// let mut counts: TimestampedWindowStore<i64, i64> =
///     Stores::timestamped_window_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
/// counts.put(&1, Some(ValueAndTimestamp::new(2, Timestamp(7))), Timestamp(0))?;
/// assert_eq!(counts.fetch(&1, Timestamp(0))?.map(|row| row.timestamp), Some(Timestamp(7)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct TimestampedWindowStore<K, V> {
    pub(crate) core: Core<K, V>,
    key_bytes: Vec<u8>,
}

state_store!(WindowStore);
state_store!(TimestampedWindowStore);

/// The order in which rows of several keys come.
#[derive(Clone, Copy)]
enum Order {
    /// As Kafka Streams' stores have it: in memory by window start, then key; on disk by segment,
    /// then key, then window start.
    Store,
    /// By window start, then key.
    Time,
}

/// The part that both kinds share. `$item` is what a row becomes.
macro_rules! window_reads {
    ($store:ident, $item:ty, $from:expr) => {
        impl<K: Clone + Send + 'static, V: Clone + Send + 'static> $store<K, V> {
            /// A store over an opened engine.
            pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Result<Self> {
                Ok(Self { core: Core::new(facts, env, keys, values)?, key_bytes: Vec::new() })
            }

            /// Serde of the keys, without window.
            pub fn key_serde(&self) -> &Serde<K> {
                &self.core.keys
            }

            /// Serde of the values.
            pub fn value_serde(&self) -> &Serde<V> {
                &self.core.decoder.values
            }

            /// The value of a window. In a store that keeps duplicates, the last one put into the
            /// store, if it was put into that window.
            pub fn fetch(&mut self, key: &K, window_start: Timestamp) -> Result<Option<$item>> {
                let from = $from;
                self.read(key, window_start, |row| row.map(|(value, timestamp)| from(value.clone(), timestamp)))
            }

            /// Lends the value of a window and its timestamp (-1 where the store keeps none)
            /// without a copy.
            pub fn read<R>(
                &mut self,
                key: &K,
                window_start: Timestamp,
                use_value: impl FnOnce(Option<(&V, Timestamp)>) -> R,
            ) -> Result<R> {
                let mut row_key = std::mem::take(&mut self.key_bytes);
                let sequence = self.core.current_sequence();
                let result = self
                    .core
                    .row_key(key, window_start, sequence, &mut row_key)
                    .and_then(|()| self.core.read(&row_key, key, use_value));
                self.key_bytes = row_key;
                result
            }

            /// Values of a key's windows that start from `from` to `to`, both inclusive, oldest
            /// first.
            pub fn fetch_range(
                &mut self,
                key: &K,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Timestamp, $item)>> {
                self.core.rows_of_key(key, (from, to), false, $from)
            }

            /// As [`Self::fetch_range`], newest first.
            pub fn backward_fetch(
                &mut self,
                key: &K,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Timestamp, $item)>> {
                self.core.rows_of_key(key, (from, to), true, $from)
            }

            /// Values of windows that start from `from` to `to`, both inclusive, of all keys. Reads
            /// the whole store and holds the result in memory.
            ///
            /// The order is Kafka Streams': in memory by window start, then key bytes; on disk by
            /// segment of time (half the retention, at least a minute), then key bytes, then start.
            pub fn fetch_all(&mut self, from: Timestamp, to: Timestamp) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((None, None), (from, to), (Order::Store, false), $from)
            }

            /// As [`Self::fetch_all`], in the opposite order.
            pub fn backward_fetch_all(
                &mut self,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((None, None), (from, to), (Order::Store, true), $from)
            }

            /// As [`Self::fetch_all`], always ordered by window start, then key bytes.
            pub fn fetch_all_by_time(
                &mut self,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((None, None), (from, to), (Order::Time, false), $from)
            }

            /// As [`Self::fetch_all`], of the keys from `from_key` to `to_key`, both inclusive by
            /// their bytes; `None` is an open end.
            pub fn fetch_keys(
                &mut self,
                from_key: Option<&K>,
                to_key: Option<&K>,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((from_key, to_key), (from, to), (Order::Store, false), $from)
            }

            /// As [`Self::fetch_keys`], in the opposite order.
            pub fn backward_fetch_keys(
                &mut self,
                from_key: Option<&K>,
                to_key: Option<&K>,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((from_key, to_key), (from, to), (Order::Store, true), $from)
            }

            /// All rows; order and cost as [`Self::fetch_all`].
            pub fn all(&mut self) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.fetch_all(Timestamp(0), Timestamp(i64::MAX))
            }

            /// All rows; order and cost as [`Self::backward_fetch_all`].
            pub fn backward_all(&mut self) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.backward_fetch_all(Timestamp(0), Timestamp(i64::MAX))
            }

            fn write(
                &mut self,
                key: &K,
                window_start: Timestamp,
                value: Option<V>,
                timestamp: Timestamp,
                headers: &Headers,
            ) -> Result<Put> {
                let mut row_key = std::mem::take(&mut self.key_bytes);
                let result = self.core.put_window(key, window_start, (value, timestamp), headers, &mut row_key);
                self.key_bytes = row_key;
                result
            }
        }
    };
}

window_reads!(WindowStore, V, |value, _| value);
window_reads!(TimestampedWindowStore, ValueAndTimestamp<V>, |value, timestamp| ValueAndTimestamp { value, timestamp });

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> WindowStore<K, V> {
    /// Writes the value of a window; `None`, or a value that is null by its serde, deletes it. A
    /// store that keeps duplicates adds the value to those that are there; `None` it only logs.
    /// [`Put::is_expired`] says that the row was dropped because its time is over.
    pub fn put(&mut self, key: &K, value: Option<V>, window_start: Timestamp) -> Result<Put> {
        self.put_with_headers(key, value, window_start, &Headers::new())
    }

    /// As [`Self::put`], with headers: a store that keeps duplicates logs them, others do not.
    pub fn put_with_headers(
        &mut self,
        key: &K,
        value: Option<V>,
        window_start: Timestamp,
        headers: &Headers,
    ) -> Result<Put> {
        let timestamp = self.core.origin.timestamp;
        let put = self.write(key, window_start, value, timestamp, headers)?;
        self.core.settle(put)
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TimestampedWindowStore<K, V> {
    /// Writes the value of a window; `None`, or a value that is null by its serde, deletes it.
    /// [`Put::is_expired`] says that the row was dropped because its time is over.
    pub fn put(&mut self, key: &K, value: Option<ValueAndTimestamp<V>>, window_start: Timestamp) -> Result<Put> {
        let (value, timestamp) = split(value, self.core.origin.timestamp);
        let headers = self.core.headers.clone();
        let put = self.write(key, window_start, value, timestamp, &headers)?;
        self.core.settle(put)
    }

    /// Writes a row of a store that keeps duplicates, with headers for the changelog.
    pub(crate) fn put_with_headers(
        &mut self,
        key: &K,
        value: V,
        window_start: Timestamp,
        headers: &Headers,
    ) -> Result<Put> {
        self.write(key, window_start, Some(value), window_start, headers)
    }

    /// Writes a window for the operator that owns the store, which evicts when told to
    /// ([`Self::take_evicted`]) and forwards what comes out. `headers` go along to there.
    pub fn put_row(
        &mut self,
        key: &K,
        window_start: Timestamp,
        value: Option<V>,
        timestamp: Timestamp,
        headers: &Headers,
    ) -> Result<Put> {
        self.write(key, window_start, value, timestamp, headers)
    }

    /// Evicts the least recently used windows, and gives what was written through, to be forwarded in
    /// this order; the thread's budget fits when it gives none.
    pub fn take_evicted(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<Windowed<K>, V>>> {
        let size_ms = self.core.window_size_ms();
        self.core.take_evicted(wants_old, |key, row_key| windowed(key, row_key, size_ms))
    }

    /// As [`Self::take_evicted`], where nobody is told.
    pub fn evict_silently(&mut self) -> Result<()> {
        self.core.evict_silently()
    }

    /// Writes dirty windows through, some at a time, and gives them, to be forwarded in this order;
    /// none is left when it gives none. Old values are looked up if asked for.
    pub fn take_dirty(&mut self, wants_old: bool) -> Result<Vec<FlushedEntry<Windowed<K>, V>>> {
        let size_ms = self.core.window_size_ms();
        self.core.take_dirty(wants_old, |key, row_key| windowed(key, row_key, size_ms))
    }
}

fn windowed<K>(key: K, row_key: &[u8], size_ms: i64) -> Windowed<K> {
    let start = window_of(row_key).map_or(0, |(start, _)| start);
    let window = Window { start: Timestamp(start), end: Timestamp(start.saturating_add(size_ms)) };
    Windowed { key, window }
}

/// Rows of one key: `(window start, value)`.
type WindowRows<T> = StoreIterator<(Timestamp, T)>;

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    fn window_size_ms(&self) -> i64 {
        self.below.facts().window_size_ms.unwrap_or_default()
    }

    /// Sequence number of the row that a point read means.
    pub(crate) fn current_sequence(&self) -> u32 {
        let retains_duplicates = self.below.facts().retains_duplicates;
        self.below.retention().filter(|_| retains_duplicates).map_or(0, Retention::sequence)
    }

    pub(crate) fn row_key(&self, key: &K, window_start: Timestamp, sequence: u32, out: &mut Vec<u8>) -> Result<()> {
        if window_start.0 < 0 {
            let message = format!("window start {window_start} is negative");
            return Err(self.decoder.unwritable("window", CodecError::format(message)));
        }
        out.clear();
        self.encode_key(key, out)?;
        out.extend_from_slice(&window_start.0.to_be_bytes());
        out.extend_from_slice(&sequence.to_be_bytes());
        Ok(())
    }

    fn put_window(
        &mut self,
        key: &K,
        window_start: Timestamp,
        write: (Option<V>, Timestamp),
        headers: &Headers,
        row_key: &mut Vec<u8>,
    ) -> Result<Put> {
        let (value, timestamp) = write;
        if !self.below.facts().retains_duplicates {
            self.row_key(key, window_start, 0, row_key)?;
            return self.put(row_key, key, value, timestamp, headers);
        }
        self.put_duplicate(key, window_start, value.as_ref(), headers, row_key)
    }

    /// Adds a row to a store that keeps duplicates. A null deletes nothing there, but as in Kafka
    /// Streams it is logged, with a number of its own.
    fn put_duplicate(
        &mut self,
        key: &K,
        window_start: Timestamp,
        value: Option<&V>,
        headers: &Headers,
        row_key: &mut Vec<u8>,
    ) -> Result<Put> {
        let sequence = self.below.retention_mut().map_or(0, Retention::next_sequence);
        self.row_key(key, window_start, sequence, row_key)?;
        let value = value.filter(|value| !self.decoder.values.is_null(value));
        if value.is_none() {
            let write = Write { key: row_key, value: None, timestamp: self.origin.timestamp, headers };
            return Ok(Put { is_over_budget: false, is_expired: self.below.log_null(&write) });
        }
        let is_expired = self.put_uncached(row_key, value, headers)?;
        Ok(Put { is_over_budget: false, is_expired })
    }

    fn rows_of_key<T: 'static>(
        &mut self,
        key: &K,
        starts: (Timestamp, Timestamp),
        is_reverse: bool,
        item: impl Fn(V, Timestamp) -> T + Send + 'static,
    ) -> Result<WindowRows<T>> {
        let Some(range) = self.range_of_key(key, starts)? else { return Ok(StoreIterator::empty()) };
        let rows = self.rows(&range, is_reverse)?;
        Ok(self.windows_of_key(rows, &range, item))
    }

    /// The rows of a key and some longer ones whose windows start in a span of time; `None` if there can be none.
    pub(crate) fn range_of_key(&self, key: &K, (from, to): (Timestamp, Timestamp)) -> Result<Option<ByteRange>> {
        if to < from || to.0 < 0 {
            return Ok(None);
        }
        let (mut first, mut last) = (Vec::new(), Vec::new());
        self.row_key(key, from.max(Timestamp(0)), 0, &mut first)?;
        self.row_key(key, to, u32::MAX, &mut last)?;
        Ok(Some(ByteRange::through(Some(first), Some(last))))
    }

    /// Those of the rows of a key's range that are its own.
    pub(crate) fn windows_of_key<T: 'static>(
        &self,
        rows: Rows<V>,
        range: &ByteRange,
        item: impl Fn(V, Timestamp) -> T + Send + 'static,
    ) -> WindowRows<T> {
        let first = range.from.clone().unwrap_or_default();
        let decoder = self.decoder.clone();
        StoreIterator::new(rows.filter_map(move |row| {
            let (row_key, cell) = match row {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            // Rows of longer keys may lie in between.
            if row_key.len() != first.len() || key_of(&row_key) != key_of(&first) {
                return None;
            }
            let (start, _) = window_of(&row_key)?;
            let row = decoder.cell(cell).map(|(value, timestamp)| (Timestamp(start), item(value, timestamp)));
            Some(row)
        }))
    }

    fn rows_of_keys<T: 'static>(
        &mut self,
        keys: (Option<&K>, Option<&K>),
        starts: (Timestamp, Timestamp),
        (order, is_reverse): (Order, bool),
        item: impl Fn(V, Timestamp) -> T + Send + 'static,
    ) -> Result<StoreIterator<(Windowed<K>, T)>> {
        let wanted = self.wanted_windows(keys, starts)?;
        let rows = self.rows(&wanted.range(), false)?;
        Ok(StoreIterator::new(self.order_of(order).sort(rows, &wanted, is_reverse, item)?))
    }

    /// Says in bytes which windows are meant.
    pub(crate) fn wanted_windows(
        &self,
        (from_key, to_key): (Option<&K>, Option<&K>),
        (from, to): (Timestamp, Timestamp),
    ) -> Result<WantedWindows> {
        let bound = |key: Option<&K>| {
            let mut bytes = Vec::new();
            key.map(|key| self.encode_key(key, &mut bytes).map(|()| bytes)).transpose()
        };
        Ok(WantedWindows { keys: (bound(from_key)?, bound(to_key)?), starts: (from.0, to.0) })
    }

    /// How rows of several keys are brought into order.
    fn order_of(&self, order: Order) -> Sorting<K, V> {
        let segment_ms = match (order, self.below.retention()) {
            (Order::Store, Some(retention)) if !self.below.facts().is_time_ordered => retention.segment_ms(),
            _ => 1,
        };
        let (keys, decoder) = (self.keys.clone(), self.decoder.clone());
        Sorting { keys, decoder, segment_ms, size_ms: self.window_size_ms() }
    }

    /// Those of the rows that are wanted, in the store's order, sorted by whoever reads them.
    pub(crate) fn windows_of_keys<T: Send + 'static>(
        &self,
        rows: Rows<V>,
        wanted: WantedWindows,
        is_reverse: bool,
        item: impl Fn(V, Timestamp) -> T + Send + 'static,
    ) -> StoreIterator<(Windowed<K>, T)> {
        let sorting = self.order_of(Order::Store);
        StoreIterator::deferred(move || sorting.sort(rows, &wanted, is_reverse, item))
    }
}

/// Rows of several keys on their way into an order.
struct Sorting<K, V> {
    keys: Serde<K>,
    decoder: Decoder<V>,
    segment_ms: i64,
    size_ms: i64,
}

impl<K: 'static, V: Send + 'static> Sorting<K, V> {
    fn sort<T, F: Fn(V, Timestamp) -> T + Send + 'static>(
        self,
        rows: Rows<V>,
        wanted: &WantedWindows,
        is_reverse: bool,
        item: F,
    ) -> Result<impl Iterator<Item = Result<(Windowed<K>, T)>> + Send + use<K, V, T, F>> {
        let mut found: Vec<(i64, Vec<u8>, Cell<V>)> = Vec::new();
        for row in rows {
            let (row_key, cell) = row?;
            if let Some(start) = wanted.start_of(&row_key) {
                found.push((start / self.segment_ms, row_key, cell));
            }
        }
        // Stable: within a segment the rows keep the order of their bytes.
        found.sort_by_key(|(segment, ..)| *segment);
        if is_reverse {
            found.reverse();
        }
        Ok(found.into_iter().map(move |(_, row_key, cell)| {
            let key = read_key(&self.keys, &self.decoder, &row_key)?;
            let (value, timestamp) = self.decoder.cell(cell)?;
            Ok((windowed(key, &row_key, self.size_ms), item(value, timestamp)))
        }))
    }
}

/// Windows of some keys that start in a span of time; all bounds are inclusive.
pub(crate) struct WantedWindows {
    keys: (Option<Vec<u8>>, Option<Vec<u8>>),
    starts: (i64, i64),
}

impl WantedWindows {
    /// Rows that may be among them.
    pub(crate) fn range(&self) -> ByteRange {
        ByteRange { from: self.keys.0.clone(), to: None }
    }

    /// The start of a row's window, if it is one of them.
    fn start_of(&self, row_key: &[u8]) -> Option<i64> {
        let (key, (start, _)) = (key_of(row_key)?, window_of(row_key)?);
        let (from, to) = (self.keys.0.as_deref(), self.keys.1.as_deref());
        let is_wanted = from.is_none_or(|from| from <= key) && to.is_none_or(|to| key <= to);
        (is_wanted && (self.starts.0..=self.starts.1).contains(&start)).then_some(start)
    }
}

fn read_key<K, V>(keys: &Serde<K>, decoder: &Decoder<V>, row_key: &[u8]) -> Result<K> {
    keys.decode(key_of(row_key)).map_err(|error| decoder.unreadable(&error))
}
