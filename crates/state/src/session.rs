//! Session stores: rows by key and session.
//!
//! ```text
//! row key   key | session end (8) | session start (8)
//! ```
//!
//! Sessions include their start and their end. What is shown, taken and kept is said by
//! `bytes/retention.rs`, by the ends of the sessions.

use std::cmp::Ordering;

use millstream_types::{CodecError, Headers, Result, Serde, Timestamp, Window, Windowed};

use crate::bytes::{ByteRange, Cell, Rows, SESSION_LEN, session_key_of, session_of};
use crate::query::ReadView;
use crate::typed::{Core, Decoder, KeyBounds, state_store};
use crate::{FlushedEntry, Origin, Put, StoreEnv, StoreFacts, StoreIterator};

/// Values by key and session: Kafka Streams' `SessionStore`, the store behind session windows.
///
/// Sessions of one key come ordered by end; of several keys, in memory by end, then key bytes, on
/// disk by segment of time (half the retention, at least a minute), then key bytes, then end.
///
/// ```
/// use millstream_state::{SessionStore, Stores};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::{Serdes, Timestamp, Window, Windowed};
/// # use std::time::Duration;
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let supplier = Stores::in_memory_session_store("visits", Duration::from_millis(100));
/// let mut visits: SessionStore<i64, i64> =
///     Stores::session_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
/// let visit = Windowed { key: 1, window: Window { start: Timestamp(10), end: Timestamp(25) } };
/// visits.put(&visit, Some(2))?;
/// assert_eq!(visits.fetch_session(&1, Timestamp(10), Timestamp(25))?, Some(2));
///
/// // The sessions that touch the time from 20 to 30.
/// let found = visits.find_sessions(&1, Timestamp(20), Timestamp(30))?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(found, [(visit, 2)]);
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// Reads and writes fail with `Production` when a key or value does not fit its serde, with `Corrupted` when a row cannot be
/// read, and with what the engine gives, such as `Storage`.
pub struct SessionStore<K, V> {
    pub(crate) core: Core<K, V>,
    key_bytes: Vec<u8>,
}

state_store!(SessionStore);

/// Sessions with their values.
type Sessions<K, V> = StoreIterator<(Windowed<K>, V)>;

/// Which sessions a scan wants, besides their keys: these ends, and starts up to `latest_start`.
#[derive(Clone, Copy)]
struct Wanted {
    ends: (i64, i64),
    latest_start: i64,
}

impl Wanted {
    const ALL: Self = Self { ends: (0, i64::MAX), latest_start: i64::MAX };

    fn overlapping(earliest_end: Timestamp, latest_start: Timestamp) -> Self {
        Self { ends: (earliest_end.0.max(0), i64::MAX), latest_start: latest_start.0 }
    }

    fn holds(self, (start, end): (i64, i64)) -> bool {
        (self.ends.0..=self.ends.1).contains(&end) && start <= self.latest_start
    }
}

/// The order in which rows of several keys come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Store,
    /// By end alone.
    Time,
}

/// A row as it was found: its bytes, start and end of its session, its value.
struct Found<V> {
    row_key: Vec<u8>,
    session: (i64, i64),
    cell: Cell<V>,
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> SessionStore<K, V> {
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

    /// The value of exactly this session.
    pub fn fetch_session(&mut self, key: &K, start: Timestamp, end: Timestamp) -> Result<Option<V>> {
        if start.0 < 0 || end < start {
            return Ok(None);
        }
        self.at(key, Window { start, end }, |core, row_key| {
            core.read(row_key, |row| row.map(|(value, _)| value.clone()))
        })
    }

    /// Sessions of a key that end at `earliest_end` or later and start at `latest_start` or earlier,
    /// oldest first: those that touch the span between the two.
    pub fn find_sessions(
        &mut self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Sessions<K, V>> {
        self.of_key(key, Wanted::overlapping(earliest_end, latest_start), false)
    }

    /// As [`Self::find_sessions`], newest first.
    pub fn backward_find_sessions(
        &mut self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Sessions<K, V>> {
        self.of_key(key, Wanted::overlapping(earliest_end, latest_start), true)
    }

    /// As [`Self::find_sessions`], of the keys from `from_key` to `to_key`, both inclusive by their
    /// bytes; `None` is an open end. Reads the whole store and holds the result in memory.
    pub fn find_sessions_of_keys(
        &mut self,
        from_key: Option<&K>,
        to_key: Option<&K>,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Sessions<K, V>> {
        self.of_keys((from_key, to_key), Wanted::overlapping(earliest_end, latest_start), false)
    }

    /// As [`Self::find_sessions_of_keys`], in the opposite order.
    pub fn backward_find_sessions_of_keys(
        &mut self,
        from_key: Option<&K>,
        to_key: Option<&K>,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<Sessions<K, V>> {
        self.of_keys((from_key, to_key), Wanted::overlapping(earliest_end, latest_start), true)
    }

    /// Sessions of all keys that end from `earliest_end` to `latest_end`, both inclusive, in order of
    /// their ends (KIP-825). Reads the whole store and holds the result in memory.
    ///
    /// On disk it also gives sessions past their retention, as long as the store keeps them, as in
    /// Kafka Streams; so results on session close are not lost when time jumps.
    pub fn find_sessions_by_end(&mut self, earliest_end: Timestamp, latest_end: Timestamp) -> Result<Sessions<K, V>> {
        let wanted = Wanted { ends: (earliest_end.0.max(0), latest_end.0), latest_start: i64::MAX };
        let rows = self.core.kept_rows(&ByteRange::all())?;
        let find = |row_key: Vec<u8>, cell| Found::of(row_key, cell, wanted);
        Ok(StoreIterator::new(self.order_of(Order::Time).sort(rows, &find, false, |value, _| value)?))
    }

    /// All sessions of a key, oldest first.
    pub fn fetch(&mut self, key: &K) -> Result<Sessions<K, V>> {
        self.of_key(key, Wanted::ALL, false)
    }

    /// All sessions of a key, newest first.
    pub fn backward_fetch(&mut self, key: &K) -> Result<Sessions<K, V>> {
        self.of_key(key, Wanted::ALL, true)
    }

    /// All sessions of the keys from `from_key` to `to_key`, both inclusive by their bytes; `None` is
    /// an open end. Reads the whole store and holds the result in memory.
    pub fn fetch_keys(&mut self, from_key: Option<&K>, to_key: Option<&K>) -> Result<Sessions<K, V>> {
        self.of_keys((from_key, to_key), Wanted::ALL, false)
    }

    /// As [`Self::fetch_keys`], in the opposite order.
    pub fn backward_fetch_keys(&mut self, from_key: Option<&K>, to_key: Option<&K>) -> Result<Sessions<K, V>> {
        self.of_keys((from_key, to_key), Wanted::ALL, true)
    }

    /// Writes the value of a session; `None`, or a value that is null by its serde, deletes it.
    /// [`Put::is_expired`] says that the row was dropped because its time is over.
    pub fn put(&mut self, session: &Windowed<K>, value: Option<V>) -> Result<Put> {
        let headers = self.core.headers.clone();
        let put = self.put_row(session, value, &headers)?;
        self.core.settle(put)
    }

    /// Deletes a session.
    pub fn remove(&mut self, session: &Windowed<K>) -> Result<Put> {
        let headers = self.core.headers.clone();
        let put = self.remove_row(session, &headers)?;
        self.core.settle(put)
    }

    /// Writes a session for the operator that owns the store, which evicts when told to
    /// ([`Self::next_evicted`]) and forwards what comes out. `headers` go along to there.
    pub fn put_row(&mut self, session: &Windowed<K>, value: Option<V>, headers: &Headers) -> Result<Put> {
        let Windowed { key, window } = session;
        self.at(key, *window, |core, row_key| core.put(row_key, value, window.end, headers))
    }

    /// As [`Self::put_row`], to delete the session.
    pub fn remove_row(&mut self, session: &Windowed<K>, headers: &Headers) -> Result<Put> {
        let Windowed { key, window } = session;
        self.at(key, *window, |core, row_key| core.remove(row_key, headers))
    }

    /// Evicts the least recently used sessions until one has to be written through, and gives that one, to be forwarded
    /// before the next; the thread's budget fits when it gives none, with the end of the session as
    /// timestamp. `origin` says then where its last write came from.
    pub fn next_evicted(
        &mut self,
        wants_old: bool,
        origin: &mut Origin,
    ) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        self.core.next_evicted(wants_old, origin, windowed).map(at_its_end)
    }

    /// Says that somebody forwards what leaves the record cache, by [`Self::next_evicted`] and [`Self::next_dirty`]:
    /// [`Self::put`] then leaves it to them to evict.
    pub fn own(&mut self) {
        self.core.own();
    }

    /// Whether a read, or a write by [`Self::put`], has left more in the record caches than their budget: whoever owns
    /// the store evicts now, as after a write of its own.
    pub fn owes_eviction(&self) -> bool {
        self.core.owes_eviction()
    }

    /// As [`Self::next_evicted`], where nobody is told.
    pub fn evict_silently(&mut self) -> Result<()> {
        self.core.evict_silently()
    }

    /// Writes the next dirty session through and gives it, to be forwarded before the next one; none is left when it
    /// gives none. Old values are looked up if asked for. `origin` says then where its last write came from.
    pub fn next_dirty(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        self.core.next_dirty(wants_old, origin, windowed).map(at_its_end)
    }

    /// Runs with the row key of a session.
    fn at<R>(&mut self, key: &K, window: Window, run: impl FnOnce(&mut Core<K, V>, &[u8]) -> Result<R>) -> Result<R> {
        if window.start.0 < 0 || window.end < window.start {
            let message = format!("no session goes from {} to {}", window.start, window.end);
            return Err(self.core.decoder.unwritable("session", CodecError::format(message)));
        }
        self.key_bytes.clear();
        self.core.encode_key(key, &mut self.key_bytes)?;
        push_session(&mut self.key_bytes, window.start.0, window.end.0);
        run(&mut self.core, &self.key_bytes)
    }

    fn of_key(&mut self, key: &K, wanted: Wanted, is_reverse: bool) -> Result<Sessions<K, V>> {
        let keys = self.keys_of_one(key)?;
        self.of_wanted(keys, wanted, is_reverse)
    }

    fn of_keys(
        &mut self,
        (from_key, to_key): (Option<&K>, Option<&K>),
        wanted: Wanted,
        is_reverse: bool,
    ) -> Result<Sessions<K, V>> {
        let keys = self.keys_between(from_key, to_key)?;
        self.of_wanted(keys, wanted, is_reverse)
    }

    fn of_wanted(&mut self, keys: WantedKeys, wanted: Wanted, is_reverse: bool) -> Result<Sessions<K, V>> {
        let rows = self.core.rows(&keys.range(wanted.ends.0), false)?;
        let find = |row_key: Vec<u8>, cell| Found::of(row_key, cell, wanted).filter(|row| keys.hold(&row.row_key));
        Ok(StoreIterator::new(self.order_of(Order::Store).sort(rows, &find, is_reverse, |value, _| value)?))
    }

    /// Says in bytes that one key is meant.
    pub(crate) fn keys_of_one(&self, key: &K) -> Result<WantedKeys> {
        let mut bytes = Vec::new();
        self.core.encode_key(key, &mut bytes)?;
        Ok(WantedKeys::One(bytes))
    }

    /// Says in bytes which keys are meant.
    pub(crate) fn keys_between(&self, from: Option<&K>, to: Option<&K>) -> Result<WantedKeys> {
        Ok(WantedKeys::Between(self.core.key_bounds(from, to)?))
    }

    /// For a query: what `item` makes of exactly this session.
    pub(crate) fn peek_session<T>(
        &mut self,
        key: &K,
        (start, end): (Timestamp, Timestamp),
        view: ReadView,
        item: impl FnOnce(V, Timestamp) -> T,
    ) -> Result<Option<T>> {
        if start.0 < 0 || end < start {
            return Ok(None);
        }
        self.at(key, Window { start, end }, |core, row_key| core.peek(row_key, view, item))
    }

    /// Those of the rows that are of these keys, and touch the span between two times; sorted by whoever reads
    /// them.
    pub(crate) fn sessions<T: Send + 'static>(
        &self,
        rows: Rows<V>,
        keys: WantedKeys,
        (earliest_end, latest_start): (Timestamp, Timestamp),
        is_reverse: bool,
        item: impl Fn(V, Timestamp) -> T + Send + 'static,
    ) -> Sessions<K, T> {
        let wanted = Wanted::overlapping(earliest_end, latest_start);
        let find = move |row_key: Vec<u8>, cell| Found::of(row_key, cell, wanted).filter(|row| keys.hold(&row.row_key));
        let sorting = self.order_of(Order::Store);
        StoreIterator::deferred(move || sorting.sort(rows, &find, is_reverse, item))
    }

    fn order_of(&self, order: Order) -> Sorting<K, V> {
        let (keys, decoder) = (self.core.keys.clone(), self.core.decoder.clone());
        let by = match self.core.below.retention() {
            None => SortBy::Nothing,
            Some(_) if !self.core.below.facts().is_persistent => SortBy::EndAndKey,
            Some(_) if order == Order::Time => SortBy::End,
            Some(retention) => SortBy::Segment(retention.segment_ms()),
        };
        Sorting { keys, decoder, by }
    }
}

/// What rows, which come in the order of their bytes, are sorted by.
enum SortBy {
    Nothing,
    EndAndKey,
    End,
    Segment(i64),
}

/// Rows of several keys on their way into an order.
struct Sorting<K, V> {
    keys: Serde<K>,
    decoder: Decoder<V>,
    by: SortBy,
}

impl<K: 'static, V: Send + 'static> Sorting<K, V> {
    fn sort<T, F: Fn(V, Timestamp) -> T + Send + 'static>(
        self,
        rows: Rows<V>,
        find: &dyn Fn(Vec<u8>, Cell<V>) -> Option<Found<V>>,
        is_reverse: bool,
        item: F,
    ) -> Result<impl Iterator<Item = Result<(Windowed<K>, T)>> + Send + use<K, V, T, F>> {
        let mut found = Vec::new();
        for row in rows {
            let (row_key, cell) = row?;
            found.extend(find(row_key, cell));
        }
        match self.by {
            SortBy::Nothing => {}
            SortBy::EndAndKey => found.sort_by(Found::cmp_in_memory),
            SortBy::End => found.sort_by_key(|row| (row.session.1, row.session.0)),
            SortBy::Segment(segment_ms) => found.sort_by_key(|row| row.session.1 / segment_ms),
        }
        if is_reverse {
            found.reverse();
        }
        Ok(found.into_iter().map(move |Found { row_key, cell, .. }| {
            let key = self.keys.decode(session_key_of(&row_key)).map_err(|error| self.decoder.unreadable(&error))?;
            let (value, timestamp) = self.decoder.cell(cell)?;
            Ok((windowed(key, &row_key), item(value, timestamp)))
        }))
    }
}

/// Keys, as bytes, whose sessions are meant.
pub(crate) enum WantedKeys {
    One(Vec<u8>),
    Between(KeyBounds),
}

impl WantedKeys {
    /// Rows that may be theirs, of sessions that end at a time or later.
    pub(crate) fn range(&self, earliest_end: i64) -> ByteRange {
        match self {
            Self::One(key) => {
                let (mut first, mut last) = (key.clone(), key.clone());
                push_session(&mut first, 0, earliest_end);
                push_session(&mut last, i64::MAX, i64::MAX);
                ByteRange::through(Some(first), Some(last))
            }
            Self::Between(bounds) => bounds.range(),
        }
    }

    fn hold(&self, row_key: &[u8]) -> bool {
        let Some(key) = session_key_of(row_key) else { return false };
        match self {
            // Rows of longer keys may lie in between.
            Self::One(one) => one == key,
            Self::Between(bounds) => bounds.hold(key),
        }
    }
}

impl<V> Found<V> {
    fn of(row_key: Vec<u8>, cell: Cell<V>, wanted: Wanted) -> Option<Self> {
        // The row that holds the store's time is shorter.
        let session = session_of(&row_key).filter(|_| row_key.len() >= SESSION_LEN)?;
        wanted.holds(session).then_some(Self { row_key, session, cell })
    }

    /// The order of stores in memory: by end, then key. Of sessions with one end, the one that starts last comes
    /// first.
    fn cmp_in_memory(one: &Self, other: &Self) -> Ordering {
        let ((one_start, one_end), (other_start, other_end)) = (one.session, other.session);
        let by_key = || session_key_of(&one.row_key).cmp(&session_key_of(&other.row_key));
        one_end.cmp(&other_end).then_with(by_key).then(other_start.cmp(&one_start))
    }
}

fn push_session(row_key: &mut Vec<u8>, start: i64, end: i64) {
    row_key.extend_from_slice(&end.to_be_bytes());
    row_key.extend_from_slice(&start.to_be_bytes());
}

fn windowed<K>(key: K, row_key: &[u8]) -> Windowed<K> {
    let (start, end) = session_of(row_key).unwrap_or_default();
    Windowed { key, window: Window { start: Timestamp(start), end: Timestamp(end) } }
}

fn at_its_end<K, V>(entry: Option<FlushedEntry<Windowed<K>, V>>) -> Option<FlushedEntry<Windowed<K>, V>> {
    entry.map(|entry| FlushedEntry { timestamp: entry.key.window.end, ..entry })
}
