//! Grouping a table by something else than its key.

use std::sync::Arc;

use millstream_types::{Serde, Serdes};

use super::KTable;
use super::aggregate::Target;
use super::aggregate_shape::Unwindowed;
use super::draft::Shared;
use super::names::{REPARTITION_SUFFIX, SINK, SOURCE};
use super::options::{Grouped, Materialized};
use crate::flow::SinkSpec;
use crate::operator::table_group::{ChangeCodec, TableAggregation, table_aggregate, table_select};

/// A table grouped anew: each update of a row takes the old value out of its group and adds the new
/// one to its group. The updates go through a repartition topic.
#[must_use = "a grouping does nothing until it is aggregated"]
pub struct KGroupedTable<K, V> {
    draft: Shared,
    node: Arc<str>,
    key: Option<Serde<K>>,
    value: Option<Serde<V>>,
    grouped_name: Option<String>,
    name: Option<String>,
}

impl<K, V> Clone for KGroupedTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            draft: self.draft.clone(),
            node: Arc::clone(&self.node),
            key: self.key.clone(),
            value: self.value.clone(),
            grouped_name: self.grouped_name.clone(),
            name: None,
        }
    }
}

impl<K, V> KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Groups the rows by a new key and value.
    ///
    /// State: the table's store; the aggregate has its own. Topics: a repartition, always, with old and
    /// new value in one record or, where the group changes, two. Nulls: rows whose new key or value is null
    /// are in no group. Late records: late updates of a versioned table are left out.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let towns = builder.table::<i64, String>("towns");
    /// towns.group_by(|_, town| (town.clone(), 1_i64)).count().to_stream().to("people");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let towns = driver.create_input_topic("towns", Serdes::long(), Serdes::string());
    /// towns.pipe_key_value_list([(1, "Ulm".to_owned()), (2, "Ulm".to_owned()), (1, "Bonn".to_owned())])?;
    /// let people = driver.create_output_topic("people", Serdes::string(), Serdes::long());
    /// assert_eq!(people.read_key_values_to_map()?, [("Ulm".to_owned(), 1), ("Bonn".to_owned(), 1)].into());
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn group_by<K2, V2>(
        &self,
        selector: impl Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KGroupedTable<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        self.group_by_with(selector, Grouped::default())
    }

    /// [`group_by`](Self::group_by) with serdes and a name for the repartition topic.
    pub fn group_by_with<K2, V2>(
        &self,
        selector: impl Fn(&K, &V) -> (K2, V2) + Send + Sync + 'static,
        grouped: Grouped<K2, V2>,
    ) -> KGroupedTable<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        let (node, key, value) = {
            let mut draft = self.draft.borrow_mut();
            let node = draft.node_name(grouped.name.clone(), "KTABLE-SELECT-");
            let place = draft.place(&node, &[&self.sources]);
            let key = draft.serde(grouped.key.as_ref(), None, "keys", &place);
            let value = draft.serde(grouped.value.as_ref(), None, "values", &place);
            (node, key, value)
        };
        self.origin.send_old_values(true);
        if let (Some(key), Some(value)) = (key.clone(), value.clone()) {
            let code = table_select(Arc::new(selector), self.key.clone(), (key, value), self.origin.is_versioned());
            self.draft.borrow_mut().then(&node, &[&self.node], &[], code);
        }
        let draft = self.draft.clone();
        KGroupedTable { draft, node: node.into(), key, value, grouped_name: grouped.name, name: None }
    }
}

impl<K, V> KGroupedTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Names the node of the next aggregate, as [`KStream::named`](crate::KStream::named) does.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Counts the rows of each group.
    ///
    /// State: a key-value store of the counts. Topics: its changelog, and the grouping's repartition.
    /// Nulls: rows in no group count nowhere. Late records: counted; see
    /// [`group_by`](crate::KTable::group_by).
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.table::<i64, i64>("orders").group_by(|_, customer| (*customer, 0_i64)).count().to_stream().to("counts");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 42), (2, 42)])?;
    /// let counts = driver.create_output_topic("counts", Serdes::long(), Serdes::long());
    /// assert_eq!(counts.read_key_values_to_list()?, [(42, 1), (42, 2)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn count(&self) -> KTable<K, i64> {
        self.count_with(Materialized::default())
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        let add = |_: &K, _: V, count: Option<i64>| count.unwrap_or(0).wrapping_add(1);
        let subtract = |_: &K, _: V, count: i64| count.wrapping_sub(1);
        self.aggregated("KTABLE-AGGREGATE-", Arc::new(add), Arc::new(subtract), materialized, Some(Serdes::long()))
    }

    /// Combines the values of each group: `adder(aggregate, new)`, `subtractor(aggregate, old)`. The first
    /// value of a group is its first aggregate. A null result deletes the row.
    ///
    /// State: a key-value store of the aggregates. Topics: its changelog, and the grouping's repartition.
    /// Nulls: rows in no group count nowhere. Late records: aggregated; see
    /// [`group_by`](crate::KTable::group_by).
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let stock = builder.table::<i64, i64>("stock").group_by(|item, pieces| (item % 2, *pieces));
    /// stock.reduce(|sum, new| sum + new, |sum, old| sum - old).to_stream().to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let stock = driver.create_input_topic("stock", Serdes::long(), Serdes::long());
    /// stock.pipe_key_value_list([(1, 20), (3, 5), (1, 10)])?;
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long());
    /// assert_eq!(sums.read_key_values_to_map()?, [(1, 15)].into());
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn reduce(
        &self,
        adder: impl Fn(V, V) -> V + Send + Sync + 'static,
        subtractor: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> KTable<K, V> {
        self.reduce_with(adder, subtractor, Materialized::default())
    }

    /// [`reduce`](Self::reduce) into a store.
    pub fn reduce_with(
        &self,
        adder: impl Fn(V, V) -> V + Send + Sync + 'static,
        subtractor: impl Fn(V, V) -> V + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        let add = move |_: &K, value: V, aggregate: Option<V>| match aggregate {
            Some(aggregate) => adder(aggregate, value),
            None => value,
        };
        let subtract = move |_: &K, value: V, aggregate: V| subtractor(aggregate, value);
        self.aggregated("KTABLE-REDUCE-", Arc::new(add), Arc::new(subtract), materialized, self.value.clone())
    }

    /// Aggregates the values of each group, starting from `initializer()`: `adder(key, new, aggregate)`,
    /// `subtractor(key, old, aggregate)`. An update takes the old value away before it adds the new one. A null
    /// result deletes the row.
    ///
    /// State: a key-value store of the aggregates. Topics: its changelog, and the grouping's repartition.
    /// Nulls: rows in no group count nowhere. Late records: aggregated; see
    /// [`group_by`](crate::KTable::group_by).
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let stock = builder.table::<i64, i64>("stock").group_by(|item, pieces| (item % 2, *pieces));
    /// stock.aggregate(|| 100, |_, new, sum| sum + new, |_, old, sum| sum - old).to_stream().to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("stock", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 20), (1, 10)])?;
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long());
    /// assert_eq!(sums.read_key_values_to_map()?, [(1, 110)].into());
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn aggregate<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        adder: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        subtractor: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
    {
        self.aggregate_with(initializer, adder, subtractor, Materialized::default())
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        adder: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        subtractor: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
    {
        let add =
            move |key: &K, value: V, aggregate: Option<A>| adder(key, value, aggregate.unwrap_or_else(&initializer));
        self.aggregated("KTABLE-AGGREGATE-", Arc::new(add), Arc::new(subtractor), materialized, None)
    }

    fn aggregated<A>(
        &self,
        prefix: &str,
        add: Arc<dyn Fn(&K, V, Option<A>) -> A + Send + Sync>,
        subtract: Arc<dyn Fn(&K, V, A) -> A + Send + Sync>,
        materialized: Materialized<K, A>,
        inherited: Option<Serde<A>>,
    ) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
    {
        let mut draft = self.draft.borrow_mut();
        let store = draft.store_name(&materialized, "KTABLE-AGGREGATE-STATE-STORE-");
        let suffixed = |suffix: &str| self.name.as_ref().map(|name| format!("{name}-{suffix}"));
        let sink = draft.node_name(suffixed("sink"), SINK);
        let source = draft.node_name(suffixed("source"), SOURCE);
        let node = draft.node_name(self.name.clone(), prefix);
        drop(draft);
        let inherited = (self.key.clone(), inherited);
        let place = format!("{node} (in store {store})");
        let topic = format!("{}{REPARTITION_SUFFIX}", self.grouped_name.as_deref().unwrap_or(&store));
        let target = Target::new(&self.draft, &Unwindowed, Arc::clone(&store), &place, materialized, inherited);
        let mut sources = Vec::new();
        if let Some(((key, result), value)) = target.serdes().zip(self.value.clone()) {
            let change = Serde::new(ChangeCodec(value));
            let mut draft = self.draft.borrow_mut();
            draft.sink(&sink, &[&self.node], Some(&topic), SinkSpec::new(key.clone(), change.clone()));
            let source = draft.internal_source(&topic, &source, key.clone(), change, None);
            let code = table_aggregate(TableAggregation { add, subtract, key, result }, target.output());
            draft.then(&node, &[&source], &[store], code);
            drop(draft);
            target.write_store();
            sources = vec![source];
        }
        target.into_table(node, sources)
    }
}
