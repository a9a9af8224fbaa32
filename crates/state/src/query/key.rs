//! Queries of key-value stores.

use std::marker::PhantomData;

use super::reads::Of;
use super::{GetRow, KeyRows, Query, QueryFailure, ReadView, ResultOrder, ask};
use crate::{StateStore, StoreIterator, ValueAndTimestamp};

/// The value under a key: Kafka Streams' `KeyQuery`. Known by key-value stores, with timestamps or
/// headers or without.
///
/// ```
/// use millstream_state::query::{KeyQuery, Query, ReadView};
/// # use millstream_state::{MemoryEngine, StoreEnv, Stores};
/// # use millstream_types::Serdes;
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
/// # let supplier = Stores::in_memory_key_value_store("stock");
/// # let mut stock = Stores::key_value_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
/// stock.put(&1, Some(20))?;
/// assert_eq!(KeyQuery::<i64, i64>::with_key(1).run(&mut stock, ReadView::Latest), Ok(Some(20)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyQuery<K, V> {
    key: K,
    skips_cache: bool,
    value: Of<V>,
}

impl<K, V> KeyQuery<K, V> {
    /// Asks for a key.
    pub fn with_key(key: K) -> Self {
        Self { key, skips_cache: false, value: PhantomData }
    }

    /// Looks past the record cache: at what the last commit, or an eviction, has written through.
    #[must_use]
    pub fn skip_cache(self) -> Self {
        Self { skips_cache: true, ..self }
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Whether the record cache is not looked at.
    pub fn is_skip_cache(&self) -> bool {
        self.skips_cache
    }
}

impl<K: Clone + Send + Sync + 'static, V: Send + 'static> Query for KeyQuery<K, V> {
    type Result = Option<V>;

    fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<Option<V>, QueryFailure> {
        let view = if self.skips_cache && view == ReadView::Latest { ReadView::SkipCache } else { view };
        ask(store, GetRow::new(self.key.clone()), view)
    }
}

/// The rows from a key to another, both inclusive: Kafka Streams' `RangeQuery`. Known by key-value
/// stores, as [`KeyQuery`] is. The rows are those of the moment of the query, by key bytes.
///
/// Cost: what is not in the engine yet (record cache, writes since the store was brought up to the
/// last commit) is copied by the task's thread; all else is read where the iterator is used.
#[derive(Clone, Debug)]
pub struct RangeQuery<K, V> {
    from: Option<K>,
    to: Option<K>,
    order: ResultOrder,
    value: Of<V>,
}

impl<K, V> RangeQuery<K, V> {
    /// Keys from `from` to `to`, both inclusive; `None` is an open end.
    pub fn with_range(from: Option<K>, to: Option<K>) -> Self {
        Self { from, to, order: ResultOrder::Any, value: PhantomData }
    }

    /// Keys up to `to`, which belongs to them.
    pub fn with_upper_bound(to: K) -> Self {
        Self::with_range(None, Some(to))
    }

    /// Keys from `from` on.
    pub fn with_lower_bound(from: K) -> Self {
        Self::with_range(Some(from), None)
    }

    /// All keys.
    pub fn with_no_bounds() -> Self {
        Self::with_range(None, None)
    }

    /// Ascending by key bytes.
    #[must_use]
    pub fn with_ascending_keys(self) -> Self {
        Self { order: ResultOrder::Ascending, ..self }
    }

    /// Descending by key bytes.
    #[must_use]
    pub fn with_descending_keys(self) -> Self {
        Self { order: ResultOrder::Descending, ..self }
    }

    /// The first key; `None` is an open end.
    pub fn lower_bound(&self) -> Option<&K> {
        self.from.as_ref()
    }

    /// The last key; `None` is an open end.
    pub fn upper_bound(&self) -> Option<&K> {
        self.to.as_ref()
    }

    /// The order of the rows.
    pub fn result_order(&self) -> ResultOrder {
        self.order
    }
}

impl<K: Clone + Send + Sync + 'static, V: Send + 'static> Query for RangeQuery<K, V> {
    type Result = StoreIterator<(K, V)>;

    fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<Self::Result, QueryFailure> {
        let is_reverse = self.order == ResultOrder::Descending;
        ask(store, KeyRows::new(self.from.clone(), self.to.clone(), is_reverse), view)
    }
}

/// The value under a key with its timestamp: Kafka Streams' `TimestampedKeyQuery`. Known by key-value
/// stores with timestamps.
pub type TimestampedKeyQuery<K, V> = KeyQuery<K, ValueAndTimestamp<V>>;

/// As [`RangeQuery`], with the timestamps of the values: Kafka Streams' `TimestampedRangeQuery`.
pub type TimestampedRangeQuery<K, V> = RangeQuery<K, ValueAndTimestamp<V>>;
