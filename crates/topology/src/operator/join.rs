//! Stream-table and stream-global-table joins: one operator that looks a row up for each record.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhash::fast::FixedState;
use millstream_types::{Result, Serde, Timestamp};

use super::aggregate::Nulls;
use super::table_view::TableView;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreScope};

/// Whether a record without a matching row is joined with nothing or left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
}

/// Finds the table's side of a join for a stream record.
pub(crate) trait Lookup<K, V, VT>: Send {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()>;
    /// `Ok(None)` when the key to look up is null; otherwise the row, if there is one.
    /// A versioned table gives the row as of `time`, that of the record.
    fn find(&mut self, scope: &mut StoreScope<'_>, key: &K, value: &V, time: Timestamp) -> Result<Option<Option<VT>>>;
}

/// What the join node is told when the topology is built.
pub(crate) struct JoinSpec<K, V, VT, R> {
    pub(crate) kind: JoinKind,
    pub(crate) nulls: Nulls<K, V>,
    pub(crate) lookup: Arc<dyn Fn() -> Box<dyn Lookup<K, V, VT>> + Send + Sync>,
    pub(crate) joiner: Arc<dyn Fn(&K, &V, Option<&VT>) -> R + Send + Sync>,
}

struct StreamTableJoin<K, V, VT, R> {
    kind: JoinKind,
    nulls: Nulls<K, V>,
    lookup: Box<dyn Lookup<K, V, VT>>,
    joiner: Arc<dyn Fn(&K, &V, Option<&VT>) -> R + Send + Sync>,
}

pub(crate) fn stream_table_join<K, V, VT, R>(spec: JoinSpec<K, V, VT, R>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VT: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    NodeFactory::processor(move || StreamTableJoin {
        kind: spec.kind,
        nulls: spec.nulls.clone(),
        lookup: (spec.lookup)(),
        joiner: Arc::clone(&spec.joiner),
    })
}

impl<K, V, VT, R> Processor for StreamTableJoin<K, V, VT, R>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VT: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = K;
    type ValueOut = R;

    fn init(&mut self, ctx: &mut Context<'_, K, R>) -> Result<(), ProcessorError> {
        Ok(self.lookup.init(&mut ctx.scope())?)
    }

    fn process(&mut self, ctx: &mut Context<'_, K, R>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        let found = if self.nulls.value(&record.value) {
            None
        } else {
            let found = self.lookup.find(&mut ctx.scope(), &record.key, &record.value, record.timestamp)?;
            found.or(if self.kind == JoinKind::Left { Some(None) } else { None })
        };
        let Some(row) = found else {
            tracing::warn!(node = ctx.node_name(), "a record with a null join key or value is left out of the join");
            ctx.count_dropped(1);
            return Ok(());
        };
        if row.is_none() && self.kind == JoinKind::Inner {
            return Ok(());
        }
        let joined = (self.joiner)(&record.key, &record.value, row.as_ref());
        let (key, _, rest) = record.into_record().into_parts();
        ctx.forward(rest.with_key(key).with_value(joined));
        Ok(())
    }
}

/// Looks the record's own key up in a table of the same task.
pub(crate) struct TableLookup<K, V, VT> {
    pub(crate) view: Box<dyn TableView<K, VT>>,
    pub(crate) nulls: Nulls<K, V>,
}

impl<K, V, VT> Lookup<K, V, VT> for TableLookup<K, V, VT> {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()> {
        self.view.init(scope)
    }

    fn find(&mut self, scope: &mut StoreScope<'_>, key: &K, _: &V, time: Timestamp) -> Result<Option<Option<VT>>> {
        if self.nulls.key(key) {
            return Ok(None);
        }
        Ok(Some(self.view.get_as_of(scope, key, time)?.map(|row| row.value)))
    }
}

/// Most rows of a global table that one task keeps decoded.
const DECODED_MAX: usize = 4096;

/// Looks a key made from the record up in a global table. Rows are kept decoded until the global
/// state changes.
pub(crate) struct GlobalLookup<K, V, KG, VG> {
    pub(crate) store: Arc<str>,
    pub(crate) key: Serde<KG>,
    pub(crate) value: Serde<VG>,
    pub(crate) mapper: Arc<dyn Fn(&K, &V) -> KG + Send + Sync>,
    key_bytes: Vec<u8>,
    decoded: HashMap<Vec<u8>, Option<VG>, FixedState>,
    version: u64,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, KG, VG> GlobalLookup<K, V, KG, VG> {
    pub(crate) fn new(
        store: Arc<str>,
        key: Serde<KG>,
        value: Serde<VG>,
        mapper: Arc<dyn Fn(&K, &V) -> KG + Send + Sync>,
    ) -> Self {
        let decoded = HashMap::with_hasher(FixedState::default());
        Self { store, key, value, mapper, key_bytes: Vec::new(), decoded, version: 0, types: PhantomData }
    }
}

impl<K, V, KG, VG> Lookup<K, V, VG> for GlobalLookup<K, V, KG, VG>
where
    KG: Send,
    VG: Clone + Send,
{
    fn init(&mut self, _: &mut StoreScope<'_>) -> Result<()> {
        Ok(())
    }

    fn find(&mut self, scope: &mut StoreScope<'_>, key: &K, value: &V, _: Timestamp) -> Result<Option<Option<VG>>> {
        let key = (self.mapper)(key, value);
        self.key_bytes.clear();
        let unreadable = |what: &str, error| {
            let message = format!("the {what} of global store {} does not fit its serde", self.store);
            millstream_types::Error::new(millstream_types::ErrorKind::Processing, message).with_source(error)
        };
        if !self.key.encode(&key, &mut self.key_bytes).map_err(|error| unreadable("key", error))? {
            return Ok(None);
        }
        let globals = scope.globals();
        if self.version != globals.version() || self.decoded.len() > DECODED_MAX {
            self.decoded.clear();
            self.version = globals.version();
        }
        if let Some(row) = self.decoded.get(&self.key_bytes) {
            return Ok(Some(row.clone()));
        }
        // The stored bytes are the timestamp (8 bytes) and the value.
        let row = match globals.get(&self.store, &self.key_bytes)? {
            Some(bytes) => {
                let decoded = self.value.decode(Some(bytes.get(8..).unwrap_or_default()));
                Some(decoded.map_err(|error| unreadable("value", error))?)
            }
            None => None,
        };
        self.decoded.insert(self.key_bytes.clone(), row.clone());
        Ok(Some(row))
    }
}
