//! `KTable`: joins with tables of the same key.

use std::rc::Rc;
use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;
use millstream_types::Serde;

use super::KTable;
use super::draft::Switch;
use super::options::Materialized;
use super::stream::union;
use super::table_source::TableOrigin;
use crate::operator::change::Change;
use crate::operator::join_kind::JoinKind;
use crate::operator::stateless;
use crate::operator::table_join::{Combine, TableJoinSpec, table_join, table_merge};
use crate::operator::table_output::TableOutput;
use crate::operator::table_view::ViewSupplier;

impl<K, V> KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Joins the rows of two tables that have the same key. An update of either side updates the
    /// result; without a row on both sides there is none. The result's time is the later one of
    /// both rows. Both tables must be partitioned alike.
    ///
    /// State: both tables' stores; the result's only with [`join_with`](Self::join_with). Topics: their
    /// changelogs. Nulls: a deleted row deletes the result; a null result is none. Late records: replace
    /// rows like others; late updates of a versioned table are left out and counted.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table::<i64, i64>("prices");
    /// let stock = builder.table::<i64, i64>("stock");
    /// prices.join(&stock, |price, pieces| price * pieces).to_stream().to("worth");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let prices = driver.create_input_topic("prices", Serdes::long(), Serdes::long());
    /// let stock = driver.create_input_topic("stock", Serdes::long(), Serdes::long().optional());
    /// prices.pipe_input(1, 20)?;
    /// stock.pipe_key_value_list([(1, Some(3)), (1, None)])?;
    /// let worth = driver.create_output_topic("worth", Serdes::long(), Serdes::long().optional());
    /// assert_eq!(worth.read_key_values_to_list()?, [(1, Some(60)), (1, None)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn join<VO, R>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(other, JoinKind::Inner, inner(joiner), None)
    }

    /// [`join`](Self::join) into a store, which gets a generated name if it has none.
    pub fn join_with<VO, R>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
        materialized: Materialized<K, R>,
    ) -> KTable<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(other, JoinKind::Inner, inner(joiner), Some(materialized))
    }

    /// [`join`](Self::join) that has a row for every row of this table.
    ///
    /// State: both tables' stores; the result's only with [`left_join_with`](Self::left_join_with).
    /// Topics: their changelogs. Nulls: a row deleted here deletes the result, one deleted there joins this
    /// table's row with nothing. Late records: as for the inner join.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table::<i64, i64>("prices");
    /// let stock = builder.table::<i64, i64>("stock");
    /// let worth = |price: &i64, pieces: Option<&i64>| price * pieces.unwrap_or(&0);
    /// prices.left_join(&stock, worth).to_stream().to("worth");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("prices", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// driver.create_input_topic("stock", Serdes::long(), Serdes::long()).pipe_input(1, 3)?;
    /// let worth = driver.create_output_topic("worth", Serdes::long(), Serdes::long());
    /// assert_eq!(worth.read_key_values_to_list()?, [(1, 0), (1, 60)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn left_join<VO, R>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(other, JoinKind::Left, left(joiner), None)
    }

    /// [`left_join`](Self::left_join) into a store, which gets a generated name if it has none.
    pub fn left_join_with<VO, R>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
        materialized: Materialized<K, R>,
    ) -> KTable<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(other, JoinKind::Left, left(joiner), Some(materialized))
    }

    /// [`join`](Self::join) that has a row for every row of either table.
    ///
    /// State: both tables' stores; the result's only with [`outer_join_with`](Self::outer_join_with).
    /// Topics: their changelogs. Nulls: a row deleted on one side joins the other with nothing; both
    /// deleted, the result is. Late records: as for the inner join.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let sold = builder.table::<i64, i64>("sold");
    /// let returned = builder.table::<i64, i64>("returned");
    /// let kept = |sold: Option<&i64>, returned: Option<&i64>| sold.unwrap_or(&0) - returned.unwrap_or(&0);
    /// sold.outer_join(&returned, kept).to_stream().to("kept");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("returned", Serdes::long(), Serdes::long()).pipe_input(1, 3)?;
    /// driver.create_input_topic("sold", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// let kept = driver.create_output_topic("kept", Serdes::long(), Serdes::long());
    /// assert_eq!(kept.read_key_values_to_list()?, [(1, -3), (1, 17)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn outer_join<VO, R>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(Option<&V>, Option<&VO>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(other, JoinKind::Outer, outer(joiner), None)
    }

    /// [`outer_join`](Self::outer_join) into a store, which gets a generated name if it has none.
    pub fn outer_join_with<VO, R>(
        &self,
        other: &KTable<K, VO>,
        joiner: impl Fn(Option<&V>, Option<&VO>) -> R + Send + Sync + 'static,
        materialized: Materialized<K, R>,
    ) -> KTable<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.joined(other, JoinKind::Outer, outer(joiner), Some(materialized))
    }

    fn joined<VO, R>(
        &self,
        other: &KTable<K, VO>,
        kind: JoinKind,
        combine: Combine<K, V, VO, R>,
        materialized: Option<Materialized<K, R>>,
    ) -> KTable<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        let mut draft = self.draft.borrow_mut();
        let store =
            materialized.as_ref().map(|materialized| draft.store_name(materialized, "KTABLE-MERGE-STATE-STORE-"));
        let suffixed = |suffix: &str| self.name.as_ref().map(|name| format!("{name}{suffix}"));
        let merge = draft.node_name(self.name.clone(), "KTABLE-MERGE-");
        let sides = (
            draft.node_name(suffixed("-join-this"), "KTABLE-JOINTHIS-"),
            draft.node_name(suffixed("-join-other"), "KTABLE-JOINOTHER-"),
        );
        let materialized = materialized.unwrap_or_default();
        let combine = without_null(combine, materialized.value.clone().or_else(|| draft.topology.serdes.get::<R>()));
        drop(draft);

        let sends_old = Switch::default();
        let mut view = self.write_sides(other, kind, (&sides.0, &sides.1), &combine, &sends_old);
        let mut draft = self.draft.borrow_mut();
        let sources = union(&self.sources, &other.sources);
        draft.topology.push_copartitioned(sources.clone());
        let mut key = materialized.key.clone().or_else(|| self.key.clone());
        let mut value = materialized.value.clone();
        let mut code = stateless::pass::<K, Change<R>>();
        if let Some(store) = &store {
            let place = draft.place(&merge, &[&sources]);
            key = draft.serde(key.as_ref(), None, "keys", &place);
            value = draft.serde(value.as_ref(), None, "values", &place);
            if let Some((key, value)) = key.clone().zip(value.clone()) {
                draft.add_key_value_store(store, &materialized, key, value);
                code = table_merge::<K, R>(TableOutput::new(Arc::clone(store), sends_old.clone()));
            }
            view =
                ViewSupplier::of_store::<TimestampedKeyValueStore<K, R>>(store).versioned(materialized.is_versioned());
        }
        let stores: Vec<Arc<str>> = store.iter().cloned().collect();
        draft.then(&merge, &[&sides.0, &sides.1], &stores, code);
        let (left, right) = (Rc::clone(&self.origin), Rc::clone(&other.origin));
        KTable {
            draft: self.draft.clone(),
            node: merge.into(),
            key,
            value,
            sources,
            origin: Rc::new(JoinedOrigin { left, right, view, sends_old }),
            queryable: store,
            name: None,
        }
    }

    /// Writes both sides' nodes; gives the rows of the join made of both tables'.
    fn write_sides<VO, R>(
        &self,
        other: &KTable<K, VO>,
        kind: JoinKind,
        (this_node, other_node): (&str, &str),
        combine: &Combine<K, V, VO, R>,
        sends_old: &Switch,
    ) -> ViewSupplier<K, R>
    where
        VO: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        if kind != JoinKind::Inner {
            self.origin.send_old_values(true);
        }
        if kind == JoinKind::Outer {
            other.origin.send_old_values(true);
        }
        let (left, right) = (self.origin.view(), other.origin.view());
        let view = ViewSupplier::joined(&left, &right, Arc::clone(combine));
        let mut draft = self.draft.borrow_mut();
        let key = self.key.clone().or_else(|| draft.topology.serdes.get::<K>());
        let (left_stores, right_stores) = (left.stores.clone(), right.stores.clone());
        let code = table_join(TableJoinSpec {
            other: right,
            needs_other: kind == JoinKind::Inner,
            combine: Arc::clone(combine),
            sends_old: sends_old.clone(),
            key: key.clone(),
            skips_late: self.origin.is_versioned(),
        });
        draft.then(this_node, &[&self.node], &right_stores, code);
        let code = table_join(TableJoinSpec {
            other: left,
            needs_other: kind != JoinKind::Outer,
            combine: turned(combine),
            sends_old: sends_old.clone(),
            key,
            skips_late: other.origin.is_versioned(),
        });
        draft.then(other_node, &[&other.node], &left_stores, code);
        view
    }
}

/// The result of a join: old values are to be had from both sides, rows from the store or both sides.
struct JoinedOrigin<K, V, VO, R> {
    left: Rc<dyn TableOrigin<K, V>>,
    right: Rc<dyn TableOrigin<K, VO>>,
    view: ViewSupplier<K, R>,
    sends_old: Switch,
}

impl<K, V, VO, R> TableOrigin<K, R> for JoinedOrigin<K, V, VO, R> {
    fn send_old_values(&self, _: bool) -> bool {
        self.left.send_old_values(true);
        self.right.send_old_values(true);
        self.sends_old.turn_on();
        true
    }

    fn view(&self) -> ViewSupplier<K, R> {
        self.view.clone()
    }

    fn is_versioned(&self) -> bool {
        self.view.is_versioned
    }
}

fn inner<K: 'static, V: 'static, VO: 'static, R: 'static>(
    joiner: impl Fn(&V, &VO) -> R + Send + Sync + 'static,
) -> Combine<K, V, VO, R> {
    Arc::new(move |_, left, right| Some(joiner(left?, right?)))
}

fn left<K: 'static, V: 'static, VO: 'static, R: 'static>(
    joiner: impl Fn(&V, Option<&VO>) -> R + Send + Sync + 'static,
) -> Combine<K, V, VO, R> {
    Arc::new(move |_, left, right| Some(joiner(left?, right)))
}

fn outer<K: 'static, V: 'static, VO: 'static, R: 'static>(
    joiner: impl Fn(Option<&V>, Option<&VO>) -> R + Send + Sync + 'static,
) -> Combine<K, V, VO, R> {
    Arc::new(move |_, left, right| (left.is_some() || right.is_some()).then(|| joiner(left, right)))
}

/// The same with the sides the other way round.
fn turned<K: 'static, V: 'static, VO: 'static, R: 'static>(combine: &Combine<K, V, VO, R>) -> Combine<K, VO, V, R> {
    let combine = Arc::clone(combine);
    Arc::new(move |key, right, left| combine(key, left, right))
}

/// A result that is null by its serde is none.
fn without_null<K: 'static, V: 'static, VO: 'static, R: 'static>(
    combine: Combine<K, V, VO, R>,
    serde: Option<Serde<R>>,
) -> Combine<K, V, VO, R> {
    match serde {
        Some(serde) => Arc::new(move |key, left, right| combine(key, left, right).filter(|row| !serde.is_null(row))),
        None => combine,
    }
}
