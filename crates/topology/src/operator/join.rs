//! Stream-table and stream-global-table joins: one operator that looks a row up for each record.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhash::fast::RandomState;
use millstream_state::{Released, StreamBuffer};
use millstream_types::{Record, Result, Serde, Timestamp};

use super::join_kind::JoinKind;
use super::nulls::Nulls;
use super::table_view::TableView;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreHandle, StoreScope};

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
    /// The buffer in which records wait before they are joined, and how long, in ms.
    pub(crate) grace: Option<(Arc<str>, i64)>,
}

struct StreamTableJoin<K, V, VT, R> {
    kind: JoinKind,
    nulls: Nulls<K, V>,
    grace: Option<(Arc<str>, i64)>,
    buffer: Option<StoreHandle<StreamBuffer<K, V>>>,
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
        grace: spec.grace.clone(),
        buffer: None,
    })
}

impl<K, V, VT, R> StreamTableJoin<K, V, VT, R>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VT: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    /// What a record is joined to; `None` drops it. `Some(None)` is a record that is left out.
    #[expect(clippy::option_option, reason = "dropped and counted, left out, and joined are three things")]
    fn joined(
        &mut self,
        scope: &mut StoreScope<'_>,
        (key, value, time): (&K, &V, Timestamp),
    ) -> Result<Option<Option<R>>> {
        if self.nulls.value(value) {
            return Ok(None);
        }
        let found = self.lookup.find(scope, key, value, time)?;
        let found = found.or(if self.kind == JoinKind::Inner { None } else { Some(None) });
        let Some(row) = found else { return Ok(None) };
        if row.is_none() && self.kind == JoinKind::Inner {
            return Ok(Some(None));
        }
        Ok(Some(Some((self.joiner)(key, value, row.as_ref()))))
    }

    /// Lets the record wait, and joins those whose grace is over; `false` if it cannot wait: it is
    /// late, or has a null key or value.
    fn waits(&mut self, ctx: &mut Context<'_, K, R>, record: &Record<K, V>) -> Result<bool> {
        let Some((handle, grace_ms)) = self.buffer.zip(self.grace.as_ref().map(|(_, grace_ms)| *grace_ms)) else {
            return Ok(false);
        };
        if self.nulls.key(&record.key) || self.nulls.value(&record.value) {
            return Ok(false);
        }
        if !ctx.store(handle).put(&record.key, &record.value, &record.headers, grace_ms)? {
            return Ok(false);
        }
        for due in ctx.store(handle).due(grace_ms)? {
            // It goes before it is joined: one that fails must not fail again with every record.
            let Released { key, value, mut origin, headers } = ctx.store(handle).remove(due)?;
            let timestamp = origin.timestamp;
            if let Some(Some(value)) = self.joined(&mut ctx.scope(), (&key, &value, timestamp))? {
                ctx.forward_from(&mut origin, Record { key, value, timestamp, headers });
            }
        }
        Ok(true)
    }
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
        if let Some((store, _)) = &self.grace {
            self.buffer = Some(ctx.store_handle(store)?);
        }
        Ok(self.lookup.init(&mut ctx.scope())?)
    }

    fn process(&mut self, ctx: &mut Context<'_, K, R>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        if self.waits(ctx, &record)? {
            return Ok(());
        }
        let joined = self.joined(&mut ctx.scope(), (&record.key, &record.value, record.timestamp))?;
        let Some(joined) = joined else {
            ctx.drop_record("a record with a null join key or value is left out of the join");
            return Ok(());
        };
        if let Some(joined) = joined {
            let (key, _, rest) = record.into_record().into_parts();
            ctx.forward(rest.with_key(key).with_value(joined));
        }
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
    decoded: HashMap<Vec<u8>, Option<VG>, RandomState>,
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
        let decoded = HashMap::default();
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
        let decode = |value: &[u8]| self.value.decode(Some(value)).map_err(|error| unreadable("value", error));
        let row = globals.get(&self.store, &self.key_bytes, decode)?;
        self.decoded.insert(self.key_bytes.clone(), row.clone());
        Ok(Some(row))
    }
}
