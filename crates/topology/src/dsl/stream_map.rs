//! `KStream`: operators that make new records of each one.

use super::KStream;
use crate::flow::ProcessorError;
use crate::operator::stateless;

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Makes a new key and value of each record. If only the value changes, use
    /// [`map_values`](Self::map_values): it keeps the stream partitioned.
    ///
    /// State: none. Topics: a repartition before the next operator that needs the key. Nulls: reach the
    /// mapper.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("prices").map(|item, price| (price, item)).to("by-price");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let prices = driver.create_input_topic("prices", Serdes::long(), Serdes::long());
    /// let by_price = driver.create_output_topic("by-price", Serdes::long(), Serdes::long());
    /// prices.pipe_input(7, 99)?;
    /// assert_eq!(by_price.read_key_value()?, (99, 7));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn map<K2, V2>(&self, mapper: impl Fn(K, V) -> (K2, V2) + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        self.try_map(move |key, value| Ok(mapper(key, value)))
    }

    /// [`map`](Self::map) with a mapper that may fail.
    #[must_use]
    pub fn try_map<K2, V2>(
        &self,
        mapper: impl Fn(K, V) -> Result<(K2, V2), ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        self.next("KSTREAM-MAP-", stateless::map(mapper), None, None).with_changed_key()
    }

    /// Makes a new value of each record; the key and so the partition stay.
    ///
    /// State: none. Topics: none. Nulls: reach the mapper.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("euros").map_values(|euros| euros * 100).to("cents");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let euros = driver.create_input_topic("euros", Serdes::long(), Serdes::long());
    /// let cents = driver.create_output_topic("cents", Serdes::long(), Serdes::long());
    /// euros.pipe_input(7, 2)?;
    /// assert_eq!(cents.read_key_value()?, (7, 200));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn map_values<V2>(&self, mapper: impl Fn(V) -> V2 + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
    {
        self.try_map_values(move |_, value| Ok(mapper(value)))
    }

    /// [`map_values`](Self::map_values) that also sees the key.
    #[must_use]
    pub fn map_values_with_key<V2>(&self, mapper: impl Fn(&K, V) -> V2 + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
    {
        self.try_map_values(move |key, value| Ok(mapper(key, value)))
    }

    /// [`map_values_with_key`](Self::map_values_with_key) with a mapper that may fail.
    #[must_use]
    pub fn try_map_values<V2>(
        &self,
        mapper: impl Fn(&K, V) -> Result<V2, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
    {
        self.next("KSTREAM-MAPVALUES-", stateless::map_values(mapper), self.key.clone(), None).with_changed_value()
    }

    /// Makes any number of records of each one, in order.
    ///
    /// State: none. Topics: a repartition before the next operator that needs the key. Nulls: reach the
    /// mapper.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("transfers").flat_map(|from, to| [(from, -1_i64), (to, 1)]).to("bookings");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let transfers = driver.create_input_topic("transfers", Serdes::long(), Serdes::long());
    /// let bookings = driver.create_output_topic("bookings", Serdes::long(), Serdes::long());
    /// transfers.pipe_input(7, 8)?;
    /// assert_eq!(bookings.read_key_values_to_list()?, [(7, -1), (8, 1)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn flat_map<K2, V2, I>(&self, mapper: impl Fn(K, V) -> I + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = (K2, V2)>,
    {
        self.try_flat_map(move |key, value| Ok(mapper(key, value)))
    }

    /// [`flat_map`](Self::flat_map) with a mapper that may fail.
    #[must_use]
    pub fn try_flat_map<K2, V2, I>(
        &self,
        mapper: impl Fn(K, V) -> Result<I, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = (K2, V2)>,
    {
        self.next("KSTREAM-FLATMAP-", stateless::flat_map(mapper), None, None).with_changed_key()
    }

    /// Makes any number of values of each one, in order, under the same key.
    ///
    /// State: none. Topics: none. Nulls: reach the mapper.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let words = |line: String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    /// builder.stream::<i64, String>("lines").flat_map_values(words).to("words");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let lines = driver.create_input_topic("lines", Serdes::long(), Serdes::string());
    /// let words = driver.create_output_topic("words", Serdes::long(), Serdes::string());
    /// lines.pipe_input(1, "by the mill".to_owned())?;
    /// assert_eq!(words.read_values_to_list()?, ["by", "the", "mill"]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn flat_map_values<V2, I>(&self, mapper: impl Fn(V) -> I + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = V2>,
    {
        self.try_flat_map_values(move |_, value| Ok(mapper(value)))
    }

    /// [`flat_map_values`](Self::flat_map_values) that also sees the key and may fail.
    #[must_use]
    pub fn try_flat_map_values<V2, I>(
        &self,
        mapper: impl Fn(&K, V) -> Result<I, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = V2>,
    {
        self.next("KSTREAM-FLATMAPVALUES-", stateless::flat_map_values(mapper), self.key.clone(), None)
            .with_changed_value()
    }

    /// Gives each record a new key.
    ///
    /// State: none. Topics: a repartition before the next operator that needs the key. Nulls: reach the
    /// mapper.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("orders").select_key(|_, customer| *customer).to("by-customer");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let orders = driver.create_input_topic("orders", Serdes::long(), Serdes::long());
    /// let by_customer = driver.create_output_topic("by-customer", Serdes::long(), Serdes::long());
    /// orders.pipe_input(1, 42)?;
    /// assert_eq!(by_customer.read_key_value()?, (42, 42));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn select_key<K2>(&self, mapper: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KStream<K2, V>
    where
        K2: Clone + Send + 'static,
    {
        self.try_select_key(move |key, value| Ok(mapper(key, value)))
    }

    /// [`select_key`](Self::select_key) with a mapper that may fail.
    #[must_use]
    pub fn try_select_key<K2>(
        &self,
        mapper: impl Fn(&K, &V) -> Result<K2, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K2, V>
    where
        K2: Clone + Send + 'static,
    {
        self.next("KSTREAM-KEY-SELECT-", stateless::select_key(mapper), None, self.value.clone()).with_changed_key()
    }
}
