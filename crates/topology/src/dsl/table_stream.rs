//! From a table to the stream of its updates.

use millstream_types::Serde;

use super::{KStream, KTable};
use crate::flow::{Context, Incoming};
use crate::operator::change::Change;
use crate::operator::stateless;

impl<K, V> KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// The updates as a stream; a deleted row is `None`.
    ///
    /// State: none. Topics: none. Nulls: a deletion is a record with a null value.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.table::<i64, i64>("prices").to_stream().map_values(|price| price.unwrap_or(-1)).to("changes");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let prices = driver.create_input_topic("prices", Serdes::long(), Serdes::long().optional());
    /// prices.pipe_key_value_list([(1, Some(20)), (1, None)])?;
    /// let changes = driver.create_output_topic("changes", Serdes::long(), Serdes::long());
    /// assert_eq!(changes.read_values_to_list()?, [20, -1]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn to_stream(&self) -> KStream<K, Option<V>> {
        let stream = self.streamed(|key, new| (key, new));
        KStream { key: self.key.clone(), value: self.value.clone().map(Serde::optional), ..stream }
    }

    /// [`to_stream`](Self::to_stream) under keys that the mapper makes of each update: the nodes of
    /// `to_stream().select_key(mapper)`, as Kafka Streams' `toStream(mapper)`. A name given before goes
    /// to the first of the two.
    ///
    /// State: none. Topics: a repartition before the next operator that needs the key. Nulls: the mapper
    /// sees a deletion as `None`.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table::<i64, i64>("prices");
    /// prices.to_stream_with_key(|shop, price| format!("{shop}:{}", price.unwrap_or(&0))).to("changes");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let prices = driver.create_input_topic("prices", Serdes::long(), Serdes::long().optional());
    /// prices.pipe_key_value_list([(1, Some(20)), (1, None)])?;
    /// let changes = driver.create_output_topic("changes", Serdes::string(), Serdes::long().optional());
    /// assert_eq!(changes.read_key_values_to_list()?, [("1:20".to_owned(), Some(20)), ("1:0".to_owned(), None)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn to_stream_with_key<K2>(
        &self,
        mapper: impl Fn(&K, Option<&V>) -> K2 + Send + Sync + 'static,
    ) -> KStream<K2, Option<V>>
    where
        K2: Clone + Send + 'static,
    {
        self.to_stream().select_key(move |key, value| mapper(key, value.as_ref()))
    }

    /// [`to_stream`](Self::to_stream) into types that have a null of their own, or that merge what
    /// several tables give: the same node, with the conversions done on the way. The serdes of the
    /// new types are their defaults, unless a later call is given others.
    ///
    /// State: none. Topics: none. Nulls: a deletion is what `Option::None` converts to.
    ///
    /// ```
    /// # let builder = millstream_topology::StreamsBuilder::new();
    /// #[derive(Clone)]
    /// struct Count(i64);
    ///
    /// impl From<Option<i64>> for Count {
    ///     fn from(count: Option<i64>) -> Self {
    ///         Self(count.unwrap_or(0))
    ///     }
    /// }
    ///
    /// let counts = builder.stream::<String, String>("words").group_by_key().count();
    /// counts.to_stream_as::<String, Count>().map_values(|count| count.0).to("counts");
    /// # builder.build()?;
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn to_stream_as<K2, V2>(&self) -> KStream<K2, V2>
    where
        K: Into<K2>,
        Option<V>: Into<V2>,
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        self.streamed(|key, new| (key.into(), new.into()))
    }

    /// The node that makes records of changes.
    fn streamed<K2, V2>(&self, convert: impl Fn(K, Option<V>) -> (K2, V2) + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        let code = stateless::stateless(move |ctx: &mut Context<'_, K2, V2>, record: Incoming<'_, K, Change<V>>| {
            let (key, change, rest) = record.into_record().into_parts();
            let (key, value) = convert(key, change.new);
            ctx.forward(rest.with_key(key).with_value(value));
            Ok(())
        });
        let name = self.draft.borrow_mut().node_name(self.name.clone(), "KTABLE-TOSTREAM-");
        self.draft.borrow_mut().then(&name, &[&self.node], &[], code);
        KStream { sources: self.sources.clone(), ..KStream::new(&self.draft, name.into(), None, None) }
    }
}
