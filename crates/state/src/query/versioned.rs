//! Queries of versioned stores.

use std::marker::PhantomData;

use millstream_types::Timestamp;

use super::reads::Of;
use super::{FailureReason, Query, QueryFailure, ReadView, ResultOrder, VersionAsOf, VersionsBetween, ask};
use crate::{StateStore, StoreIterator, VersionedRecord};

/// The newest version of a key, or the one that was valid at a time: Kafka Streams'
/// `VersionedKeyQuery`.
#[derive(Clone, Debug)]
pub struct VersionedKeyQuery<K, V> {
    key: K,
    time: Option<Timestamp>,
    value: Of<V>,
}

impl<K, V> VersionedKeyQuery<K, V> {
    /// The newest version.
    pub fn with_key(key: K) -> Self {
        Self { key, time: None, value: PhantomData }
    }

    /// The version valid at a time: the one with the greatest timestamp that is not later.
    #[must_use]
    pub fn as_of(self, time: Timestamp) -> Self {
        Self { time: Some(time), ..self }
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The time; `None` for the newest version.
    pub fn as_of_timestamp(&self) -> Option<Timestamp> {
        self.time
    }
}

impl<K: Clone + Send + Sync + 'static, V: Send + 'static> Query for VersionedKeyQuery<K, V> {
    type Result = Option<VersionedRecord<V>>;

    fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<Self::Result, QueryFailure> {
        ask(store, VersionAsOf::new(self.key.clone(), self.time), view)
    }
}

/// The versions of a key that were valid at some time in a span, newest first unless said otherwise:
/// Kafka Streams' `MultiVersionedKeyQuery`.
#[derive(Clone, Debug)]
pub struct MultiVersionedKeyQuery<K, V> {
    key: K,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    order: ResultOrder,
    value: Of<V>,
}

impl<K, V> MultiVersionedKeyQuery<K, V> {
    /// All versions that are known.
    pub fn with_key(key: K) -> Self {
        Self { key, from: None, to: None, order: ResultOrder::Any, value: PhantomData }
    }

    /// Versions that were valid at this time or later; `None` is an open end.
    #[must_use]
    pub fn from_time(self, from: impl Into<Option<Timestamp>>) -> Self {
        Self { from: from.into(), ..self }
    }

    /// Versions that were valid at this time or earlier; `None` is an open end.
    #[must_use]
    pub fn to_time(self, to: impl Into<Option<Timestamp>>) -> Self {
        Self { to: to.into(), ..self }
    }

    /// Oldest first.
    #[must_use]
    pub fn with_ascending_timestamps(self) -> Self {
        Self { order: ResultOrder::Ascending, ..self }
    }

    /// Newest first.
    #[must_use]
    pub fn with_descending_timestamps(self) -> Self {
        Self { order: ResultOrder::Descending, ..self }
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The order of the versions.
    pub fn result_order(&self) -> ResultOrder {
        self.order
    }
}

impl<K: Clone + Send + Sync + 'static, V: Send + 'static> Query for MultiVersionedKeyQuery<K, V> {
    type Result = StoreIterator<VersionedRecord<V>>;

    fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<Self::Result, QueryFailure> {
        let times = (self.from.unwrap_or(Timestamp(i64::MIN)), self.to.unwrap_or(Timestamp(i64::MAX)));
        if times.0 > times.1 {
            let message = format!("the first time {} is later than the last {}", times.0, times.1);
            return Err(QueryFailure::new(FailureReason::StoreException, message));
        }
        let is_ascending = self.order == ResultOrder::Ascending;
        ask(store, VersionsBetween::new(self.key.clone(), times, is_ascending), view)
    }
}
