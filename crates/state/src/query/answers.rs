//! Which reads the stores of this crate know, and as what they show their rows.

use millstream_types::{Result, Timestamp};

use super::{
    GetRow, KeyRows, KeySpan, PrefixRows, Question, SessionRows, SessionValue, VersionAsOf, VersionsBetween,
    WindowRows, WindowValue, WindowsOfKey,
};
use crate::bytes::ByteRange;
use crate::headed::Headed;
use crate::key_value::typed_rows;
use crate::typed::Core;
use crate::{
    AggregationWithHeaders, KeyValueStore, OuterJoinStore, SessionStore, SessionStoreWithHeaders, StoreIterator,
    TimestampedKeyValueStore, TimestampedKeyValueStoreWithHeaders, TimestampedWindowStore,
    TimestampedWindowStoreWithHeaders, ValueAndTimestamp, ValueTimestampHeaders, VersionedKeyValueStore, WindowStore,
};

/// A store that answers questions.
pub(crate) trait Answers {
    /// Offers what it knows.
    fn offer(&mut self, question: &mut Question<'_>);
}

fn plain<V>(value: V, _: Timestamp) -> V {
    value
}

fn timed<V>(value: V, timestamp: Timestamp) -> ValueAndTimestamp<V> {
    ValueAndTimestamp { value, timestamp }
}

fn bare<V>(headed: Headed<V>, _: Timestamp) -> V {
    headed.value
}

fn timed_bare<V>(headed: Headed<V>, timestamp: Timestamp) -> ValueAndTimestamp<V> {
    ValueAndTimestamp { value: headed.value, timestamp }
}

fn timed_headed<V>(headed: Headed<V>, timestamp: Timestamp) -> ValueTimestampHeaders<V> {
    ValueTimestampHeaders { value: headed.value, timestamp, headers: headed.headers }
}

fn aggregation<V>(headed: Headed<V>, _: Timestamp) -> AggregationWithHeaders<V> {
    AggregationWithHeaders { aggregation: headed.value, headers: headed.headers }
}

/// What a row becomes.
type Item<V, T> = fn(V, Timestamp) -> T;

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    fn offer_rows<T: Send + 'static>(&self, question: &mut Question<'_>, item: Item<V, T>) {
        let rows = |range: &ByteRange, is_reverse, view| {
            let rows = self.snapshot(range, is_reverse, view)?;
            Ok::<_, millstream_types::Error>(typed_rows(rows, self.keys.clone(), self.decoder.clone(), item))
        };
        question.offer(|read: &GetRow<K, T>, view| {
            let mut key = Vec::new();
            self.encode_key(&read.key, &mut key)?;
            self.peek(&key, view, item)
        });
        question.offer(|read: &KeyRows<K, T>, view| {
            rows(&self.key_range(read.from.as_ref(), read.to.as_ref())?, read.is_reverse, view)
        });
        question.offer(|read: &PrefixRows<K, T>, view| rows(&ByteRange::prefix(&read.prefix), false, view));
    }

    fn offer_windows<T: Send + 'static>(&self, question: &mut Question<'_>, item: Item<V, T>) {
        question.offer(|read: &WindowValue<K, T>, view| {
            let mut row_key = Vec::new();
            self.row_key(&read.key, read.start, self.current_sequence(), &mut row_key)?;
            self.peek(&row_key, view, item)
        });
        question.offer(|read: &WindowsOfKey<K, T>, view| {
            let Some(range) = self.range_of_key(&read.key, read.starts)? else { return Ok(StoreIterator::empty()) };
            let rows = self.snapshot(&range, read.is_reverse, view)?;
            Ok(self.windows_of_key(rows, &range, item))
        });
        question.offer(|read: &WindowRows<K, T>, view| {
            let wanted = self.wanted_windows((read.keys.0.as_ref(), read.keys.1.as_ref()), read.starts)?;
            let rows = self.snapshot(&wanted.range(), false, view)?;
            Ok(self.windows_of_keys(rows, wanted, read.is_reverse, item))
        });
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> SessionStore<K, V> {
    fn offer_sessions<T: Send + 'static>(&mut self, question: &mut Question<'_>, item: Item<V, T>) {
        question.offer(|read: &SessionValue<K, T>, view| self.peek_session(&read.key, read.session, view, item));
        question.offer(|read: &SessionRows<K, T>, view| {
            let keys = match &read.keys {
                KeySpan::One(key) => self.keys_of_one(key)?,
                KeySpan::Range(from, to) => self.keys_between(from.as_ref(), to.as_ref())?,
            };
            let rows = self.core.snapshot(&keys.range(read.earliest_end.0.max(0)), false, view)?;
            Ok(self.sessions(rows, keys, (read.earliest_end, read.latest_start), read.is_reverse, item))
        });
    }
}

/// Offers rows as each of these items.
macro_rules! answers {
    ($($store:ident: |$own:ident| $part:expr => $offer:ident($($item:ident),+);)+) => {
        $(
            impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Answers for $store<K, V> {
                fn offer(&mut self, question: &mut Question<'_>) {
                    let $own = self;
                    let part = &mut $part;
                    $(part.$offer(question, $item);)+
                }
            }
        )+
    };
}

answers! {
    KeyValueStore: |store| store.core => offer_rows(plain);
    TimestampedKeyValueStore: |store| store.core => offer_rows(plain, timed);
    TimestampedKeyValueStoreWithHeaders: |store| store.inner.core => offer_rows(bare, timed_bare, timed_headed);
    WindowStore: |store| store.core => offer_windows(plain);
    TimestampedWindowStore: |store| store.core => offer_windows(plain, timed);
    TimestampedWindowStoreWithHeaders: |store| store.inner.core => offer_windows(bare, timed_bare, timed_headed);
    SessionStoreWithHeaders: |store| store.inner => offer_sessions(bare, aggregation);
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Answers for SessionStore<K, V> {
    fn offer(&mut self, question: &mut Question<'_>) {
        self.offer_sessions(question, plain);
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Answers for VersionedKeyValueStore<K, V> {
    fn offer(&mut self, question: &mut Question<'_>) {
        question.offer(|read: &VersionAsOf<K, V>, view| {
            self.with_view(view, |store| match read.time {
                Some(time) => store.get_as_of(&read.key, time),
                None => store.get(&read.key),
            })
        });
        question.offer(|read: &VersionsBetween<K, V>, view| {
            let (from, to) = read.times;
            let mut versions = self.with_view(view, |store| store.get_between(&read.key, from, to))?;
            if read.is_ascending {
                versions.reverse();
            }
            Ok::<_, millstream_types::Error>(StoreIterator::new(versions.into_iter().map(Ok)))
        });
    }
}

/// It is looked at by its join alone.
impl<K, L, R> Answers for OuterJoinStore<K, L, R> {
    fn offer(&mut self, _: &mut Question<'_>) {}
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> VersionedKeyValueStore<K, V> {
    fn with_view<T>(&mut self, view: super::ReadView, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.history.view = view;
        let outcome = read(self);
        self.history.view = super::ReadView::Latest;
        outcome
    }
}
