//! The buffer behind `suppress`: the last update of each key, in order of time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use millstream_types::{Header, Headers, Result, Serde, Timestamp};

use super::legacy::{self, CURRENT, VERSION};
use super::serdes::BufferSerdes;
use super::value::BufferValue;
use super::{Released, WALL_CLOCK};
use crate::bytes::ChangelogBuffer;
use crate::small_bytes::SmallBytes;
use crate::{ChangelogRecord, CommitMark, Engine, Origin, RestoreRecord, StateStore, StoreEnv, StoreFacts};

/// Updates of a table's rows that are held back, at most one a key, ordered by time and then key
/// bytes: Kafka Streams' `InMemoryTimeOrderedKeyValueChangeBuffer`.
///
/// It lies in memory, as bytes. Its changelog gets, with each commit, the last state of every key
/// touched since the one before: nothing is logged of a key that came and went. What is held and
/// not committed is gone with the buffer, and comes back with the input.
pub struct ChangeBuffer<K, V> {
    facts: StoreFacts,
    serdes: BufferSerdes<K, V>,
    held: BTreeMap<Place, BufferValue>,
    times: HashMap<SmallBytes, i64, RandomState>,
    /// Keys touched since the last flush.
    dirty: BTreeSet<SmallBytes>,
    byte_count: u64,
    changelog: ChangelogBuffer,
    /// Holds no rows, only the mark.
    engine: Box<dyn Engine>,
    origin: Origin,
    version: Headers,
    scratch: Vec<u8>,
}

/// Where an update stands: time, then key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    time: i64,
    key: SmallBytes,
}

/// A row before and after; `None` is no row.
pub(crate) type OldAndNew<V> = (Option<V>, Option<V>);

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> ChangeBuffer<K, V> {
    /// An empty buffer.
    pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Self {
        let version = Header { key: VERSION.into(), value: Some(Bytes::from_static(&[CURRENT])) };
        Self {
            serdes: BufferSerdes { keys, values, store: Arc::clone(&facts.name) },
            facts,
            held: BTreeMap::new(),
            times: HashMap::default(),
            dirty: BTreeSet::new(),
            byte_count: 0,
            changelog: ChangelogBuffer::default(),
            engine: env.engine,
            origin: Origin::NONE,
            version: Headers::from_iter([version]),
            scratch: Vec::new(),
        }
    }

    /// Holds an update, `old` to `new`, instead of the one that is held for the key, if any: it then
    /// takes that one's place in time. Keeps the origin of the record being processed.
    pub fn put(&mut self, time: Timestamp, key: &K, old: Option<&V>, new: Option<&V>, headers: &Headers) -> Result<()> {
        let key = self.key(key)?;
        let old = self.serdes.encode(old, &mut self.scratch)?;
        let new = self.serdes.encode(new, &mut self.scratch)?;
        let prior = self.held(&key).map_or_else(|| old.clone(), |held| held.prior.clone());
        if self.facts.is_logged {
            self.dirty.insert(key.clone());
        }
        let value = BufferValue::new((self.origin.clone(), headers.clone()), prior, old, new);
        let time = self.times.get(&key).copied().unwrap_or(time.0);
        self.place(time, key, value);
        Ok(())
    }

    /// Time of the first update held.
    pub fn first_time(&self) -> Option<Timestamp> {
        self.held.first_key_value().map(|(place, _)| Timestamp(place.time))
    }

    /// The first update held, which stays: its value is the row before and after.
    pub fn first(&self) -> Result<Option<Released<K, OldAndNew<V>>>> {
        let Some((place, held)) = self.held.first_key_value() else { return Ok(None) };
        let old = self.serdes.value(held.old().map(|old| &**old))?;
        let new = self.serdes.value(held.new.as_deref())?;
        let (origin, headers) = (held.origin.clone(), held.headers.clone());
        Ok(Some(Released { key: self.serdes.key(&place.key)?, value: (old, new), origin, headers }))
    }

    /// Lets the first update go.
    pub fn remove_first(&mut self) {
        let Some((place, value)) = self.held.pop_first() else { return };
        self.byte_count -= reckoned_len(&place.key, &value);
        self.times.remove(&place.key);
        if self.facts.is_logged {
            self.dirty.insert(place.key);
        }
    }

    /// Updates held.
    pub fn record_count(&self) -> u64 {
        self.held.len() as u64
    }

    /// Bytes held, as Kafka Streams reckons them: keys, values, topics, headers and 28 for each
    /// update.
    pub fn byte_count(&self) -> u64 {
        self.byte_count
    }

    /// The row of a key before the first update held: what those behind the buffer know.
    /// `None` when nothing is held for the key; `Some(None)` when there was no row.
    pub fn prior_value(&mut self, key: &K) -> Result<Option<Option<V>>> {
        let key = self.key(key)?;
        match self.held(&key) {
            Some(held) => self.serdes.value(held.prior.as_deref()).map(Some),
            None => Ok(None),
        }
    }

    fn key(&mut self, key: &K) -> Result<SmallBytes> {
        self.scratch.clear();
        self.serdes.encode_key(key, &mut self.scratch)?;
        Ok(self.scratch.as_slice().into())
    }

    fn held(&self, key: &SmallBytes) -> Option<&BufferValue> {
        let time = *self.times.get(key)?;
        self.held.get(&Place { time, key: key.clone() })
    }

    /// Puts an update where it belongs, in the place of what is held for the key.
    fn place(&mut self, time: i64, key: SmallBytes, value: BufferValue) {
        self.remove(&key);
        self.byte_count += reckoned_len(&key, &value);
        self.times.insert(key.clone(), time);
        self.held.insert(Place { time, key }, value);
    }

    fn remove(&mut self, key: &SmallBytes) {
        let Some(time) = self.times.remove(key) else { return };
        if let Some((place, value)) = self.held.remove_entry(&Place { time, key: key.clone() }) {
            self.byte_count -= reckoned_len(&place.key, &value);
        }
    }

    fn restore_record(&mut self, record: &RestoreRecord<'_>) -> Result<()> {
        let key = SmallBytes::from(record.record.key);
        let Some(value) = record.record.value else {
            self.remove(&key);
            return Ok(());
        };
        let prior = self.held(&key).and_then(|held| held.prior.as_ref());
        let Some((time, value)) = legacy::decode(record, value, prior) else {
            return Err(self.serdes.unreadable());
        };
        // Unlike in Kafka Streams the record's time counts even if the key is held: it may have left
        // and come back since.
        self.place(time, key, value);
        Ok(())
    }

    fn clear(&mut self) {
        self.held.clear();
        self.times.clear();
        self.dirty.clear();
        self.byte_count = 0;
        self.changelog.clear();
    }
}

/// Bytes Kafka Streams reckons for an update held.
fn reckoned_len(key: &SmallBytes, value: &BufferValue) -> u64 {
    8 + key.len() as u64 + value.reckoned_len()
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> StateStore for ChangeBuffer<K, V> {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn enter(&mut self, origin: &Origin, _: &Headers) {
        self.origin.set(origin);
    }

    /// Logs the keys touched since the last time.
    fn flush_cache(&mut self) -> Result<()> {
        for key in std::mem::take(&mut self.dirty) {
            let held = self.times.get(&key).copied();
            let held = held.and_then(|time| self.held.get_key_value(&Place { time, key: key.clone() }));
            let Some((place, value)) = held else {
                self.changelog.push(&key, None, WALL_CLOCK, &Headers::new());
                continue;
            };
            self.scratch.clear();
            value.encode(&mut self.scratch);
            self.scratch.extend_from_slice(&place.time.to_be_bytes());
            self.changelog.push(&key, Some(&self.scratch), WALL_CLOCK, &self.version);
        }
        Ok(())
    }

    fn drain_changelog(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()> {
        self.changelog.drain(sink)
    }

    fn row_count(&mut self) -> Result<u64> {
        Ok(self.record_count())
    }

    /// Nothing waits for an engine: there is only memory.
    fn uncommitted_bytes(&self) -> usize {
        0
    }

    fn seal(&mut self) {}

    fn apply(&mut self, mark: &CommitMark) -> Result<()> {
        self.engine.apply(&mut std::iter::empty(), mark)
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.engine.mark()
    }

    fn restore(&mut self, records: &[RestoreRecord<'_>], mark: &CommitMark) -> Result<()> {
        records.iter().try_for_each(|record| self.restore_record(record))?;
        self.engine.apply(&mut std::iter::empty(), mark)
    }

    fn wipe(&mut self) -> Result<()> {
        self.clear();
        self.engine.wipe()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self
    }
}
