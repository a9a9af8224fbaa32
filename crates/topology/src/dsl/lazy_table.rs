//! Tables whose store is kept only if something needs it: those of topics, of streams and of
//! foreign-key joins.

use std::rc::Rc;
use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;
use millstream_types::Serde;

use super::KTable;
use super::draft::{Shared, Switch};
use super::options::Materialized;
use super::table_source::StoredOrigin;
use crate::operator::table::{Accept, LazyStore, table_source};
use crate::operator::table_output::TableOutput;

/// Such a table before it is written. A store with a name of the user's is kept in any case.
pub(crate) struct LazyTable<K, V> {
    draft: Shared,
    node: String,
    store: Arc<str>,
    key: Option<Serde<K>>,
    value: Option<Serde<V>>,
    materialized: Materialized<K, V>,
    origin: StoredOrigin<K, V>,
}

impl<K, V> LazyTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    pub(crate) fn new(
        draft: &Shared,
        (node, store): (String, Arc<str>),
        (key, value): (Option<Serde<K>>, Option<Serde<V>>),
        materialized: Materialized<K, V>,
    ) -> Self {
        let is_stored = if materialized.name.is_some() { Switch::on() } else { Switch::default() };
        let origin = StoredOrigin::of::<TimestampedKeyValueStore<K, V>>(&store, materialized.is_versioned(), is_stored);
        Self { draft: draft.clone(), node, store, key, value, materialized, origin }
    }

    /// Writes store and node below `parent`.
    pub(crate) fn write<KI, VI>(&self, parent: &str, accept: Accept<KI, VI, K, V>)
    where
        KI: Clone + Send + 'static,
        VI: Clone + Send + 'static,
    {
        let StoredOrigin { is_stored, sends_old, .. } = &self.origin;
        let mut draft = self.draft.borrow_mut();
        let key = draft.serde(self.key.as_ref(), None, "keys", &self.node);
        let value = draft.serde_if_needed(self.value.as_ref(), (is_stored, "values", &self.node));
        if let Some((key, value)) = key.zip(value) {
            draft.add_key_value_store(&self.store, &self.materialized, key, value);
        }
        draft.optional_stores.push((Arc::clone(&self.store), is_stored.clone()));
        let output = TableOutput::new(Arc::clone(&self.store), sends_old.clone());
        let code = table_source(accept, LazyStore { output, is_needed: is_stored.clone() });
        draft.then(&self.node, &[parent], &[Arc::clone(&self.store)], code);
    }

    /// The table, whose updates come from those source nodes.
    pub(crate) fn into_table(self, sources: Vec<Arc<str>>) -> KTable<K, V> {
        KTable {
            draft: self.draft,
            node: self.node.into(),
            key: self.key,
            value: self.value,
            sources,
            origin: Rc::new(self.origin),
            queryable: self.materialized.name.is_some().then_some(self.store),
            name: None,
        }
    }
}
