//! What a record costs on its way through a flow, in heap allocations and clones: counted, not
//! timed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_state::{CacheBudget, MemoryEngine, Origin, StoreEnv};
use millstream_topology::flow::{
    Flow, FlowBuild, FlowEnv, FlowOptions, Head, HeadOutcome, NodeIndex, RawHead, SinkRecord, TimestampExtraction,
};
use millstream_topology::{Consumed, KStream, Materialized, StreamsBuilder};
use millstream_types::{Codec, CodecError, Headers, Offset, RawRecord, Result, Serde, Serdes, TaskId, Timestamp};

const RECORDS: u64 = 100;

/// A world that takes every record and keeps none.
struct Nowhere;

impl FlowEnv for Nowhere {
    fn send(&mut self, _: SinkRecord<'_>) -> Result<()> {
        Ok(())
    }

    fn partition_count(&mut self, _: &Arc<str>) -> Result<i32> {
        Ok(1)
    }

    fn wall_ms(&self) -> i64 {
        0
    }

    fn request_commit(&mut self) {}

    fn source_record(&self) -> Option<RawRecord> {
        None
    }
}

/// A flow with one source.
struct Running {
    flow: Flow,
    source: NodeIndex,
    head: Box<dyn Head>,
    origin: Origin,
}

impl Running {
    fn of(builder: &StreamsBuilder) -> Self {
        let topology = builder.build().unwrap();
        let nodes: Vec<Arc<str>> = topology.facts().nodes.iter().map(|node| Arc::clone(&node.name)).collect();
        let build = FlowBuild {
            task: TaskId { subtopology: 0, partition: 0 },
            application_id: "app".into(),
            internal_topics: Arc::default(),
        };
        let open = &mut |_: &dyn millstream_state::StoreFactory| {
            Ok(StoreEnv { cache: CacheBudget::new(10 << 20), ..StoreEnv::new(Box::new(MemoryEngine::new())) })
        };
        let mut flow = topology.flow(&nodes, build, Arc::new(FlowOptions::default()), open).unwrap();
        flow.init(&mut Nowhere, Timestamp::UNKNOWN).unwrap();
        let source = flow.source(&nodes[0]).unwrap();
        let head = flow.new_head(source).unwrap();
        let origin = Origin { topic: Some("in".into()), timestamp: Timestamp(0), ..Origin::NONE };
        Self { flow, source, head, origin }
    }

    /// Decodes a record and runs it through; gives the allocations of the run alone.
    fn run(&mut self, number: u64, key: &[u8], value: &[u8]) -> u64 {
        let (offset, timestamp) = (Offset(number as i64), Timestamp(number as i64));
        let raw = RawHead { offset, timestamp, key: Some(key), value: Some(value), headers: Headers::new() };
        let decoded = self.head.decode(raw, Timestamp::UNKNOWN, 0, &TimestampExtraction::default());
        assert!(matches!(decoded, HeadOutcome::Ready(_)), "{decoded:?}");
        self.origin.offset = offset;
        self.origin.timestamp = timestamp;
        let headers = Headers::new();
        let measured = allocation_counter::measure(|| {
            self.flow.process(&mut Nowhere, self.source, &mut *self.head, &self.origin, &headers).unwrap();
        });
        measured.count_total
    }
}

fn hundred_hops<K: Clone + Send + 'static, V: Clone + Send + 'static>(stream: &KStream<K, V>) -> KStream<K, V> {
    let mut stream = stream.clone();
    for hop in 0..100 {
        stream = match hop % 3 {
            0 => stream.filter(|_, _| true),
            1 => stream.peek(|_, _| {}),
            _ => stream.map_values(|value| value),
        };
    }
    stream
}

#[test]
fn a_hundred_hops_allocate_nothing_for_a_number() {
    let builder = StreamsBuilder::new();
    hundred_hops(&builder.stream::<i64, i64>("in")).to("out");
    let mut running = Running::of(&builder);
    running.run(0, &[0; 8], &[0; 8]);
    let allocations: u64 = (1..=RECORDS).map(|number| running.run(number, &number.to_be_bytes(), &[1; 8])).sum();
    assert_eq!(allocations, 0);
}

#[test]
fn a_hundred_hops_allocate_nothing_for_a_string() {
    let builder = StreamsBuilder::new();
    hundred_hops(&builder.stream::<String, String>("in")).to("out");
    let mut running = Running::of(&builder);
    let value = "v".repeat(100);
    running.run(0, b"key", value.as_bytes());
    let allocations: u64 = (1..=RECORDS).map(|number| running.run(number, b"key", value.as_bytes())).sum();
    assert_eq!(allocations, 0);
}

/// A number that counts how often numbers of its kind were cloned.
struct Counted(i64);

static CLONES: AtomicU64 = AtomicU64::new(0);

impl Clone for Counted {
    fn clone(&self) -> Self {
        CLONES.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

struct CountedCodec;

impl Codec<Counted> for CountedCodec {
    fn encode(&self, value: &Counted, out: &mut Vec<u8>) -> std::result::Result<(), CodecError> {
        out.extend_from_slice(&value.0.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> std::result::Result<Counted, CodecError> {
        Ok(Counted(bytes.len() as i64))
    }
}

#[test]
fn a_fan_out_with_filters_clones_nothing() {
    let builder = StreamsBuilder::new();
    let consumed = Consumed::with(Serdes::long(), Serde::new(CountedCodec));
    let stream = builder.stream_with::<i64, Counted>(&["in"], consumed);
    let seen = Arc::new(AtomicU64::new(0));
    for branch in 0..3 {
        let seen = Arc::clone(&seen);
        stream.filter(move |key, _| key % 3 >= branch).for_each(move |_, _| {
            seen.fetch_add(1, Ordering::Relaxed);
        });
    }
    let mut running = Running::of(&builder);
    let allocations: u64 = (0..RECORDS).map(|number| running.run(number, &number.to_be_bytes(), &[0; 8])).sum();
    assert_eq!(seen.load(Ordering::Relaxed), 199, "100 + 66 + 33 records pass the three filters");
    assert_eq!((CLONES.load(Ordering::Relaxed), allocations), (0, 0));
}

#[test]
fn counting_a_known_key_allocates_nothing() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .count_with(Materialized::named("counts").with_caching_enabled())
        .to_stream()
        .to("counts");
    let mut running = Running::of(&builder);
    let keys: Vec<String> = (0..10).map(|key| format!("user-{key:08}")).collect();
    let mut count = |number: u64| running.run(number, keys[number as usize % keys.len()].as_bytes(), b"v");
    let first: u64 = (0..20).map(&mut count).sum();
    assert!(first > 0, "a new key takes memory: the counter counts");
    let allocations: u64 = (20..20 + RECORDS).map(&mut count).sum();
    assert_eq!(allocations, 0);
}

#[test]
fn keys_are_read_ahead_only_where_a_large_cache_has_them() {
    let ahead = |running: &mut Running, numbers: std::ops::Range<i64>| {
        let keys: Vec<[u8; 8]> = numbers.map(i64::to_be_bytes).collect();
        running.flow.read_ahead(running.source, keys.iter().map(|key| &key[..]))
    };
    let builder = StreamsBuilder::new();
    builder.stream::<i64, i64>("in").filter(|_, _| true).to("out");
    assert_eq!(ahead(&mut Running::of(&builder), 0..20), usize::MAX, "no store, never again");

    let builder = StreamsBuilder::new();
    let counts = Materialized::named("counts").with_caching_enabled();
    builder.stream::<i64, i64>("in").filter(|_, _| true).group_by_key().count_with(counts).to_stream().to("out");
    let mut running = Running::of(&builder);
    let pause = ahead(&mut running, 0..20);
    assert!(pause > 1000, "nothing there");
    for number in 0..2000 {
        running.run(number, &number.to_be_bytes(), &[1; 8]);
    }
    assert_eq!(ahead(&mut running, 0..20), 16, "again when these have passed");
    assert_eq!(ahead(&mut running, 1998..2000), 2, "fewer wait");
    assert_eq!(ahead(&mut running, 1990..2006), 16, "half of them are there");
    assert_eq!(ahead(&mut running, 1999..2006), pause, "other keys");
    running.run(1999, &1999_i64.to_be_bytes(), &[1; 8]);
    assert_eq!(ahead(&mut running, 3000..3020), 16, "those before were read");
    running.run(3000, &3000_i64.to_be_bytes(), &[1; 8]);
    assert_eq!(ahead(&mut running, 4000..4020), 16, "those before were read, and had no rows");
    assert_eq!(ahead(&mut running, 5000..5020), pause, "those before were not");
}
