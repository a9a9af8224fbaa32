//! `KStream`: becoming a table, grouping.

use std::rc::Rc;
use std::sync::Arc;

use millstream_types::Serde;

use super::lazy_table::LazyTable;
use super::names::STATE_STORE;
use super::options::{Grouped, Materialized};
use super::repartition::TopicPrefix;
use super::{IntoTableValue, KGroupedStream, KStream, KTable};
use crate::operator::stateless;

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Reads the stream as a table's updates: each record replaces its key's row. A stream of `Option<W>`
    /// becomes a table of `W`.
    ///
    /// State: a key-value store, if something downstream needs the rows. Topics: its changelog; a
    /// repartition if the key has changed. Nulls: a null value deletes the row; a null key is dropped and
    /// counted, by a repartition silently. Late records: replace newer rows all the same.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.stream::<i64, Option<i64>>("prices").to_table::<i64>();
    /// prices.map_values(|price| price * 2).to_stream().to("doubled");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let prices = driver.create_input_topic("prices", Serdes::long(), Serdes::long().optional());
    /// let doubled = driver.create_output_topic("doubled", Serdes::long(), Serdes::long().optional());
    /// prices.pipe_key_value_list([(1, Some(20)), (1, None)])?;
    /// assert_eq!(doubled.read_key_values_to_list()?, [(1, Some(40)), (1, None)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn to_table<W>(&self) -> KTable<K, W>
    where
        V: IntoTableValue<W>,
        W: Clone + Send + 'static,
    {
        self.table(None)
    }

    /// [`to_table`](Self::to_table) into a store; stored in any case if it is named.
    pub fn to_table_with<W>(&self, materialized: Materialized<K, W>) -> KTable<K, W>
    where
        V: IntoTableValue<W>,
        W: Clone + Send + 'static,
    {
        self.table(Some(materialized))
    }

    fn table<W>(&self, materialized: Option<Materialized<K, W>>) -> KTable<K, W>
    where
        V: IntoTableValue<W>,
        W: Clone + Send + 'static,
    {
        let materialized = materialized.unwrap_or_default();
        let (node, store) = {
            let mut draft = self.draft.borrow_mut();
            let node = draft.node_name(self.name.clone(), "KSTREAM-TOTABLE-");
            let store = draft.store_name(&materialized, &format!("KSTREAM-TOTABLE-{STATE_STORE}"));
            (node, store)
        };
        let key = materialized.key.clone().or_else(|| self.key.clone());
        let upstream = if self.is_rekeyed {
            let prefix = TopicPrefix { text: node.clone(), is_given: self.name.is_some() };
            self.through(prefix, key.clone(), self.value.clone())
        } else {
            self.clone()
        };
        let (key, value) = {
            let mut draft = self.draft.borrow_mut();
            let place = draft.place(&node, &[&self.sources]);
            let key = draft.serde(key.as_ref(), None, "keys", &place);
            let value = draft.serde(materialized.value.as_ref(), None, "table values", &place);
            (key, value)
        };
        let table = LazyTable::new(&self.draft, (node, store), (key.clone(), value.clone()), materialized);
        if let Some(key) = key.filter(|_| value.is_some()) {
            let nulls = self.value_serde();
            let accept = move |row: K, value: V| {
                let is_null = nulls.as_ref().is_some_and(|serde| serde.is_null(&value));
                let value = if is_null { None } else { value.into_table_value() };
                ((!key.is_null(&row)).then_some(row), value)
            };
            table.write(&upstream.node, Arc::new(accept));
        }
        table.into_table(upstream.sources)
    }

    /// Groups by the key as it is.
    ///
    /// State: none; the aggregate has it. Topics: a repartition if the key has changed. Nulls: see the
    /// aggregate; a repartition drops null keys silently.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").group_by_key().count().to_stream().to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 20), (1, 30)])?;
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long());
    /// assert_eq!(counts.read_key_values_to_list()?, [(1, 1), (1, 2)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn group_by_key(&self) -> KGroupedStream<K, V> {
        self.group_by_key_with(Grouped::default())
    }

    /// [`group_by_key`](Self::group_by_key) with serdes and a name for the repartition topic.
    pub fn group_by_key_with(&self, grouped: Grouped<K, V>) -> KGroupedStream<K, V> {
        self.draft.borrow_mut().check_name(grouped.name.as_deref());
        let mut stream = self.clone();
        stream.key = grouped.key.or(stream.key);
        stream.value = grouped.value.or(stream.value);
        KGroupedStream { stream, name: grouped.name, repartitioned: Rc::default() }
    }

    /// Groups by a new key.
    ///
    /// State: none; the aggregate has it. Topics: a repartition, always. Nulls: reach the selector; the
    /// repartition drops null keys silently.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("orders").group_by(|_, customer| *customer).count().to_stream().to("customers");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 42), (2, 42)])?;
    /// let customers = driver.create_output_topic("customers", Serdes::long(), Serdes::long());
    /// assert_eq!(customers.read_key_values_to_list()?, [(42, 1), (42, 2)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn group_by<K2>(&self, selector: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KGroupedStream<K2, V>
    where
        K2: Clone + Send + 'static,
    {
        self.group_by_with(selector, Grouped::default())
    }

    /// [`group_by`](Self::group_by) with serdes and a name.
    pub fn group_by_with<K2>(
        &self,
        selector: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        grouped: Grouped<K2, V>,
    ) -> KGroupedStream<K2, V>
    where
        K2: Clone + Send + 'static,
    {
        let node = self.draft.borrow_mut().node_name(grouped.name.clone(), "KSTREAM-KEY-SELECT-");
        let code = stateless::select_key(move |key, value| Ok(selector(key, value)));
        self.draft.borrow_mut().then(&node, &[&self.node], &[], code);
        let value = grouped.value.or_else(|| self.value.clone());
        let stream = self.after(node, grouped.key, value).with_changed_key();
        KGroupedStream { stream, name: grouped.name, repartitioned: Rc::default() }
    }

    /// Serde that knows which values are null: the stream's, or the type's default.
    pub(crate) fn value_serde(&self) -> Option<Serde<V>> {
        self.value.clone().or_else(|| self.draft.borrow().topology.serdes.get::<V>())
    }

    /// Serde that knows which keys are null.
    pub(crate) fn key_serde(&self) -> Option<Serde<K>> {
        self.key.clone().or_else(|| self.draft.borrow().topology.serdes.get::<K>())
    }
}
