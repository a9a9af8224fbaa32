//! The operator that makes a table of a topic or stream.

use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;

use super::change::Change;
use super::table_output::TableOutput;
use crate::dsl::Switch;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};

/// Splits an incoming record into the table's key (`None` drops the record) and value (`None`
/// deletes the row).
pub(crate) type Accept<KI, VI, K, V> = Arc<dyn Fn(KI, VI) -> (Option<K>, Option<V>) + Send + Sync>;

/// The state behind a table that is stored only if somebody needs it.
pub(crate) struct LazyStore<K, V> {
    pub(crate) output: TableOutput<K, V, TimestampedKeyValueStore<K, V>>,
    pub(crate) is_needed: Switch,
}

impl<K, V> Clone for LazyStore<K, V> {
    fn clone(&self) -> Self {
        Self { output: self.output.clone(), is_needed: self.is_needed.clone() }
    }
}

/// `KTABLE-SOURCE` and `KSTREAM-TOTABLE`: records become updates of rows.
struct TableSource<KI, VI, K, V> {
    accept: Accept<KI, VI, K, V>,
    store: LazyStore<K, V>,
}

pub(crate) fn table_source<KI, VI, K, V>(accept: Accept<KI, VI, K, V>, store: LazyStore<K, V>) -> NodeFactory
where
    KI: Clone + Send + 'static,
    VI: Clone + Send + 'static,
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    let name = Arc::clone(store.output.name());
    let make = move || TableSource { accept: Arc::clone(&accept), store: store.clone() };
    NodeFactory::processor(make).flushing(&name)
}

impl<KI, VI, K, V> Processor for TableSource<KI, VI, K, V>
where
    KI: Clone + Send + 'static,
    VI: Clone + Send + 'static,
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    type KeyIn = KI;
    type ValueIn = VI;
    type KeyOut = K;
    type ValueOut = Change<V>;

    fn init(&mut self, ctx: &mut Context<'_, K, Change<V>>) -> Result<(), ProcessorError> {
        if self.store.is_needed.is_on() {
            self.store.output.init(ctx)?;
        }
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Change<V>>,
        record: Incoming<'_, KI, VI>,
    ) -> Result<(), ProcessorError> {
        let (key, value, rest) = record.into_record().into_parts();
        let (Some(key), new) = (self.accept)(key, value) else {
            ctx.drop_record("a record without key is dropped: a table needs one");
            return Ok(());
        };
        if !self.store.is_needed.is_on() {
            ctx.forward(rest.with_key(key).with_value(Change::new(new, None)));
            return Ok(());
        }
        let old = self.store.output.old_value(ctx, &key)?;
        if let Some(old) = old.as_ref().filter(|old| rest.timestamp < old.timestamp) {
            tracing::warn!(
                node = ctx.node_name(),
                old = old.timestamp.0,
                new = rest.timestamp.0,
                "an update of a table is older than the row it replaces"
            );
        }
        self.store.output.put(ctx, rest.with_key(key), new, old.map(|old| old.value))
    }

    fn flush(&mut self, ctx: &mut Context<'_, K, Change<V>>) -> Result<(), ProcessorError> {
        if self.store.is_needed.is_on() { self.store.output.flush(ctx) } else { Ok(()) }
    }
}
