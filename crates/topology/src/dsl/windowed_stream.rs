//! `TimeWindowedKStream`: grouped records in tumbling, hopping, sliding or unlimited windows.

use millstream_types::Windowed;

use super::aggregate::How;
use super::aggregate_shape::SizedShape;
use super::options::Materialized;
use super::windowing::SizedWindows;
use super::{EmitStrategy, KGroupedStream, KTable};

/// A grouped stream in windows of a size. A record goes into every window that holds its time and is
/// still open; for each closed one it counts as dropped. Records with a null key are dropped, null
/// values are aggregated, but for sliding windows, which drop them.
///
/// The result is kept in a window store for the size of the windows plus grace (sliding windows: twice
/// the time difference plus grace), or longer if `Materialized` says so.
///
/// ```
/// # let builder = millstream_topology::StreamsBuilder::new();
/// use millstream_topology::{EmitStrategy, SlidingWindows};
/// use std::time::Duration;
///
/// let grace = Duration::from_secs(2);
/// let windows = SlidingWindows::of_time_difference_and_grace(Duration::from_secs(10), grace);
/// let logins = builder.stream::<String, String>("failed-logins").group_by_key();
/// // One result for each window, when it is complete.
/// logins.windowed_by(windows).emit_strategy(EmitStrategy::OnWindowClose).count();
/// # builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use = "windows do nothing until they are aggregated"]
pub struct TimeWindowedKStream<K, V> {
    grouped: KGroupedStream<K, V>,
    shape: SizedShape,
}

impl<K, V> Clone for TimeWindowedKStream<K, V> {
    fn clone(&self) -> Self {
        Self { grouped: self.grouped.clone(), shape: self.shape }
    }
}

impl<K, V> TimeWindowedKStream<K, V> {
    pub(crate) fn new(grouped: KGroupedStream<K, V>, windows: SizedWindows) -> Self {
        Self { grouped, shape: SizedShape { windows, emit: EmitStrategy::default() } }
    }
}

impl<K, V> TimeWindowedKStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Names the node of the next aggregate (Kafka Streams' `Named.as`).
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { grouped: self.grouped.named(name), shape: self.shape }
    }

    /// Says when results come (KIP-825). The unlimited window cannot tell them when it closes.
    pub fn emit_strategy(&self, emit: EmitStrategy) -> Self {
        Self { grouped: self.grouped.clone(), shape: SizedShape { emit, ..self.shape } }
    }

    /// Counts the records of each key and window.
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.grouped.aggregated(&self.shape, How::count(), None)
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        self.grouped.aggregated(&self.shape, How::count(), Some(materialized))
    }

    /// Combines the values of each key and window with `reducer(aggregate, value)`.
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V> {
        self.grouped.aggregated(&self.shape, How::reduce(reducer), None)
    }

    /// [`reduce`](Self::reduce) into a store.
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> KTable<Windowed<K>, V> {
        self.grouped.aggregated(&self.shape, How::reduce(reducer), Some(materialized))
    }

    /// Aggregates the values of each key and window, starting from `initializer()`.
    pub fn aggregate<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
    {
        self.grouped.aggregated(&self.shape, How::aggregate(initializer, aggregator), None)
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
    {
        self.grouped.aggregated(&self.shape, How::aggregate(initializer, aggregator), Some(materialized))
    }
}
