//! `KGroupedStream`: records grouped by key, about to be aggregated.

use std::cell::RefCell;
use std::rc::Rc;

use super::aggregate::How;
use super::aggregate_shape::Unwindowed;
use super::options::Materialized;
use super::repartition::TopicPrefix;
use super::{CogroupedKStream, KStream, KTable, Windowing};

/// A stream grouped by key. Records with a null key or value are left out of aggregates and counted
/// as dropped.
#[must_use = "a grouping does nothing until it is aggregated"]
pub struct KGroupedStream<K, V> {
    pub(crate) stream: KStream<K, V>,
    /// The user's name for the repartition topic.
    pub(crate) name: Option<String>,
    /// What lies behind the repartition topic, once it is written; shared only under a user's name.
    pub(crate) repartitioned: Rc<RefCell<Option<KStream<K, V>>>>,
}

impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), name: self.name.clone(), repartitioned: Rc::clone(&self.repartitioned) }
    }
}

impl<K, V> KGroupedStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Names the node of the next aggregate (Kafka Streams' `Named.as`).
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { stream: self.stream.named(name), ..self.clone() }
    }

    /// Counts the records of each key.
    pub fn count(&self) -> KTable<K, i64> {
        self.aggregated(&Unwindowed, How::count(), None)
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        self.aggregated(&Unwindowed, How::count(), Some(materialized))
    }

    /// Combines the values of each key: the first value is the first aggregate, then
    /// `reducer(aggregate, value)`. A null result deletes the row.
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<K, V> {
        self.aggregated(&Unwindowed, How::reduce(reducer), None)
    }

    /// [`reduce`](Self::reduce) into a store.
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        self.aggregated(&Unwindowed, How::reduce(reducer), Some(materialized))
    }

    /// Aggregates the values of each key, starting from `initializer()`. A null result deletes the
    /// row; the next record starts anew.
    pub fn aggregate<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
    {
        self.aggregated(&Unwindowed, How::aggregate(initializer, aggregator), None)
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
    {
        self.aggregated(&Unwindowed, How::aggregate(initializer, aggregator), Some(materialized))
    }

    /// Cuts the groups into windows: tumbling and hopping ([`TimeWindows`](super::TimeWindows)),
    /// [`SlidingWindows`](super::SlidingWindows), [`SessionWindows`](super::SessionWindows) or
    /// [`UnlimitedWindows`](super::UnlimitedWindows).
    ///
    /// ```
    /// # let builder = millstream_topology::StreamsBuilder::new();
    /// use millstream_topology::SessionWindows;
    /// use std::time::Duration;
    ///
    /// let gap = Duration::from_secs(30);
    /// let visits = builder.stream::<String, String>("clicks").group_by_key();
    /// visits.windowed_by(SessionWindows::of_inactivity_gap_with_no_grace(gap)).count();
    /// # builder.build()?;
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn windowed_by<W: Windowing>(&self, windows: W) -> W::Windowed<K, V> {
        windows.windowed(self.clone())
    }

    /// Begins an aggregate of several grouped streams (KIP-150): `aggregator` adds the values of this
    /// one. See [`CogroupedKStream`].
    pub fn cogroup<A>(&self, aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static) -> CogroupedKStream<K, A>
    where
        A: Clone + Send + 'static,
    {
        CogroupedKStream::new(&self.stream.draft).cogroup(self, aggregator)
    }

    /// The stream behind the repartition that a changed key makes necessary.
    pub(crate) fn repartition(&self, store: &str, is_store_named: bool) -> KStream<K, V> {
        if !self.stream.is_rekeyed {
            return self.stream.clone();
        }
        if let Some(shared) = self.repartitioned.borrow().as_ref() {
            let mut draft = self.stream.draft.borrow_mut();
            // The names are taken again even though the nodes are shared.
            for _ in 0..3 {
                draft.names.burn();
            }
            draft.reuses_repartition(&shared.node);
            return shared.clone();
        }
        let stream = self.repartition_anew(store, is_store_named);
        if self.name.is_some() {
            *self.repartitioned.borrow_mut() = Some(stream.clone());
        }
        stream
    }

    /// As [`repartition`](Self::repartition), without sharing.
    pub(crate) fn repartition_anew(&self, store: &str, is_store_named: bool) -> KStream<K, V> {
        if !self.stream.is_rekeyed {
            return self.stream.clone();
        }
        let prefix = TopicPrefix {
            text: self.name.clone().unwrap_or_else(|| store.to_owned()),
            is_given: self.name.is_some() || is_store_named,
        };
        self.stream.through(prefix, self.stream.key.clone(), self.stream.value.clone())
    }
}
