//! `KTable`: joins with tables whose keys the rows refer to.

use std::sync::Arc;

use millstream_state::{DslKeyValueParams, StoreFormat, Stores};
use millstream_types::{Serde, Serdes};

use super::KTable;
use super::draft::Draft;
use super::lazy_table::LazyTable;
use super::names::STATE_STORE;
use super::options::{Materialized, TableJoined};
use super::stream::union;
use crate::flow::{Partitioner, SinkSpec};
use crate::operator::foreign_key::{
    ForeignJoinSpec, Response, ResponseCodec, ResponseJoinSpec, Subscription, SubscriptionCodec, SubscriptionSendSpec,
    foreign_join, response_join, subscription_join, subscription_receive, subscription_send,
};
use crate::operator::join_kind::JoinKind;
use crate::operator::table_view::ViewSupplier;

const REGISTRATION: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-";
const RESPONSE: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-";
const PROCESSOR: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-";
const RESOLVER: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-";
const SUBSCRIPTION_STORE: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-";
const OUTPUT: &str = "KTABLE-FK-JOIN-OUTPUT-";
const SINK: &str = "KTABLE-SINK-";
const SOURCE: &str = "KTABLE-SOURCE-";

type Extract<K, V, KO> = Arc<dyn Fn(&K, &V) -> Option<KO> + Send + Sync>;
type Joiner<V, VO, R> = Arc<dyn Fn(&V, Option<&VO>) -> Option<R> + Send + Sync>;

impl<K, V> KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Joins each row with the row of another table whose key is made from its value (KIP-213):
    /// many rows may refer to one. An update of either side updates the results it belongs to. The
    /// result's time is the later one of the update and the row it meets. The tables need not have the
    /// same number of partitions.
    ///
    /// State: both tables' stores, and one of all references on the other table's side. Topics: two
    /// repartitions, by the foreign key there and by the row's key back; changelogs of the stores. Nulls: a
    /// row with a null key or without foreign key (`None`, or null by the key's serde) has no result and is
    /// counted as dropped. Late records: late updates of a versioned table are left out and counted, as are
    /// answers that a newer update has overtaken.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, i64>("orders");
    /// let customers = builder.table::<i64, String>("customers");
    /// let bills = orders.join_on_foreign_key(&customers, |customer| *customer, |_, name| format!("for {name}"));
    /// bills.to_stream().to("bills");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 42), (2, 42)])?;
    /// driver.create_input_topic("customers", Serdes::long(), Serdes::string()).pipe_input(42, "Ada".to_owned())?;
    /// let bills = driver.create_output_topic("bills", Serdes::long(), Serdes::string());
    /// assert_eq!(bills.read_key_values_to_list()?, [(1, "for Ada".to_owned()), (2, "for Ada".to_owned())]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn join_on_foreign_key<KO, VO, F, R>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&V) -> F + Send + Sync + 'static,
        joiner: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        KO: Clone + Send + 'static,
        VO: Clone + Send + 'static,
        F: Into<Option<KO>>,
        R: Clone + Send + 'static,
    {
        let (joined, materialized) = (TableJoined::default(), Materialized::default());
        self.join_on_foreign_key_with(other, move |_, value| foreign_key(value), joiner, joined, materialized)
    }

    /// [`join_on_foreign_key`](Self::join_on_foreign_key) whose foreign key may be made of the key,
    /// too, with a name, partitioners and a store; the result is stored if the store is named.
    pub fn join_on_foreign_key_with<KO, VO, F, R>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> F + Send + Sync + 'static,
        joiner: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
        joined: TableJoined<K, KO>,
        materialized: Materialized<K, R>,
    ) -> KTable<K, R>
    where
        KO: Clone + Send + 'static,
        VO: Clone + Send + 'static,
        F: Into<Option<KO>>,
        R: Clone + Send + 'static,
    {
        let extract: Extract<K, V, KO> = Arc::new(move |key, value| foreign_key(key, value).into());
        let joiner: Joiner<V, VO, R> = Arc::new(move |value, row| Some(joiner(value, row?)));
        self.joined_on_foreign_key(other, extract, joiner, joined, (materialized, JoinKind::Inner))
    }

    /// [`join_on_foreign_key`](Self::join_on_foreign_key) that has a row for every row of this
    /// table, also for those without a foreign key.
    ///
    /// State: both tables' stores, and one of all references.
    /// Topics: two repartitions; changelogs of the stores. Nulls: a row without foreign key is joined with
    /// nothing; one with a null key is dropped and counted. Late records: as for the inner join.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, i64>("orders");
    /// let customers = builder.table::<i64, String>("customers");
    /// let name = |_: &i64, name: Option<&String>| name.cloned().unwrap_or_default();
    /// let bills = orders.left_join_on_foreign_key(&customers, |customer| Some(*customer).filter(|id| *id > 0), name);
    /// bills.to_stream().to("bills");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input(1, -1)?;
    /// let bills = driver.create_output_topic("bills", Serdes::long(), Serdes::string());
    /// assert_eq!(bills.read_key_value()?, (1, String::new()));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn left_join_on_foreign_key<KO, VO, F, R>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&V) -> F + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        KO: Clone + Send + 'static,
        VO: Clone + Send + 'static,
        F: Into<Option<KO>>,
        R: Clone + Send + 'static,
    {
        let (joined, materialized) = (TableJoined::default(), Materialized::default());
        self.left_join_on_foreign_key_with(other, move |_, value| foreign_key(value), joiner, joined, materialized)
    }

    /// [`left_join_on_foreign_key`](Self::left_join_on_foreign_key) with the options of
    /// [`join_on_foreign_key_with`](Self::join_on_foreign_key_with).
    pub fn left_join_on_foreign_key_with<KO, VO, F, R>(
        &self,
        other: &KTable<KO, VO>,
        foreign_key: impl Fn(&K, &V) -> F + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
        joined: TableJoined<K, KO>,
        materialized: Materialized<K, R>,
    ) -> KTable<K, R>
    where
        KO: Clone + Send + 'static,
        VO: Clone + Send + 'static,
        F: Into<Option<KO>>,
        R: Clone + Send + 'static,
    {
        let extract: Extract<K, V, KO> = Arc::new(move |key, value| foreign_key(key, value).into());
        let joiner: Joiner<V, VO, R> = Arc::new(move |value, row| Some(joiner(value, row)));
        self.joined_on_foreign_key(other, extract, joiner, joined, (materialized, JoinKind::Left))
    }

    fn joined_on_foreign_key<KO, VO, R>(
        &self,
        other: &KTable<KO, VO>,
        extract: Extract<K, V, KO>,
        joiner: Joiner<V, VO, R>,
        joined: TableJoined<K, KO>,
        (materialized, kind): (Materialized<K, R>, JoinKind),
    ) -> KTable<K, R>
    where
        KO: Clone + Send + 'static,
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        other.origin.send_old_values(true);
        self.origin.send_old_values(true);
        let (left_rows, right_rows) = (self.origin.view(), other.origin.view());
        let mut draft = self.draft.borrow_mut();
        let name = joined.name.clone().or_else(|| self.name.clone());
        let names = Names::new(&mut draft, name.as_deref());
        let store = draft.store_name(&materialized, &format!("{OUTPUT}{STATE_STORE}"));
        let place = draft.place(&names.send, &[&self.sources, &other.sources]);
        let serdes = Serdes4 {
            key: draft.serde(self.key.as_ref(), None, "keys", &place),
            value: draft.serde(self.value.as_ref(), None, "values", &place),
            foreign_key: draft.serde(other.key.as_ref(), None, "foreign keys", &place),
            other_value: draft.serde(other.value.as_ref(), None, "values of the other table", &place),
        };
        let key = materialized.key.clone().or_else(|| serdes.key.clone());
        // Without a serde nothing is null.
        let nulls = materialized.value.clone().or_else(|| draft.topology.serdes.get::<R>());
        let table_name = (names.result.clone(), store);
        let result = LazyTable::new(&self.draft, table_name, (key, nulls.clone()), materialized);
        let Some(written) = serdes.all().map(|(key, value, foreign_key, other_value)| {
            let asked = Asked { names: &names, key: &key, foreign_key: &foreign_key };
            let foreign = extract;
            let keys = foreign_key.clone();
            let send = SubscriptionSendSpec {
                extract: Arc::new(move |key: &K, value: &V| foreign(key, value).filter(|key| !keys.is_null(key))),
                value: value.clone(),
                foreign_key: foreign_key.clone(),
                kind,
                skips_late: self.origin.is_versioned(),
            };
            draft.then(&names.send, &[&self.node], &[], subscription_send(send));
            asked.write_right(&mut draft, &joined, other, &right_rows);
            let source = asked.write_answers(&mut draft, &joined, other_value);
            let stores = left_rows.stores.clone();
            let spec = ResponseJoinSpec { rows: left_rows, value, joiner };
            draft.then(&names.resolver, &[&source], &stores, response_join(spec));
            source
        }) else {
            drop(draft);
            return result.into_table(self.sources.clone());
        };
        let sources = union(&self.sources, &[written]);
        draft.topology.push_copartitioned(sources.clone());
        drop(draft);
        let is_row = move |row: &R| !nulls.as_ref().is_some_and(|serde| serde.is_null(row));
        let accept = move |key: K, row: Option<R>| (Some(key), row.filter(&is_row));
        result.write(&names.resolver, Arc::new(accept));
        result.into_table(sources)
    }
}

/// The names of a join, in the order in which Kafka Streams takes numbers for them.
struct Names {
    registration: String,
    send: String,
    registration_sink: String,
    registration_source: String,
    store: Arc<str>,
    receive: String,
    join: String,
    foreign_join: String,
    response: String,
    response_sink: String,
    response_source: String,
    resolver: String,
    result: String,
}

impl Names {
    fn new(draft: &mut Draft, name: Option<&str>) -> Self {
        let mut next =
            |suffix: &str, prefix: &str| draft.node_name(name.map(|name| format!("{name}-{suffix}")), prefix);
        Self {
            registration: next("subscription-registration", REGISTRATION) + "-topic",
            send: next("subscription-registration-processor", REGISTRATION),
            registration_sink: next("subscription-registration-sink", SINK),
            registration_source: next("subscription-registration-source", SOURCE),
            store: next("subscription-store", SUBSCRIPTION_STORE).into(),
            receive: next("subscription-receive", PROCESSOR),
            join: next("subscription-join-foreign", PROCESSOR),
            foreign_join: next("foreign-join-subscription", PROCESSOR),
            response: next("subscription-response", RESPONSE) + "-topic",
            response_sink: next("subscription-response-sink", SINK),
            response_source: next("subscription-response-source", SOURCE),
            resolver: next("subscription-response-resolver", RESOLVER),
            result: next("result", OUTPUT),
        }
    }
}

/// The serdes a join needs.
struct Serdes4<K, V, KO, VO> {
    key: Option<Serde<K>>,
    value: Option<Serde<V>>,
    foreign_key: Option<Serde<KO>>,
    other_value: Option<Serde<VO>>,
}

impl<K, V, KO, VO> Serdes4<K, V, KO, VO> {
    fn all(self) -> Option<(Serde<K>, Serde<V>, Serde<KO>, Serde<VO>)> {
        Some((self.key?, self.value?, self.foreign_key?, self.other_value?))
    }
}

/// The part of a join that is written over both topics.
struct Asked<'a, K, KO> {
    names: &'a Names,
    key: &'a Serde<K>,
    foreign_key: &'a Serde<KO>,
}

impl<K, KO> Asked<'_, K, KO>
where
    K: Clone + Send + 'static,
    KO: Clone + Send + 'static,
{
    /// Sends subscriptions to the right side, keeps and answers them there.
    fn write_right<VO>(
        &self,
        draft: &mut Draft,
        joined: &TableJoined<K, KO>,
        other: &KTable<KO, VO>,
        rows: &ViewSupplier<KO, VO>,
    ) where
        VO: Clone + Send + 'static,
    {
        let names = self.names;
        let keys = self.foreign_key.clone().optional();
        let subscriptions = Serde::new(SubscriptionCodec(self.key.clone()));
        let to = SinkSpec {
            partitioner: joined.other_partitioner.clone().map(|choose| -> Partitioner<Option<KO>, Subscription<K>> {
                Arc::new(move |topic, key, _, count| choose(topic, key.as_ref()?, count).map(|chosen| vec![chosen]))
            }),
            ..SinkSpec::new(keys.clone(), subscriptions.clone())
        };
        draft.sink(&names.registration_sink, &[&names.send], Some(&names.registration), to);
        let source =
            draft.internal_source(&names.registration, &names.registration_source, keys, subscriptions.clone(), None);
        draft.topology.push_copartitioned(union(&other.sources, &[Arc::clone(&source)]));

        let params = DslKeyValueParams::new(Arc::clone(&names.store), StoreFormat::Timestamped);
        let supplier = draft.store_suppliers.key_value_store(&params);
        let builder =
            Stores::timestamped_key_value_store_with_headers_builder(supplier, Serdes::bytes(), subscriptions);
        draft.add_store(Arc::new(builder));
        let store = [Arc::clone(&names.store)];
        let code = subscription_receive(&names.store, self.key.clone(), self.foreign_key.clone());
        draft.then(&names.receive, &[&source], &store, code);
        draft.then(&names.join, &[&names.receive], &rows.stores, subscription_join::<K, KO, VO>(rows));
        let spec = ForeignJoinSpec {
            store: Arc::clone(&names.store),
            foreign_key: self.foreign_key.clone(),
            skips_late: other.origin.is_versioned(),
        };
        draft.then(&names.foreign_join, &[&other.node], &store, foreign_join::<K, KO, VO>(spec));
    }

    /// Sends answers back; gives the source that reads them.
    fn write_answers<VO>(&self, draft: &mut Draft, joined: &TableJoined<K, KO>, value: Serde<VO>) -> Arc<str>
    where
        VO: Clone + Send + 'static,
    {
        let names = self.names;
        let answers = Serde::new(ResponseCodec(value));
        let partitioner: Partitioner<K, Response<VO>> = match joined.partitioner.clone() {
            Some(choose) => Arc::new(move |topic, key, _, count| choose(topic, key, count).map(|chosen| vec![chosen])),
            None => Arc::new(|_, _, answer, _| answer.partition.map(|partition| vec![partition])),
        };
        let to = SinkSpec { partitioner: Some(partitioner), ..SinkSpec::new(self.key.clone(), answers.clone()) };
        draft.sink(&names.response_sink, &[&names.join, &names.foreign_join], Some(&names.response), to);
        draft.internal_source(&names.response, &names.response_source, self.key.clone(), answers, None)
    }
}
