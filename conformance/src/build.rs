//! Builds the topology of a case with Millstream's DSL, operator by operator in the order given.

mod aggregate;
mod join;
mod options;
mod source;
mod stream;
mod stream_join;
mod suppress;
mod table;
mod table_join;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use millstream_topology::{
    CogroupedKStream, GlobalKTable, KGroupedStream, KGroupedTable, KStream, SessionWindowedCogroupedKStream,
    SessionWindowedKStream, StreamsBuilder, TimeWindowedCogroupedKStream, TimeWindowedKStream,
};
use millstream_types::{Config, Serde, Windowed};
use serde_json::Value as Json;

use crate::op::Op;
use crate::peeked::Peeked;
use crate::stop::{Stop, bad, unsupported};
use crate::value::{Packed, Type, Val};

pub(crate) use table::Table;
use windows::{Cogroup, Windows};

/// Types of key and value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Types {
    pub(crate) key: Type,
    pub(crate) value: Type,
}

impl Types {
    pub(crate) fn new(key: Type, value: Type) -> Self {
        Self { key, value }
    }

    fn of(op: Op<'_>) -> Result<Self, Stop> {
        Ok(Self::new(Type::parse(op.text("key")?)?, Type::parse(op.text("value")?)?))
    }
}

/// What an operator gave, under its id.
pub(crate) enum Node {
    Stream(KStream<Val, Val>, Types),
    /// A stream of the updates of windows that is joined with a table of windows: a join needs keys of one type.
    Windows(KStream<Windowed<Val>, Val>, Types),
    Table(Box<dyn Table>),
    Global(GlobalKTable<Val, Val>, Types),
    Grouped(KGroupedStream<Val, Val>, Types),
    GroupedTable(KGroupedTable<Val, Val>, Types),
    Windowed(TimeWindowedKStream<Val, Val>, Types, Windows),
    Sessions(SessionWindowedKStream<Val, Val>, Types, Windows),
    Cogrouped(CogroupedKStream<Val, Val>, Cogroup),
    WindowedCogroup(TimeWindowedCogroupedKStream<Val, Val>, Cogroup, Windows),
    SessionCogroup(SessionWindowedCogroupedKStream<Val, Val>, Cogroup, Windows),
}

/// The topology as far as it is built.
pub(crate) struct Build {
    pub(crate) builder: StreamsBuilder,
    nodes: BTreeMap<String, Node>,
    /// Ids of the streams that are joined with tables, and of these.
    joined: Vec<(String, String)>,
    /// Types of the records of output topics.
    pub(crate) sinks: BTreeMap<String, Types>,
    /// Types of the records whose topic an extractor chose.
    pub(crate) extracted: Option<Types>,
    /// Names of the branches of each split.
    pub(crate) branches: BTreeMap<String, BTreeSet<String>>,
    pub(crate) peeked: Peeked,
    /// Kinds of the stores added for processors.
    pub(crate) stores: BTreeMap<String, String>,
    /// Types of the rows of global tables, by topic.
    pub(crate) globals: BTreeMap<String, Types>,
    /// Versioned stores of sources. Kafka Streams cannot list versioned stores; what was recorded has
    /// their rows by the keys it saw written, and none where a source's serde wrote them.
    pub(crate) unlisted: BTreeSet<String>,
}

impl Build {
    /// Begins a topology of these operators, which are still to be added.
    pub(crate) fn new(config: &Config, ops: &[Json]) -> Self {
        let builder = StreamsBuilder::with_config(config);
        builder.register_serde(Serde::new(Packed));
        let joins = ops.iter().map(Op).filter(|op| op.optional("op") == Some("joinST"));
        let joined = joins.filter_map(|op| match op.items("in") {
            [Json::String(stream), Json::String(table)] => Some((stream.clone(), table.clone())),
            _ => None,
        });
        let joined = joined.collect();
        Self {
            builder,
            nodes: BTreeMap::new(),
            joined,
            sinks: BTreeMap::new(),
            extracted: None,
            branches: BTreeMap::new(),
            peeked: Peeked::default(),
            stores: BTreeMap::new(),
            globals: BTreeMap::new(),
            unlisted: BTreeSet::new(),
        }
    }

    /// Adds one operator.
    pub(crate) fn add(&mut self, op: Op<'_>) -> Result<(), Stop> {
        match op.text("op")? {
            "stream" => self.stream(op),
            "table" => self.table(op),
            "globalTable" => self.global_table(op),
            "store" => self.store(op),
            "globalStore" => self.global_store(op),
            "to" => self.to(op),
            "filter" | "filterNot" => self.filter(op),
            "map" => self.map(op),
            "mapValues" => self.map_values(op),
            "flatMap" => self.flat_map(op),
            "flatMapValues" => self.flat_map_values(op),
            "selectKey" => self.select_key(op),
            "peek" | "foreach" => self.peek(op),
            "merge" => self.merge(op),
            "split" => self.split(op),
            "repartition" => self.repartition(op),
            "toTable" => self.table_of_stream(op),
            "toStream" => self.stream_of_table(op),
            "process" | "processValues" => self.process(op),
            "groupByKey" => self.group_by_key(op),
            "groupBy" => self.group_by(op),
            "cogroup" => self.cogroup(op),
            "windowedBy" => self.windowed_by(op),
            "count" | "reduce" | "aggregate" => self.aggregate(op),
            "transformValues" => self.transform_values(op),
            "suppress" => self.suppress(op),
            "joinST" => self.join_table(op),
            "joinFK" => self.join_tables_on_foreign_key(op),
            "joinTT" => self.join_tables(op),
            "joinSS" => self.join_streams(op),
            "joinSG" => self.join_global(op),
            other => Err(unsupported(other)),
        }
    }

    /// Keeps a node under its operator's id, if it has one: what nothing refers to needs none.
    #[expect(clippy::unnecessary_wraps, reason = "the last step of every operator, whose result it is")]
    fn put(&mut self, op: Op<'_>, node: Node) -> Result<(), Stop> {
        if let Some(id) = op.optional("id") {
            self.nodes.insert(id.to_owned(), node);
        }
        Ok(())
    }

    fn node(&self, id: &str) -> Result<&Node, Stop> {
        self.nodes.get(id).ok_or_else(|| bad(format!("no node {id}")))
    }

    /// The one input of an operator.
    fn input(&self, op: Op<'_>) -> Result<&Node, Stop> {
        self.node(op.text("in")?)
    }

    /// One of the inputs of an operator.
    fn input_at(&self, op: Op<'_>, position: usize) -> Result<&Node, Stop> {
        let id = op.items("in").get(position).and_then(Json::as_str);
        self.node(id.ok_or_else(|| bad(format!("field in of {}", op.0)))?)
    }

    /// The one input, which is a stream; named for the next operator if the operator has a name.
    fn input_stream(&self, op: Op<'_>) -> Result<(KStream<Val, Val>, Types), Stop> {
        let (stream, types) = as_stream(self.input(op)?)?;
        Ok((named(&stream, op), types))
    }
}

fn as_stream(node: &Node) -> Result<(KStream<Val, Val>, Types), Stop> {
    match node {
        Node::Stream(stream, types) => Ok((stream.clone(), types.clone())),
        Node::Windows(..) => Err(unsupported("another operator on a stream of windows that is joined")),
        _ => Err(bad("a stream is needed")),
    }
}

fn as_table(node: &Node) -> Result<&dyn Table, Stop> {
    match node {
        Node::Table(table) => Ok(&**table),
        _ => Err(bad("a table is needed")),
    }
}

fn named(stream: &KStream<Val, Val>, op: Op<'_>) -> KStream<Val, Val> {
    match op.optional("name") {
        Some(name) => stream.named(name),
        None => stream.clone(),
    }
}
