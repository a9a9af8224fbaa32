//! Sources, stores for processors, and sinks.

use std::sync::Arc;

use millstream_state::{StoreFactory, Stores};
use millstream_topology::{Consumed, KStream};
use millstream_types::{Record, RecordMetadata};

use super::options::{consumed, materialized, ms, produced};
use super::table::{Cell, TableOf};
use super::{Build, Node, Types};
use crate::functions::{argument, name_of};
use crate::op::Op;
use crate::processors::Logic;
use crate::stop::{Stop, bad, unsupported};
use crate::value::Val;

impl Build {
    pub(super) fn stream(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let types = Types::of(op)?;
        let consumed = consumed(op, &types)?;
        let stream = match op.optional("pattern") {
            Some(pattern) => self.builder.stream_pattern_with(pattern, consumed),
            None => self.builder.stream_with(&op.list("topics"), consumed),
        };
        self.put(op, Node::Stream(stream, types))
    }

    pub(super) fn table(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let types = Types::of(op)?;
        let consumed = consumed(op, &types)?;
        let materialized = materialized(op, types.key.serde(), types.value.serde(), None)?.unwrap_or_default();
        if let Some(mat) = op.field("mat").map(Op)
            && mat.optional("store").is_some_and(|store| name_of(store) == "versioned")
        {
            self.unlisted.extend(mat.optional("name").map(str::to_owned));
        }
        let table = self.builder.table_with(op.text("topic")?, consumed, materialized);
        self.put(op, Node::Table(Box::new(TableOf { table, types })))
    }

    pub(super) fn global_table(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let types = Types::of(op)?;
        let consumed = consumed(op, &types)?;
        let materialized = materialized(op, types.key.serde(), types.value.serde(), None)?.unwrap_or_default();
        let table = self.builder.global_table_with(op.text("topic")?, consumed, materialized);
        self.globals.insert(op.text("topic")?.to_owned(), types.clone());
        self.put(op, Node::Global(table, types))
    }

    pub(super) fn store(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let factory = self.store_factory(op)?;
        self.builder.add_state_store(factory);
        Ok(())
    }

    /// A global store with the processor that keeps it.
    pub(super) fn global_store(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let types = Types::of(op)?;
        let factory = self.store_factory(op)?;
        let (name, topic) = (op.text("name")?, op.text("topic")?);
        let logic = Arc::new(Logic::new(op.optional("proc").unwrap_or("gput"), Some((name, op.optional("kind"))))?);
        let consumed = Consumed::with(types.key.serde(), types.value.serde());
        self.builder.add_global_store(factory, topic, consumed, move || logic.processor());
        Ok(())
    }

    /// A store for processors.
    pub(super) fn store_factory(&mut self, op: Op<'_>) -> Result<Arc<dyn StoreFactory>, Stop> {
        let Types { key, value } = Types::of(op)?;
        let (name, kind) = (op.text("name")?, op.text("kind")?);
        let (key, value) = (key.serde(), value.serde());
        let in_memory = op.flag("memory") == Some(true);
        let factory: Arc<dyn StoreFactory> = match kind {
            "kv" if in_memory => {
                configured(op, Stores::key_value_store_builder(Stores::in_memory_key_value_store(name), key, value))
            }
            "kv" => configured(op, Stores::key_value_store_builder(name, key, value)),
            "lru" => {
                let rows_max = usize::try_from(op.number("max", 4)).map_err(|_| bad("a negative size"))?;
                configured(op, Stores::key_value_store_builder(Stores::lru_map(name, rows_max), key, value))
            }
            "tskv" if in_memory => {
                let supplier = Stores::in_memory_key_value_store(name);
                configured(op, Stores::timestamped_key_value_store_builder(supplier, key, value))
            }
            "tskv" => configured(op, Stores::timestamped_key_value_store_builder(name, key, value)),
            "session" => {
                let retention = ms(op.number("retention", 3_600_000));
                let make = if in_memory { Stores::in_memory_session_store } else { Stores::persistent_session_store };
                configured(op, Stores::session_store_builder(make(name, retention), key, value))
            }
            "window" => {
                let retention = ms(op.number("retention", 3_600_000));
                let size = ms(op.number("windowSize", 10));
                let duplicates = op.flag("dup").unwrap_or(false);
                let make = if in_memory { Stores::in_memory_window_store } else { Stores::persistent_window_store };
                configured(op, Stores::window_store_builder(make(name, retention, size, duplicates), key, value))
            }
            "versioned" => {
                let supplier = Stores::persistent_versioned_key_value_store(name, ms(op.number("history", 1_000)));
                configured(op, Stores::versioned_key_value_store_builder(supplier, key, value))
            }
            _ => return Err(unsupported(format!("store kind {kind}"))),
        };
        self.stores.insert(name.to_owned(), kind.to_owned());
        Ok(factory)
    }

    pub(super) fn to(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let types = match self.input(op)? {
            Node::Windows(stream, types) => write(op, stream, types)?,
            node => {
                let (stream, types) = super::as_stream(node)?;
                write(op, &stream, &types)?
            }
        };
        match op.optional("topic").filter(|_| !op.has("extractor")) {
            Some(topic) => drop(self.sinks.entry(topic.to_owned()).or_insert(types)),
            None => self.extracted = Some(types),
        }
        Ok(())
    }
}

/// Writes a stream to a topic, or to those that an extractor chooses; gives the types of the records.
fn write<K: Cell>(op: Op<'_>, stream: &KStream<K, Val>, types: &Types) -> Result<Types, Stop> {
    let produced = produced(op, types)?;
    match op.optional("extractor") {
        Some(spec) => stream.to_extracted(topic_extractor(spec)?, produced),
        None => stream.to_with(op.text("topic")?, produced),
    }
    Ok(types.clone())
}

fn configured<S>(op: Op<'_>, builder: millstream_state::StoreBuilder<S>) -> Arc<dyn StoreFactory>
where
    S: millstream_state::StateStore,
{
    let mut builder = builder;
    if let Some(is_cached) = op.flag("caching") {
        builder = if is_cached { builder.with_caching_enabled() } else { builder.with_caching_disabled() };
    }
    if let Some(is_logged) = op.flag("logging") {
        builder = if is_logged { builder.with_logging_enabled([]) } else { builder.with_logging_disabled() };
    }
    builder.into_factory()
}

/// A function that chooses a record's topic.
type ChooseTopic<K> = Box<dyn Fn(&Record<K, Val>, &RecordMetadata) -> String + Send + Sync>;

fn topic_extractor<K: Cell>(spec: &str) -> Result<ChooseTopic<K>, Stop> {
    let prefix = argument(spec)?.to_owned();
    Ok(match name_of(spec) {
        "parity" => Box::new(move |record, _| {
            let is_even = record.value.as_i64().is_some_and(|long| long & 1 == 0);
            format!("{prefix}-{}", if is_even { "even" } else { "odd" })
        }),
        "key" => Box::new(move |record, _| format!("{prefix}-{}", record.key.val().show())),
        "topic" => Box::new(move |_, metadata| format!("{prefix}-{}", metadata.topic.as_deref().unwrap_or("null"))),
        _ => return Err(unsupported(format!("topic extractor {spec}"))),
    })
}
