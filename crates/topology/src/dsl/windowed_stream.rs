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
    /// Names the node of the next aggregate, as [`KStream::named`](crate::KStream::named) does.
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { grouped: self.grouped.named(name), shape: self.shape }
    }

    /// Says when results come (KIP-825): see [`EmitStrategy`]. The unlimited window cannot tell them when it
    /// closes.
    ///
    /// State: as the aggregate's. Topics: none more. Late records: left out as always.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{EmitStrategy, StreamsBuilder, TimeWindows};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(10))?;
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<i64, i64>("clicks").group_by_key().windowed_by(windows);
    /// let counts = clicks.emit_strategy(EmitStrategy::OnWindowClose).count();
    /// counts.to_stream().select_key(|window, _| window.window.start.0).to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let clicks = driver.create_input_topic("clicks", Serdes::long(), Serdes::long());
    /// for time in [1, 2, 12] {
    ///     clicks.pipe_input_at(1, 0, Timestamp(time))?;
    /// }
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long());
    /// assert_eq!(counts.read_key_values_to_list()?, [(0, 2)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn emit_strategy(&self, emit: EmitStrategy) -> Self {
        Self { grouped: self.grouped.clone(), shape: SizedShape { emit, ..self.shape } }
    }

    /// Counts the records of each key and window.
    ///
    /// State: a window store of the counts, kept as the type's page says. Topics: its changelog; a
    /// repartition if the key has changed. Nulls: a null key is dropped and counted; a null value counts,
    /// but for sliding windows, which drop it, too. Late records: for each window that is closed one counts
    /// as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{StreamsBuilder, TimeWindows};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(10))?;
    /// let builder = StreamsBuilder::new();
    /// let counts = builder.stream::<i64, i64>("clicks").group_by_key().windowed_by(windows).count();
    /// counts.to_stream().select_key(|window, _| window.window.start.0).to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let clicks = driver.create_input_topic("clicks", Serdes::long(), Serdes::long());
    /// for time in [1, 12, 2] {
    ///     clicks.pipe_input_at(1, 0, Timestamp(time))?;
    /// }
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long());
    /// assert_eq!(counts.read_key_values_to_list()?, [(0, 1), (10, 1)]);
    /// assert_eq!(driver.dropped_records(), 1);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.grouped.aggregated(&self.shape, How::count(), None)
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        self.grouped.aggregated(&self.shape, How::count(), Some(materialized))
    }

    /// Combines the values of each key and window: the first value is the first aggregate, then
    /// `reducer(aggregate, value)`. A null result deletes the window's row.
    ///
    /// State: a window store of the aggregates, kept as the type's page says. Topics: its changelog; a
    /// repartition if the key has changed. Nulls: a null key is dropped and counted; null values reach the
    /// reducer, but for sliding windows, which drop them, too. Late records: for each window that is closed
    /// one counts as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{StreamsBuilder, TimeWindows};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// // Ten milliseconds long, a new one every five.
    /// let ms = Duration::from_millis;
    /// let windows = TimeWindows::of_size_with_no_grace(ms(10))?.advance_by(ms(5))?;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.stream::<i64, i64>("in").group_by_key();
    /// let most = prices.windowed_by(windows).reduce(|most, value| most.max(value));
    /// most.to_stream().select_key(|window, _| window.window.start.0).to("most");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_input_at(1, 20, Timestamp(7))?;
    /// let most = driver.create_output_topic("most", Serdes::long(), Serdes::long());
    /// assert_eq!(most.read_key_values_to_list()?, [(0, 20), (5, 20)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
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

    /// Aggregates the values of each key and window, starting from `initializer()`. A null result deletes the
    /// window's row.
    ///
    /// State: a window store of the aggregates, kept as the type's page says. Topics: its changelog; a
    /// repartition if the key has changed. Nulls: a null key is dropped and counted; null values reach the
    /// aggregator, but for sliding windows, which drop them, too. Late records: for each window that is
    /// closed one counts as dropped.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{SlidingWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let windows = SlidingWindows::of_time_difference_with_no_grace(Duration::from_millis(10));
    /// let builder = StreamsBuilder::new();
    /// let logins = builder.stream::<i64, i64>("logins").group_by_key().windowed_by(windows);
    /// let failed = logins.aggregate(|| 0_i64, |_, tries, failed| failed + tries);
    /// failed.to_stream().select_key(|window, _| window.window.end.0).to("failed");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let logins = driver.create_input_topic("logins", Serdes::long(), Serdes::long());
    /// logins.pipe_input_at(1, 2, Timestamp(20))?;
    /// logins.pipe_input_at(1, 3, Timestamp(25))?;
    /// // A window ends with each record, and one starts right after the first.
    /// let failed = driver.create_output_topic("failed", Serdes::long(), Serdes::long());
    /// assert_eq!(failed.read_key_values_to_list()?, [(20, 2), (31, 3), (25, 5)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
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
