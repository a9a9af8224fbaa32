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
    /// Names the node of the next aggregate, as [`KStream::named`](crate::KStream::named) does.
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { stream: self.stream.named(name), ..self.clone() }
    }

    /// Counts the records of each key.
    ///
    /// State: a key-value store of the counts, for ever. Topics: its changelog; a repartition if the key
    /// has changed. Nulls: a record with a null key or value is dropped and counted. Late records: counted;
    /// the count keeps its newest time.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").group_by_key().count().to_stream().to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let input = driver.create_input_topic("in", Serdes::long(), Serdes::long());
    /// input.pipe_key_value_list([(1, 20), (2, 30), (1, 40)])?;
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long());
    /// assert_eq!(counts.read_key_values_to_list()?, [(1, 1), (2, 1), (1, 2)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn count(&self) -> KTable<K, i64> {
        self.aggregated(&Unwindowed, How::count(), None)
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        self.aggregated(&Unwindowed, How::count(), Some(materialized))
    }

    /// Combines the values of each key: the first value is the first aggregate, then
    /// `reducer(aggregate, value)`. A null result deletes the row.
    ///
    /// State: a key-value store of the aggregates, for ever. Topics: its changelog; a repartition if the
    /// key has changed. Nulls: a record with a null key or value is dropped and counted. Late records:
    /// aggregated; the aggregate keeps its newest time.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").group_by_key().reduce(|most, value| most.max(value)).to_stream().to("most");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 20), (1, 10)])?;
    /// let most = driver.create_output_topic("most", Serdes::long(), Serdes::long());
    /// assert_eq!(most.read_key_values_to_list()?, [(1, 20), (1, 20)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
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
    ///
    /// State: a key-value store of the aggregates, for ever. Topics: its changelog; a repartition if the
    /// key has changed. Nulls: a record with a null key or value is dropped and counted. Late records:
    /// aggregated; the aggregate keeps its newest time.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let letters = |_: &i64, word: String, letters: i64| letters + i64::try_from(word.len()).unwrap_or(0);
    /// builder.stream::<i64, String>("words").group_by_key().aggregate(|| 0, letters).to_stream().to("letters");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let words = driver.create_input_topic("words", Serdes::long(), Serdes::string());
    /// words.pipe_key_value_list([(1, "mill".to_owned()), (1, "by".to_owned())])?;
    /// let letters = driver.create_output_topic("letters", Serdes::long(), Serdes::long());
    /// assert_eq!(letters.read_values_to_list()?, [4, 6]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
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
    /// State: none; the aggregate has it. Topics: none. Nulls: see the aggregate. Late records: see the
    /// aggregate.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{SessionWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let visits = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_millis(30));
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("clicks").group_by_key().windowed_by(visits).count_with(
    ///     millstream_topology::Materialized::named("visits"),
    /// );
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let clicks = driver.create_input_topic("clicks", Serdes::long(), Serdes::long());
    /// clicks.pipe_input_at(1, 0, Timestamp(10))?;
    /// clicks.pipe_input_at(1, 0, Timestamp(25))?;
    /// let visits = driver.session_store::<i64, i64>("visits")?;
    /// assert_eq!(visits.fetch_session(&1, Timestamp(10), Timestamp(25))?, Some(2));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn windowed_by<W: Windowing>(&self, windows: W) -> W::Windowed<K, V> {
        windows.windowed(self.clone())
    }

    /// Begins an aggregate of several grouped streams (KIP-150): `aggregator` adds the values of this
    /// one. See [`CogroupedKStream`].
    ///
    /// State: none; the aggregate has it. Topics: none. Nulls: see the aggregate.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<i64, i64>("orders").group_by_key();
    /// let returns = builder.stream::<i64, i64>("returns").group_by_key();
    /// let kept = orders.cogroup(|_, cents, sum: i64| sum + cents).cogroup(&returns, |_, cents, sum| sum - cents);
    /// kept.aggregate(|| 0).to_stream().to("kept");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input(1, 50)?;
    /// driver.create_input_topic("returns", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// let kept = driver.create_output_topic("kept", Serdes::long(), Serdes::long());
    /// assert_eq!(kept.read_values_to_list()?, [50, 30]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
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
            draft.names.burn_repartition();
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
