//! `GlobalKTable`: a table every instance holds whole.

use std::sync::Arc;

use millstream_types::Serde;

use super::StreamsBuilder;
use super::names::{SOURCE, STATE_STORE, TABLE_SOURCE};
use super::options::{Consumed, Materialized};
use super::table::read_rows;
use crate::flow::{SourceFactory, SourceSpec};
use crate::operator::stateless;

/// A table that is not partitioned: every instance reads all of its topic. Streams join it by any
/// key ([`KStream::join_global`](crate::KStream::join_global)).
#[derive(Clone, Debug)]
pub struct GlobalKTable<K, V> {
    pub(crate) store: Arc<str>,
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    is_named: bool,
}

impl<K, V> GlobalKTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Name of the store that can be queried, if the table was given one; as
    /// [`KTable::queryable_store_name`](crate::KTable::queryable_store_name).
    pub fn queryable_store_name(&self) -> Option<&str> {
        self.is_named.then_some(&*self.store)
    }

    pub(crate) fn read(
        builder: &StreamsBuilder,
        topic: &str,
        consumed: Consumed<K, V>,
        materialized: Option<Materialized<K, V>>,
    ) -> Self {
        let materialized = materialized.unwrap_or_default();
        let is_named = materialized.name.is_some();
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
        if let (Some(key), Some(value)) = (key.clone(), value.clone()) {
            let mut draft = builder.draft().borrow_mut();
            if materialized.is_versioned() {
                draft.problem(format!("the global table in store {store} cannot be versioned"));
                return Self { store, key: None, value: None, is_named };
            }
            let rows = SourceSpec::new(key.clone().optional(), value.clone().optional());
            let materialized = materialized.with_caching_disabled().with_logging_disabled();
            let Some(facts) = draft.add_key_value_store(&store, &materialized, key, value) else {
                return Self { store, key: None, value: None, is_named };
            };
            // The node is there for describe(): the rows go into the store as they are read.
            draft.then(&table, &[&source], &[Arc::clone(&store)], stateless::pass::<Option<K>, Option<V>>());
            draft.topology.push_global(facts, &source, topic, SourceFactory::new(rows));
        }
        Self { store, key, value, is_named }
    }
}
