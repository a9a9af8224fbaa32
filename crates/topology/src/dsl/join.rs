//! `KStream`: joins with tables.

use std::sync::Arc;

use super::join_grace::Waiting;
use super::options::Joined;
use super::stream::union;
use super::{GlobalKTable, KStream, KTable};
use crate::operator::join::{GlobalLookup, JoinSpec, Lookup, TableLookup, stream_table_join};
use crate::operator::join_kind::JoinKind;
use crate::operator::nulls::Nulls;
use millstream_types::clock::millis;

type Joiner<K, V, VT, R> = Arc<dyn Fn(&K, &V, Option<&VT>) -> R + Send + Sync>;

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Joins each record with the table's row of its key, as it is when the record is processed; with a
    /// versioned table, as it was at the record's time. Updates of the table emit nothing. Both sides must
    /// be partitioned alike.
    ///
    /// State: the table's store. Topics: a repartition of the stream if its key has changed. Nulls: a
    /// record with a null key or value is dropped and counted. Late records: joined like others; with
    /// [`Joined::with_grace_period`] records wait for the table.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table::<i64, i64>("prices");
    /// builder.stream::<i64, i64>("orders").join(&prices, |pieces, price| pieces * price).to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("prices", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 3), (2, 4)])?;
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long());
    /// assert_eq!(sums.read_key_values_to_list()?, [(1, 60)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn join<VT, R>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&V, &VT) -> R + Send + Sync + 'static,
    ) -> KStream<K, R>
    where
        VT: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.join_with(table, move |_, value, row| joiner(value, row), Joined::default())
    }

    /// [`join`](Self::join) whose joiner sees the key, with serdes and a name.
    pub fn join_with<VT, R>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, &VT) -> R + Send + Sync + 'static,
        joined: Joined<K, V, VT>,
    ) -> KStream<K, R>
    where
        VT: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(table, JoinKind::Inner, inner(joiner), joined)
    }

    /// [`join`](Self::join) that also emits records without a row.
    ///
    /// State: the table's store. Topics: a repartition of the stream if its key has changed. Nulls: a
    /// record with a null key is joined with nothing; one with a null value is dropped and counted. Late
    /// records: joined like others; with [`Joined::with_grace_period`] records wait for the table.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table::<i64, i64>("prices");
    /// let joiner = |pieces: &i64, price: Option<&i64>| price.map_or(-1, |price| pieces * price);
    /// builder.stream::<i64, i64>("orders").left_join(&prices, joiner).to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input(2, 4)?;
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long());
    /// assert_eq!(sums.read_key_values_to_list()?, [(2, -1)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn left_join<VT, R>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&V, Option<&VT>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R>
    where
        VT: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.left_join_with(table, move |_, value, row| joiner(value, row), Joined::default())
    }

    /// [`left_join`](Self::left_join) whose joiner sees the key, with serdes and a name.
    pub fn left_join_with<VT, R>(
        &self,
        table: &KTable<K, VT>,
        joiner: impl Fn(&K, &V, Option<&VT>) -> R + Send + Sync + 'static,
        joined: Joined<K, V, VT>,
    ) -> KStream<K, R>
    where
        VT: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(table, JoinKind::Left, Arc::new(joiner), joined)
    }

    /// Joins each record with the row of a global table under a key made from the record. The tables need
    /// not be partitioned alike. Updates of the table emit nothing.
    ///
    /// State: the global table's store. Topics: none. Nulls: a record with a null value or a null made key
    /// is dropped and counted. Late records: joined like others.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let names = builder.global_table::<i64, String>("customers");
    /// let orders = builder.stream::<i64, i64>("orders");
    /// orders.join_global(&names, |_, customer| *customer, |_, name| format!("for {name}")).to("named");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("customers", Serdes::long(), Serdes::string()).pipe_input(42, "Ada".to_owned())?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input(1, 42)?;
    /// let named = driver.create_output_topic("named", Serdes::long(), Serdes::string());
    /// assert_eq!(named.read_key_value()?, (1, "for Ada".to_owned()));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn join_global<KG, VG, R>(
        &self,
        table: &GlobalKTable<KG, VG>,
        key: impl Fn(&K, &V) -> KG + Send + Sync + 'static,
        joiner: impl Fn(&V, &VG) -> R + Send + Sync + 'static,
    ) -> KStream<K, R>
    where
        KG: Clone + Send + 'static,
        VG: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.join_global_with_key(table, key, move |_, value, row| joiner(value, row))
    }

    /// [`join_global`](Self::join_global) whose joiner sees the key.
    pub fn join_global_with_key<KG, VG, R>(
        &self,
        table: &GlobalKTable<KG, VG>,
        key: impl Fn(&K, &V) -> KG + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, &VG) -> R + Send + Sync + 'static,
    ) -> KStream<K, R>
    where
        KG: Clone + Send + 'static,
        VG: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined_global(table, JoinKind::Inner, Arc::new(key), inner(joiner))
    }

    /// [`join_global`](Self::join_global) that also emits records without a row.
    ///
    /// State: the global table's store. Topics: none. Nulls: a record with a null made key is joined with
    /// nothing; one with a null value is dropped and counted. Late records: joined like others.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let names = builder.global_table::<i64, String>("customers");
    /// let orders = builder.stream::<i64, i64>("orders");
    /// let joiner = |_: &i64, name: Option<&String>| name.cloned().unwrap_or_default();
    /// orders.left_join_global(&names, |_, customer| *customer, joiner).to("named");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_input(1, 42)?;
    /// let named = driver.create_output_topic("named", Serdes::long(), Serdes::string());
    /// assert_eq!(named.read_key_value()?, (1, String::new()));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn left_join_global<KG, VG, R>(
        &self,
        table: &GlobalKTable<KG, VG>,
        key: impl Fn(&K, &V) -> KG + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&VG>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R>
    where
        KG: Clone + Send + 'static,
        VG: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.left_join_global_with_key(table, key, move |_, value, row| joiner(value, row))
    }

    /// [`left_join_global`](Self::left_join_global) whose joiner sees the key.
    pub fn left_join_global_with_key<KG, VG, R>(
        &self,
        table: &GlobalKTable<KG, VG>,
        key: impl Fn(&K, &V) -> KG + Send + Sync + 'static,
        joiner: impl Fn(&K, &V, Option<&VG>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R>
    where
        KG: Clone + Send + 'static,
        VG: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined_global(table, JoinKind::Left, Arc::new(key), Arc::new(joiner))
    }

    fn joined<VT, R>(
        &self,
        table: &KTable<K, VT>,
        kind: JoinKind,
        joiner: Joiner<K, V, VT, R>,
        joined: Joined<K, V, VT>,
    ) -> KStream<K, R>
    where
        VT: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.draft.borrow_mut().check_name(joined.name.as_deref());
        let named = joined.name.clone().or_else(|| self.name.clone());
        let key = joined.key.clone().or_else(|| self.key.clone());
        let value = joined.value.clone().or_else(|| self.value.clone());
        let is_named = named.is_some();
        let stream = self.partitioned_for_join(named.as_deref(), key.clone(), value.clone());
        let prefix = if kind == JoinKind::Left { "KSTREAM-LEFTJOIN-" } else { "KSTREAM-JOIN-" };
        let name = self.draft.borrow_mut().node_name(named, prefix);
        let view = table.origin.view();
        let nulls = Nulls { key: key.clone().or_else(|| stream.key_serde()), value: stream.value_serde() };
        let mut stores = view.stores.clone();
        let grace = joined.grace.map(|grace| {
            let buffer =
                Waiting { join: &name, is_named, grace_ms: millis(grace), sources: &stream.sources, tables: &stores };
            (buffer.add(&mut self.draft.borrow_mut(), view.is_versioned, key.as_ref(), value.as_ref()), millis(grace))
        });
        if let Some((buffer, _)) = &grace {
            stores.insert(0, Arc::clone(buffer));
        }
        let lookup_nulls = nulls.clone();
        let lookup = Arc::new(move || {
            Box::new(TableLookup { view: (view.make)(), nulls: lookup_nulls.clone() }) as Box<dyn Lookup<K, V, VT>>
        });
        let code = stream_table_join(JoinSpec { kind, nulls, lookup, joiner, grace });
        let mut draft = self.draft.borrow_mut();
        draft.then(&name, &[&stream.node], &stores, code);
        if kind == JoinKind::Left {
            // Records with a null key are joined with nothing, so they must get this far.
            draft.takes_null_keys(&name);
        }
        let sources = union(&stream.sources, &table.sources);
        draft.topology.push_copartitioned(sources.clone());
        drop(draft);
        KStream { sources, ..stream.after(name, key, None) }
    }

    fn joined_global<KG, VG, R>(
        &self,
        table: &GlobalKTable<KG, VG>,
        kind: JoinKind,
        mapper: Arc<dyn Fn(&K, &V) -> KG + Send + Sync>,
        joiner: Joiner<K, V, VG, R>,
    ) -> KStream<K, R>
    where
        KG: Clone + Send + 'static,
        VG: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        // Kafka Streams names inner and left joins with a global table alike.
        let name = self.draft.borrow_mut().node_name(self.name.clone(), "KSTREAM-LEFTJOIN-");
        if let (Some(key), Some(value)) = (table.key.clone(), table.value.clone()) {
            let store = Arc::clone(&table.store);
            let lookup = Arc::new(move || {
                let lookup = GlobalLookup::new(Arc::clone(&store), key.clone(), value.clone(), Arc::clone(&mapper));
                Box::new(lookup) as Box<dyn Lookup<K, V, VG>>
            });
            let nulls = Nulls { key: None, value: self.value_serde() };
            let code = stream_table_join(JoinSpec { kind, nulls, lookup, joiner, grace: None });
            let mut draft = self.draft.borrow_mut();
            draft.then(&name, &[&self.node], &[], code);
            if kind == JoinKind::Left {
                // As above: a repartition before this join keeps null keys.
                draft.takes_null_keys(&name);
            }
        }
        self.after(name, self.key.clone(), None)
    }
}

/// A joiner that is only asked where there is a row.
fn inner<K: 'static, V: 'static, VT: 'static, R: 'static>(
    joiner: impl Fn(&K, &V, &VT) -> R + Send + Sync + 'static,
) -> Joiner<K, V, VT, R> {
    #[expect(clippy::expect_used, reason = "an inner join leaves records without a row out before it joins")]
    Arc::new(move |key, value, row| joiner(key, value, row.expect("a row")))
}
