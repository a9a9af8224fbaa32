//! The flow: what crossing operators costs, and a whole stateless flow from bytes to bytes whose
//! output is counted and dropped. Bound by CPU.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream_state::Origin;
use millstream_topology::flow::{
    Flow, FlowBuild, FlowEnv, FlowOptions, Head, HeadOutcome, NodeIndex, RawHead, SinkRecord, TimestampExtraction,
};
use millstream_topology::{StreamsBuilder, Topology};
use millstream_types::{Error, ErrorKind, Headers, Offset, RawRecord, Result, TaskId, Timestamp};

/// Counts what arrives.
#[derive(Default)]
struct Null {
    bytes: usize,
}

impl FlowEnv for Null {
    fn send(&mut self, record: SinkRecord<'_>) -> Result<()> {
        self.bytes += record.value.map_or(0, <[u8]>::len);
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

/// A flow that reads one topic.
struct Running {
    flow: Flow,
    source: NodeIndex,
    head: Box<dyn Head>,
    origin: Origin,
    env: Null,
}

impl Running {
    fn new(topology: &Topology) -> Result<Self> {
        let build = FlowBuild {
            task: TaskId { subtopology: 0, partition: 0 },
            application_id: "bench".into(),
            internal_topics: Arc::default(),
        };
        let nodes: Vec<Arc<str>> = topology.facts().nodes.iter().map(|node| Arc::clone(&node.name)).collect();
        let no_stores = || Error::new(ErrorKind::Topology, "there are no stores");
        let no_source = || Error::new(ErrorKind::Topology, "there is no source");
        let mut flow = topology.flow(&nodes, build, Arc::new(FlowOptions::default()), &mut |_| Err(no_stores()))?;
        let mut env = Null::default();
        flow.init(&mut env, Timestamp::UNKNOWN)?;
        let source = nodes.first().and_then(|name| flow.source(name)).ok_or_else(no_source)?;
        let head = flow.new_head(source).ok_or_else(no_source)?;
        let origin = Origin { topic: Some("in".into()), timestamp: Timestamp(0), ..Origin::NONE };
        Ok(Self { flow, source, head, origin, env })
    }

    /// One record from bytes to bytes.
    fn run(&mut self, key: &[u8], value: &[u8]) -> usize {
        let raw = RawHead {
            offset: Offset(0),
            timestamp: Timestamp(1),
            key: Some(key),
            value: Some(value),
            headers: Headers::new(),
        };
        let extraction = TimestampExtraction::default();
        let decoded = self.head.decode(raw, Timestamp::UNKNOWN, 0, &extraction);
        assert!(matches!(decoded, HeadOutcome::Ready(_)), "the record decodes");
        self.origin.timestamp = Timestamp(1);
        let processed = self.flow.process(&mut self.env, self.source, &mut *self.head, &self.origin, &Headers::new());
        assert!(processed.is_ok(), "{processed:?}");
        self.env.bytes
    }
}

fn hops() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let mut stream = builder.stream::<i64, i64>("in");
    for _ in 0..10 {
        stream = stream.map_values(|value| value + 1);
    }
    stream.for_each(|_, _| {});
    builder.build()
}

fn stateless() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .filter(|_, value| value.starts_with('v'))
        .map_values(|mut value| {
            value.make_ascii_uppercase();
            value
        })
        .to("out");
    builder.build()
}

fn flows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flow");
    let (Ok(mut hops), Ok(mut stateless)) =
        (hops().and_then(|t| Running::new(&t)), stateless().and_then(|t| Running::new(&t)))
    else {
        return;
    };
    group.throughput(Throughput::Elements(10));
    let number = 1i64.to_be_bytes();
    group.bench_function("ten map_values", |bencher| bencher.iter(|| hops.run(&number, &number)));
    group.throughput(Throughput::Elements(1));
    let value = [b'v'; 100];
    group.bench_function("source, filter, map_values, sink", |bencher| {
        bencher.iter(|| stateless.run(b"user-00000001", &value));
    });
}

criterion_group!(benches, flows);
criterion_main!(benches);
