//! `SessionWindowedKStream`: grouped records in sessions.

use std::sync::Arc;

use millstream_types::Windowed;

use super::aggregate::How;
use super::aggregate_shape::SessionShape;
use super::options::Materialized;
use super::{EmitStrategy, KGroupedStream, KTable, SessionWindows};
use crate::operator::windowed::{Merge, Sessions};

/// A grouped stream in sessions. A record joins the sessions that are at most the inactivity gap
/// away; several of them become one, and the table then deletes the rows they had. A record whose
/// session is closed counts as dropped. Records with a null key are dropped, null values are
/// aggregated.
///
/// The result is kept in a session store for the inactivity gap plus grace, or longer if
/// `Materialized` says so. The timestamp of a result is the end of its session.
///
/// ```
/// # let builder = millstream_topology::StreamsBuilder::new();
/// use millstream_topology::SessionWindows;
/// use std::time::Duration;
///
/// let windows = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(1_800));
/// let clicks = builder.stream::<String, String>("clicks").group_by_key();
/// clicks.windowed_by(windows).aggregate(
///     || 0_i64,
///     |_, click: String, letters| letters + click.len() as i64,
///     |_, one, two| one + two,
/// );
/// # builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use = "windows do nothing until they are aggregated"]
pub struct SessionWindowedKStream<K, V> {
    grouped: KGroupedStream<K, V>,
    windows: SessionWindows,
    emit: EmitStrategy,
}

impl<K, V> Clone for SessionWindowedKStream<K, V> {
    fn clone(&self) -> Self {
        Self { grouped: self.grouped.clone(), windows: self.windows, emit: self.emit }
    }
}

impl<K, V> SessionWindowedKStream<K, V> {
    pub(crate) fn new(grouped: KGroupedStream<K, V>, windows: SessionWindows) -> Self {
        Self { grouped, windows, emit: EmitStrategy::default() }
    }

    fn shape<A>(&self, merge: Merge<K, A>) -> SessionShape<K, A> {
        SessionShape { sessions: Sessions { windows: self.windows, merge }, emit: self.emit }
    }
}

impl<K, V> SessionWindowedKStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Names the node of the next aggregate, as [`KStream::named`](crate::KStream::named) does.
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { grouped: self.grouped.named(name), ..self.clone() }
    }

    /// Says when results come (KIP-825): see [`EmitStrategy`].
    ///
    /// State: as the aggregate's. Topics: none more. Late records: left out as always.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{EmitStrategy, SessionWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_millis(10));
    /// let builder = StreamsBuilder::new();
    /// let visits = builder.stream::<i64, i64>("clicks").group_by_key().windowed_by(windows);
    /// let clicks = visits.emit_strategy(EmitStrategy::OnWindowClose).count();
    /// clicks.to_stream().select_key(|session, _| session.window.start.0).to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let clicks = driver.create_input_topic("clicks", Serdes::long(), Serdes::long());
    /// for time in [1, 9, 30] {
    ///     clicks.pipe_input_at(1, 0, Timestamp(time))?;
    /// }
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long());
    /// assert_eq!(counts.read_key_values_to_list()?, [(1, 2)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn emit_strategy(&self, emit: EmitStrategy) -> Self {
        Self { emit, ..self.clone() }
    }

    /// Counts the records of each key and session.
    ///
    /// State: a session store of the counts, kept as the type's page says. Topics: its changelog; a
    /// repartition if the key has changed. Nulls: a null key is dropped and counted; a null value counts.
    /// Late records: one whose session is closed counts as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{SessionWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_millis(10));
    /// let builder = StreamsBuilder::new();
    /// let counts = builder.stream::<i64, i64>("clicks").group_by_key().windowed_by(windows).count();
    /// counts.to_stream().select_key(|session, _| session.window.end.0).to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let clicks = driver.create_input_topic("clicks", Serdes::long(), Serdes::long());
    /// for time in [1, 9] {
    ///     clicks.pipe_input_at(1, 0, Timestamp(time))?;
    /// }
    /// // The session grew, so its old row is deleted.
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long().optional());
    /// assert_eq!(counts.read_key_values_to_list()?, [(1, Some(1)), (1, None), (9, Some(2))]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.count_into(None)
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        self.count_into(Some(materialized))
    }

    fn count_into(&self, materialized: Option<Materialized<K, i64>>) -> KTable<Windowed<K>, i64> {
        let merge = Arc::new(|_: &K, one: Option<i64>, two: i64| one.unwrap_or(0).wrapping_add(two));
        self.grouped.aggregated(&self.shape(merge), How::count(), materialized)
    }

    /// Combines the values of each key and session with `reducer(aggregate, value)`, and so the
    /// aggregates of sessions that become one.
    ///
    /// State: a session store of the aggregates, kept as the type's page says. Topics: its changelog; a
    /// repartition if the key has changed. Nulls: a null key is dropped and counted; null values reach the
    /// reducer. Late records: one whose session is closed counts as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{SessionWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = SessionWindows::of_inactivity_gap_and_grace(Duration::from_millis(10), Duration::from_millis(50));
    /// let builder = StreamsBuilder::new();
    /// let carts = builder.stream::<i64, i64>("carts").group_by_key();
    /// let carts = carts.windowed_by(windows).reduce(|sum, cents| sum + cents);
    /// carts.to_stream().select_key(|session, _| session.window.end.0).to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let carts = driver.create_input_topic("carts", Serdes::long(), Serdes::long());
    /// for (cents, time) in [(20, 1), (30, 19), (4, 10)] {
    ///     carts.pipe_input_at(1, cents, Timestamp(time))?;
    /// }
    /// // The last one lies between the two sessions and joins them.
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long().optional());
    /// assert_eq!(
    ///     sums.read_key_values_to_list()?,
    ///     [(1, Some(20)), (19, Some(30)), (1, None), (19, None), (19, Some(54))]
    /// );
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V> {
        self.reduce_into(Arc::new(reducer), None)
    }

    /// [`reduce`](Self::reduce) into a store.
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> KTable<Windowed<K>, V> {
        self.reduce_into(Arc::new(reducer), Some(materialized))
    }

    fn reduce_into(
        &self,
        reducer: Arc<dyn Fn(V, V) -> V + Send + Sync>,
        materialized: Option<Materialized<K, V>>,
    ) -> KTable<Windowed<K>, V> {
        let merger = Arc::clone(&reducer);
        let merge = Arc::new(move |_: &K, one: Option<V>, two: V| match one {
            Some(one) => merger(one, two),
            None => two,
        });
        self.grouped.aggregated(&self.shape(merge), How::reduce(move |one, two| reducer(one, two)), materialized)
    }

    /// Aggregates the values of each key and session, starting from `initializer()`. Sessions that
    /// become one are combined with `merger(key, aggregate, other)`, oldest first, again starting from
    /// `initializer()`. A null result deletes the session's row.
    ///
    /// State: a session store of the aggregates, kept as the type's page says. Topics: its changelog; a
    /// repartition if the key has changed. Nulls: a null key is dropped and counted; null values reach the
    /// aggregator. Late records: one whose session is closed counts as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{SessionWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_millis(10));
    /// let builder = StreamsBuilder::new();
    /// let visits = builder.stream::<i64, i64>("clicks").group_by_key().windowed_by(windows);
    /// let pages = visits.aggregate(|| 0_i64, |_, pages, sum| sum + pages, |_, one, two| one + two);
    /// pages.to_stream().select_key(|session, _| session.window.end.0).to("pages");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("clicks", Serdes::long(), Serdes::long()).pipe_input_at(1, 3, Timestamp(5))?;
    /// let pages = driver.create_output_topic("pages", Serdes::long(), Serdes::long());
    /// assert_eq!(pages.read_key_value()?, (5, 3));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn aggregate<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        merger: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
    {
        self.grouped.aggregated(&self.shape(merged(merger)), How::aggregate(initializer, aggregator), None)
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        merger: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
    {
        let how = How::aggregate(initializer, aggregator);
        self.grouped.aggregated(&self.shape(merged(merger)), how, Some(materialized))
    }
}

/// The user's merger, where there is an aggregate in any case.
pub(crate) fn merged<K: 'static, A: 'static>(merger: impl Fn(&K, A, A) -> A + Send + Sync + 'static) -> Merge<K, A> {
    #[expect(clippy::expect_used, reason = "an aggregate with an initializer is never without one")]
    Arc::new(move |key, one, two| merger(key, one.expect("the initial aggregate"), two))
}
