//! Rows of window stores: their keys, which of them are meant, and the orders they come in.

use millstream_types::{CodecError, Headers, Result, Serde, Timestamp, Window, Windowed};

use crate::bytes::{ByteRange, Cell, Retention, Rows, Write, key_of, window_of};
use crate::typed::{Core, Decoder, KeyBounds};
use crate::{Put, StoreIterator};

/// The order in which rows of several keys come.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// As Kafka Streams' stores have it: in memory by window start, then key; on disk by segment,
    /// then key, then window start.
    Store,
    /// By window start, then key.
    Time,
}

pub(super) fn windowed<K>(key: K, row_key: &[u8], size_ms: i64) -> Windowed<K> {
    let start = window_of(row_key).map_or(0, |(start, _)| start);
    let window = Window { start: Timestamp(start), end: Timestamp(start.saturating_add(size_ms)) };
    Windowed { key, window }
}

/// Rows of one key: `(window start, value)`.
type WindowRows<T> = StoreIterator<(Timestamp, T)>;

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    pub(super) fn window_size_ms(&self) -> i64 {
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

    pub(super) fn put_window(
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
            return self.put(row_key, value, timestamp, headers);
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

    pub(super) fn rows_of_key<T: 'static>(
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

    pub(super) fn rows_of_keys<T: 'static>(
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
        Ok(WantedWindows { keys: self.key_bounds(from_key, to_key)?, starts: (from.0, to.0) })
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
    keys: KeyBounds,
    starts: (i64, i64),
}

impl WantedWindows {
    /// Rows that may be among them.
    pub(crate) fn range(&self) -> ByteRange {
        self.keys.range()
    }

    /// The start of a row's window, if it is one of them.
    fn start_of(&self, row_key: &[u8]) -> Option<i64> {
        let (key, (start, _)) = (key_of(row_key)?, window_of(row_key)?);
        (self.keys.hold(key) && (self.starts.0..=self.starts.1).contains(&start)).then_some(start)
    }
}

fn read_key<K, V>(keys: &Serde<K>, decoder: &Decoder<V>, row_key: &[u8]) -> Result<K> {
    keys.decode(key_of(row_key)).map_err(|error| decoder.unreadable(&error))
}
