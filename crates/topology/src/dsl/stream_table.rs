//! `KStream`: becoming a table, grouping.

use std::rc::Rc;
use std::sync::Arc;

use millstream_types::Serde;

use super::names::STATE_STORE;
use super::options::{Grouped, Materialized};
use super::repartition::TopicPrefix;
use super::{IntoTableValue, KGroupedStream, KStream, KTable};
use crate::operator::stateless;
use crate::operator::table::table_source;

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Reads the stream as a table's updates: each record replaces its key's row, a null value
    /// deletes it, a null key drops the record. A stream of `Option<W>` becomes a table of `W`.
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
        let is_named = materialized.as_ref().is_some_and(|materialized| materialized.name.is_some());
        let materialized = materialized.unwrap_or_default();
        let (node, store) = {
            let mut draft = self.draft.borrow_mut();
            let node = draft.node_name(self.name.clone(), "KSTREAM-TOTABLE-");
            let store = draft.store_name(&materialized, &format!("KSTREAM-TOTABLE-{STATE_STORE}"));
            (node, store)
        };
        let key = materialized.key.clone().or_else(|| self.key.clone());
        let place = node.clone();
        let upstream = if self.is_rekeyed {
            let prefix = TopicPrefix { text: node.clone(), is_given: self.name.is_some() };
            self.through(prefix, key.clone(), self.value.clone())
        } else {
            self.clone()
        };
        let (key, value) = {
            let mut draft = self.draft.borrow_mut();
            let key = draft.serde(key.as_ref(), None, "keys", &place);
            let value = draft.serde(materialized.value.as_ref(), None, "table values", &place);
            (key, value)
        };
        let mut table = KTable::stored_lazily(&self.draft, node.into(), Arc::clone(&store), key.clone(), value.clone());
        table.sources.clone_from(&upstream.sources);
        if let Some((key, value)) = key.zip(value) {
            let nulls = self.value_serde();
            let accept = move |row: K, value: V| {
                let is_null = nulls.as_ref().is_some_and(|serde| serde.is_null(&value));
                let value = if is_null { None } else { value.into_table_value() };
                ((!key.is_null(&row)).then_some(row), value)
            };
            let lazy = table.write_lazily(&materialized, is_named, Some(&value));
            table.write_node(&upstream.node, &store, table_source(Arc::new(accept), lazy));
        }
        table
    }

    /// Groups by the key as it is. If the key changed before, the records go through a repartition
    /// topic first.
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

    /// Groups by a new key; the records always go through a repartition topic.
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
        self.value.clone().or_else(|| self.draft.borrow().serdes.get::<V>())
    }

    /// Serde that knows which keys are null.
    pub(crate) fn key_serde(&self) -> Option<Serde<K>> {
        self.key.clone().or_else(|| self.draft.borrow().serdes.get::<K>())
    }
}
