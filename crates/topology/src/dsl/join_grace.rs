//! The buffer in which a stream's records wait before they are joined with a table.

use std::sync::Arc;

use millstream_state::Stores;
use millstream_types::Serde;

use super::draft::Draft;
use super::outline::Unnamed;

/// A join whose records wait.
pub(super) struct Waiting<'a> {
    /// Name of its node.
    pub(super) join: &'a str,
    /// Whether the user gave that name.
    pub(super) is_named: bool,
    pub(super) grace_ms: i64,
    /// Sources of the stream.
    pub(super) sources: &'a [Arc<str>],
    /// Stores of the table.
    pub(super) tables: &'a [Arc<str>],
}

impl Waiting<'_> {
    /// Adds the buffer and gives its name. The table must be versioned, and keep its history for as
    /// long as the records wait.
    pub(super) fn add<K, V>(
        &self,
        draft: &mut Draft,
        is_versioned: bool,
        key: Option<&Serde<K>>,
        value: Option<&Serde<V>>,
    ) -> Arc<str>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let grace_ms = self.grace_ms;
        let name: Arc<str> = format!("{}-Buffer", self.join).into();
        let join = draft.place(self.join, &[self.sources]);
        if !is_versioned {
            draft.problem(format!("{join} has a grace period: the table it joins must be versioned"));
        }
        for table in self.tables {
            let history_ms = draft.topology.facts.store(table).and_then(|store| store.history_ms);
            if let Some(history_ms) = history_ms.filter(|history_ms| *history_ms < grace_ms) {
                draft.problem(format!(
                    "{join} has a grace period of {grace_ms} ms, longer than store {table} keeps its history of \
                     {history_ms} ms"
                ));
            }
        }
        if !self.is_named {
            draft.unnamed(Unnamed::Store { name: Arc::clone(&name), is_logged: true });
        }
        let key = draft.serde(key, None, "keys", &join);
        let value = draft.serde(value, None, "stream values", &join);
        if let Some((key, value)) = key.zip(value) {
            draft.add_store(Stores::stream_buffer_builder(Arc::clone(&name), key, value).into_factory());
        }
        name
    }
}
