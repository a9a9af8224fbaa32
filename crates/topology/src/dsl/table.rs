//! `KTable`: the latest value of each key.

use std::rc::Rc;
use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;
use millstream_types::Serde;

use super::StreamsBuilder;
use super::draft::{Shared, Switch};
use super::lazy_table::LazyTable;
use super::names::{SOURCE, STATE_STORE, TABLE_SOURCE};
use super::options::{Consumed, Materialized};
use super::source::Subscription;
use super::table_source::{MappedOrigin, StoredOrigin, TableOrigin};
use crate::operator::table_map::{RowMapper, TableMapSpec, row_mapper, table_map, without_nulls};
use crate::operator::table_output::TableOutput;

/// A table: each record is an update of its key's row, and no value deletes the row. A table is
/// stored only where an operator needs its rows, or when it is given a store by name.
pub struct KTable<K, V> {
    pub(crate) draft: Shared,
    pub(crate) node: Arc<str>,
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) sources: Vec<Arc<str>>,
    pub(crate) origin: Rc<dyn TableOrigin<K, V>>,
    pub(crate) queryable: Option<Arc<str>>,
    pub(crate) name: Option<String>,
}

/// The operators that make each row of a table anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowOperator<'a> {
    Filter,
    MapValues,
    TransformValues { stores: &'a [&'a str] },
}

impl RowOperator<'_> {
    /// Prefix of generated names.
    fn prefix(self) -> &'static str {
        match self {
            Self::Filter => "KTABLE-FILTER-",
            Self::MapValues => "KTABLE-MAPVALUES-",
            Self::TransformValues { .. } => "KTABLE-TRANSFORMVALUES-",
        }
    }

    /// Whether a number is taken for a store without a name.
    fn names_store(self) -> bool {
        !matches!(self, Self::TransformValues { .. })
    }
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            draft: self.draft.clone(),
            node: Arc::clone(&self.node),
            key: self.key.clone(),
            value: self.value.clone(),
            sources: self.sources.clone(),
            origin: Rc::clone(&self.origin),
            queryable: self.queryable.clone(),
            name: None,
        }
    }
}

impl<K, V> KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// A table of a topic.
    pub(crate) fn read(
        builder: &StreamsBuilder,
        topic: &str,
        consumed: Consumed<K, V>,
        materialized: Option<Materialized<K, V>>,
    ) -> Self {
        let materialized = materialized.unwrap_or_default();
        let (store, source, table) = {
            let mut draft = builder.draft().borrow_mut();
            let store = draft.store_name(&materialized, &format!("{topic}-{STATE_STORE}"));
            let source = draft.node_name(consumed.name.as_ref().map(|name| format!("{name}-source")), SOURCE);
            let table = draft.node_name(consumed.name.clone(), TABLE_SOURCE);
            (store, source, table)
        };
        let key = consumed.key.clone().or_else(|| materialized.key.clone());
        let value = consumed.value.clone().or_else(|| materialized.value.clone());
        let (source, key, value) = read_rows(builder, source, topic, consumed, key, value);
        let serdes = (key.clone(), value.clone());
        let result = LazyTable::new(builder.draft(), (table, Arc::clone(&store)), serdes, materialized);
        if let Some(key) = key.filter(|_| value.is_some()) {
            let accept = move |row_key: Option<K>, value: Option<V>| (row_key.filter(|row| !key.is_null(row)), value);
            result.write(&source, Arc::new(accept));
            builder.draft().borrow_mut().outline.source_tables.push((store, topic.into()));
        }
        result.into_table(vec![source])
    }

    /// Keeps the rows the predicate holds for; a row it no longer holds for is deleted.
    ///
    /// State: none; [`filter_with`](Self::filter_with) a named store keeps the result. Topics: none. Nulls:
    /// the predicate is not asked about deleted rows.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.table::<i64, i64>("prices").filter(|_, price| *price < 100).to_stream().to("cheap");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("prices", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 20), (1, 120)])?;
    /// let cheap = driver.create_output_topic("cheap", Serdes::long(), Serdes::long().optional());
    /// assert_eq!(cheap.read_key_values_to_list()?, [(1, Some(20)), (1, None)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn filter(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filtered(predicate, None)
    }

    /// [`filter`](Self::filter) into a store; without a name nothing is stored, as in Kafka Streams.
    pub fn filter_with(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> Self {
        self.filtered(predicate, Some(materialized))
    }

    /// Drops the rows the predicate holds for; otherwise as [`filter`](Self::filter), which has an example.
    ///
    /// State: none. Topics: none. Nulls: the predicate is not asked about deleted rows.
    #[must_use]
    pub fn filter_not(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filtered(move |key, value| !predicate(key, value), None)
    }

    /// [`filter_not`](Self::filter_not) into a store.
    pub fn filter_not_with(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> Self {
        self.filtered(move |key, value| !predicate(key, value), Some(materialized))
    }

    /// Makes a new value of each row.
    ///
    /// State: none; [`map_values_with`](Self::map_values_with) a named store keeps the result. Topics: none.
    /// Nulls: deleted rows stay deleted without asking the mapper; a null result deletes its row.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.table::<i64, i64>("euros").map_values(|euros| euros * 100).to_stream().to("cents");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let euros = driver.create_input_topic("euros", Serdes::long(), Serdes::long().optional());
    /// euros.pipe_key_value_list([(1, Some(2)), (1, None)])?;
    /// let cents = driver.create_output_topic("cents", Serdes::long(), Serdes::long().optional());
    /// assert_eq!(cents.read_key_values_to_list()?, [(1, Some(200)), (1, None)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn map_values<R>(&self, mapper: impl Fn(V) -> R + Send + Sync + 'static) -> KTable<K, R>
    where
        R: Clone + Send + 'static,
    {
        self.mapped(RowOperator::MapValues, row_mapper(move |_, value| Some(mapper(value))), None, None)
    }

    /// [`map_values`](Self::map_values) that also sees the key.
    #[must_use]
    pub fn map_values_with_key<R>(&self, mapper: impl Fn(&K, V) -> R + Send + Sync + 'static) -> KTable<K, R>
    where
        R: Clone + Send + 'static,
    {
        self.mapped(RowOperator::MapValues, row_mapper(move |key, value| Some(mapper(key, value))), None, None)
    }

    /// [`map_values_with_key`](Self::map_values_with_key) into a store; without a name nothing is
    /// stored.
    pub fn map_values_with<R>(
        &self,
        mapper: impl Fn(&K, V) -> R + Send + Sync + 'static,
        materialized: Materialized<K, R>,
    ) -> KTable<K, R>
    where
        R: Clone + Send + 'static,
    {
        let mapper = row_mapper(move |key, value| Some(mapper(key, value)));
        self.mapped(RowOperator::MapValues, mapper, None, Some(materialized))
    }

    /// Names the node of the next operator, as [`KStream::named`](crate::KStream::named) does.
    #[must_use]
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self.clone() }
    }

    /// Name of the store that can be queried, if the table was given one.
    ///
    /// ```
    /// use millstream_topology::{Materialized, StreamsBuilder};
    ///
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<i64, i64>("clicks").group_by_key();
    /// assert_eq!(clicks.count_with(Materialized::named("counts")).queryable_store_name(), Some("counts"));
    /// assert_eq!(clicks.count().queryable_store_name(), None);
    /// ```
    pub fn queryable_store_name(&self) -> Option<&str> {
        self.queryable.as_deref()
    }

    fn filtered(
        &self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        materialized: Option<Materialized<K, V>>,
    ) -> Self {
        let mapper = row_mapper(move |key, value| predicate(key, &value).then_some(value));
        self.mapped(RowOperator::Filter, mapper, self.value.clone(), materialized)
    }

    pub(crate) fn mapped<R>(
        &self,
        operator: RowOperator<'_>,
        mapper: RowMapper<K, V, R>,
        value: Option<Serde<R>>,
        materialized: Option<Materialized<K, R>>,
    ) -> KTable<K, R>
    where
        R: Clone + Send + 'static,
    {
        let store = materialized.as_ref().and_then(|materialized| materialized.name.clone());
        let node = {
            let mut draft = self.draft.borrow_mut();
            if materialized.is_some() && store.is_none() && operator.names_store() {
                // Kafka Streams names a store here that it then does not make.
                draft.names.burn();
            }
            draft.node_name(self.name.clone(), operator.prefix())
        };
        let is_filter = operator == RowOperator::Filter;
        let is_versioned = materialized.is_none() && self.origin.is_versioned();
        let materialized = materialized.unwrap_or_default();
        let key = materialized.key.clone().or_else(|| self.key.clone());
        let value = materialized.value.clone().or(value);
        // What a mapper makes null by its serde is no row.
        let nulls =
            if is_filter { None } else { value.clone().or_else(|| self.draft.borrow().topology.serdes.get::<R>()) };
        let mapper: RowMapper<K, V, R> = match nulls {
            Some(serde) => without_nulls(mapper, serde),
            None => mapper,
        };
        let sends_old = Switch::default();
        // Known old values save downstream from tombstones for rows that never passed.
        if is_filter && self.origin.send_old_values(false) {
            sends_old.turn_on();
        }
        let mut result = KTable {
            draft: self.draft.clone(),
            node: node.as_str().into(),
            key: key.clone(),
            value: value.clone(),
            sources: self.sources.clone(),
            origin: Rc::new(MappedOrigin {
                parent: Rc::clone(&self.origin),
                mapper: Arc::clone(&mapper),
                sends_old: sends_old.clone(),
                is_versioned,
            }),
            queryable: None,
            name: None,
        };
        let mut output = None;
        if let Some(store) = store {
            let store: Arc<str> = store.into();
            let mut draft = self.draft.borrow_mut();
            let place = format!("{node} (in store {store})");
            let key = draft.serde(key.as_ref(), None, "keys", &place);
            let value = draft.serde(value.as_ref(), None, "values", &place);
            if let Some((key, value)) = key.zip(value) {
                draft.add_key_value_store(&store, &materialized, key.clone(), value.clone());
                (result.key, result.value) = (Some(key), Some(value));
                output = Some(TableOutput::new(Arc::clone(&store), sends_old.clone()));
            }
            let is_versioned = materialized.is_versioned();
            let origin = StoredOrigin::of::<TimestampedKeyValueStore<K, R>>(&store, is_versioned, Switch::on());
            result.origin = Rc::new(StoredOrigin { sends_old: sends_old.clone(), ..origin });
            result.queryable = Some(store);
        }
        let mut stores: Vec<Arc<str>> = result.queryable.iter().cloned().collect();
        if let RowOperator::TransformValues { stores: used } = operator {
            stores.extend(used.iter().map(|store| Arc::from(*store)));
        }
        let skips_nothing = is_filter && !self.origin.is_versioned();
        let code = table_map(TableMapSpec { mapper, sends_old, skips_nothing, output });
        self.draft.borrow_mut().then(&node, &[&self.node], &stores, code);
        result
    }
}

/// A topic's source, its key serde and value serde.
type RowSource<K, V> = (Arc<str>, Option<Serde<K>>, Option<Serde<V>>);

/// Reads a topic as rows: keys and values may be null there, whatever the types say.
pub(crate) fn read_rows<K, V>(
    builder: &StreamsBuilder,
    source: String,
    topic: &str,
    consumed: Consumed<K, V>,
    key: Option<Serde<K>>,
    value: Option<Serde<V>>,
) -> RowSource<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    let (key, value) = {
        let mut draft = builder.draft().borrow_mut();
        let place = format!("{source} (of topic {topic})");
        let key = draft.serde(key.as_ref(), None, "keys", &place);
        let value = draft.serde(value.as_ref(), None, "values", &place);
        (key, value)
    };
    let rows = Consumed::<Option<K>, Option<V>> {
        key: None,
        value: None,
        name: None,
        timestamp_extractor: match (consumed.timestamp_extractor, key.clone().zip(value.clone())) {
            (Some(extractor), Some((key, value))) => Some(extractor.optional(key, value)),
            _ => None,
        },
        reset: consumed.reset,
    };
    // Without them the draft knows already which serde is missing.
    if let Some((row_key, row_value)) = key.clone().zip(value.clone()) {
        let topic = Subscription::topics(&[topic]);
        builder.draft().borrow_mut().source(&source, topic, rows, row_key.optional(), row_value.optional());
    }
    let source = source.into();
    (source, key, value)
}
