//! `KStream`: joins with another stream.

use std::sync::Arc;

use super::join_parts::{JoinNames, JoinParts};
use super::options::StreamJoined;
use super::stream::union;
use super::{JoinWindows, KStream};
use crate::operator::join_kind::JoinKind;
use crate::operator::stream_join::PairJoiner;

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Joins each record with those of the other stream that have its key and a time within the
    /// windows; every pair gives one result, as soon as its second record comes, with the later of
    /// both times and the headers of the second record. Both sides must be partitioned alike.
    ///
    /// State: a window store for each stream, for the windows' length plus their grace period; one for
    /// both if a stream is joined with itself and `topology.optimization` merges them. Topics: their
    /// changelogs; a repartition of a stream whose key has changed. Nulls: a record with a null key or
    /// value is dropped and counted. Late records: join what the other store still holds, but are not
    /// kept once their window is over.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{JoinWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let minute = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(60))?;
    /// let builder = StreamsBuilder::new();
    /// let views = builder.stream::<i64, i64>("views");
    /// let clicks = builder.stream::<i64, i64>("clicks");
    /// views.join_stream(&clicks, |view, click| view + click, minute).to("pairs");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let views = driver.create_input_topic("views", Serdes::long(), Serdes::long());
    /// let clicks = driver.create_input_topic("clicks", Serdes::long(), Serdes::long());
    /// views.pipe_input_at(1, 20, Timestamp(0))?;
    /// clicks.pipe_input_at(1, 3, Timestamp(30_000))?;
    /// clicks.pipe_input_at(1, 4, Timestamp(90_000))?;
    /// let pairs = driver.create_output_topic("pairs", Serdes::long(), Serdes::long());
    /// assert_eq!(pairs.read_key_values_to_list()?, [(1, 23)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn join_stream<VO, R>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
        windows: JoinWindows,
    ) -> KStream<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.join_stream_with(other, move |_, left, right| joiner(left, right), windows, StreamJoined::default())
    }

    /// [`join_stream`](Self::join_stream) whose joiner sees the key, with serdes, names and stores.
    pub fn join_stream_with<VO, R>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&K, &V, &VO) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, VO>,
    ) -> KStream<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined_stream(other, JoinKind::Inner, inner(joiner), windows, joined)
    }

    /// [`join_stream`](Self::join_stream) that also emits each record of this stream that finds no
    /// partner: once stream time has passed the end of its window plus the grace period, with the
    /// record's own time.
    ///
    /// State: that of the inner join, and a store of the records that wait. Topics: changelogs of all
    /// three; a repartition of a stream whose key has changed. Nulls: a record of this stream with a null
    /// key is joined with nothing at once; others with a null key or value are dropped and counted. Late
    /// records: one whose window is over joins what the other store still holds, or nothing, at once.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{JoinWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let minute = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(60))?;
    /// let builder = StreamsBuilder::new();
    /// let views = builder.stream::<i64, i64>("views");
    /// let clicks = builder.stream::<i64, i64>("clicks");
    /// views.left_join_stream(&clicks, |view, click| click.map_or(-1, |click| view + click), minute).to("pairs");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let views = driver.create_input_topic("views", Serdes::long(), Serdes::long());
    /// views.pipe_input_at(1, 20, Timestamp(0))?;
    /// // The next record moves time past the first one's window.
    /// views.pipe_input_at(2, 30, Timestamp(60_001))?;
    /// let pairs = driver.create_output_topic("pairs", Serdes::long(), Serdes::long());
    /// assert_eq!(pairs.read_key_values_to_list()?, [(1, -1)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn left_join_stream<VO, R>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
    ) -> KStream<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.left_join_stream_with(other, move |_, left, right| joiner(left, right), windows, StreamJoined::default())
    }

    /// [`left_join_stream`](Self::left_join_stream) whose joiner sees the key, with serdes, names and
    /// stores.
    pub fn left_join_stream_with<VO, R>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&K, &V, Option<&VO>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, VO>,
    ) -> KStream<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined_stream(other, JoinKind::Left, left(joiner), windows, joined)
    }

    /// [`left_join_stream`](Self::left_join_stream) that emits the records of both streams that find
    /// no partner.
    ///
    /// State: that of the inner join, and a store of the records that wait. Topics: changelogs of all
    /// three; a repartition of a stream whose key has changed. Nulls: a record with a null key is joined
    /// with nothing at once; one with a null value is dropped and counted. Late records: one whose window
    /// is over joins what the other store still holds, or nothing, at once.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{JoinWindows, StreamsBuilder};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// let minute = JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(60))?;
    /// let builder = StreamsBuilder::new();
    /// let bids = builder.stream::<i64, i64>("bids");
    /// let asks = builder.stream::<i64, i64>("asks");
    /// bids.outer_join(&asks, |bid, ask| bid.unwrap_or(&0) - ask.unwrap_or(&0), minute).to("spread");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let asks = driver.create_input_topic("asks", Serdes::long(), Serdes::long());
    /// asks.pipe_input_at(1, 20, Timestamp(0))?;
    /// asks.pipe_input_at(1, 30, Timestamp(60_001))?;
    /// let spread = driver.create_output_topic("spread", Serdes::long(), Serdes::long());
    /// assert_eq!(spread.read_key_values_to_list()?, [(1, -20)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn outer_join<VO, R>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(Option<&V>, Option<&VO>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
    ) -> KStream<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.outer_join_with(other, move |_, left, right| joiner(left, right), windows, StreamJoined::default())
    }

    /// [`outer_join`](Self::outer_join) whose joiner sees the key, with serdes, names and stores.
    pub fn outer_join_with<VO, R>(
        &self,
        other: &KStream<K, VO>,
        joiner: impl Fn(&K, Option<&V>, Option<&VO>) -> R + Send + Sync + 'static,
        windows: JoinWindows,
        joined: StreamJoined<K, V, VO>,
    ) -> KStream<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined_stream(other, JoinKind::Outer, Arc::new(joiner), windows, joined)
    }

    fn joined_stream<VO, R>(
        &self,
        other: &KStream<K, VO>,
        kind: JoinKind,
        joiner: PairJoiner<K, V, VO, R>,
        windows: JoinWindows,
        joined: StreamJoined<K, V, VO>,
    ) -> KStream<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        let named = joined.name.clone().or_else(|| self.name.clone());
        self.draft.borrow_mut().check_name(named.as_deref());
        let key = joined.key.clone().or_else(|| self.key.clone()).or_else(|| other.key.clone());
        let prefix = |side: &str| named.as_ref().map(|name| format!("{name}-{side}"));
        let left_value = joined.value.clone().or_else(|| self.value.clone());
        let left = self.partitioned_for_join(prefix("left").as_deref(), key.clone(), left_value.clone());
        let right_value = joined.other_value.clone().or_else(|| other.value.clone());
        let right = other.partitioned_for_join(prefix("right").as_deref(), key.clone(), right_value.clone());
        let mut draft = self.draft.borrow_mut();
        let names = JoinNames::new(&mut draft, named.as_deref(), joined.store_name.as_deref(), kind);
        let merge = names.merge.clone();
        let place = draft.place(&merge, &[&self.sources, &other.sources]);
        let key = draft.serde(key.as_ref(), None, "keys", &place);
        let left_value = draft.serde(left_value.as_ref(), None, "values", &place);
        let right_value = draft.serde(right_value.as_ref(), None, "values of the other stream", &place);
        if let (Some(key), Some(left_value), Some(right_value)) = (key.clone(), left_value, right_value) {
            let parents = (&*left.node, &*right.node);
            let joined = &joined;
            JoinParts { names, parents, kind, joiner, windows, key, left: left_value, right: right_value, joined }
                .write(&mut draft);
        }
        if kind != JoinKind::Inner {
            // Records with a null key are joined with nothing, so they must get this far.
            draft.takes_null_keys(&merge);
        }
        let sources = union(&left.sources, &right.sources);
        draft.topology.push_copartitioned(sources.clone());
        drop(draft);
        let mut stream = left.after(merge, key, None);
        stream.sources = sources;
        stream.is_rekeyed = false;
        stream
    }
}

/// A joiner that is only asked about pairs.
fn inner<K: 'static, V: 'static, VO: 'static, R: 'static>(
    joiner: impl Fn(&K, &V, &VO) -> R + Send + Sync + 'static,
) -> PairJoiner<K, V, VO, R> {
    #[expect(clippy::expect_used, reason = "an inner join joins pairs only")]
    left(move |key: &K, left: &V, right: Option<&VO>| joiner(key, left, right.expect("a right value")))
}

/// A joiner that is only asked where there is a left value.
fn left<K: 'static, V: 'static, VO: 'static, R: 'static>(
    joiner: impl Fn(&K, &V, Option<&VO>) -> R + Send + Sync + 'static,
) -> PairJoiner<K, V, VO, R> {
    #[expect(clippy::expect_used, reason = "only records of the left stream are joined with nothing")]
    Arc::new(move |key, left, right| joiner(key, left.expect("a left value"), right))
}
