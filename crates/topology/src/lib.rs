//! Topologies: the typed DSL, the graph behind it, the plan made from it, and the runnable flow.
//!
//! Pure: no threads, clocks or I/O. [`dsl`] writes into [`graph`], the plan reads the graph's facts,
//! and [`Topology::flow`] makes the arena that the runtime pushes records through.

pub mod dsl;
pub mod flow;
pub mod graph;
mod operator;
pub mod plan;

pub use dsl::{
    Branched, BranchedKStream, BufferConfig, CogroupedKStream, Consumed, EagerBufferConfig, EmitEarly, EmitStrategy,
    GlobalKTable, Grouped, IntoTableValue, JoinWindows, Joined, KGroupedStream, KGroupedTable, KStream, KTable,
    Materialized, Printed, Produced, Repartitioned, SessionWindowedCogroupedKStream, SessionWindowedKStream,
    SessionWindows, ShutDown, SlidingWindows, StreamJoined, StreamsBuilder, StrictBufferConfig, Suppressed,
    TableJoined, TimeWindowedCogroupedKStream, TimeWindowedKStream, TimeWindows, UnlimitedWindows, Windowing,
};
pub use flow::{
    AnyContext, AnyProcessor, AnyRecord, Context, DeadLetter, DeserializationExceptionHandler, ErrorHandlerContext,
    FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor, FixedKeyRecord, HandlerDecision, HandlerResponse, Incoming,
    LogAndContinue, LogAndFail, MetricName, Partitioner, ProcessingExceptionHandler, Processor, ProcessorError,
    ProcessorSupplier, ProcessorWrapper, ProductionExceptionHandler, PunctuationType, Sensor,
    SerializationExceptionOrigin, SinkSpec, SourceSpec, Stat, StoreHandle, StoreScope, StreamsMetrics, Timer,
    TimestampExtraction, TimestampExtractor, TopicNameExtractor, ValueTransformer,
};
pub use graph::{Topology, TopologyDescription, TopologyDiff};
pub use millstream_types::config::OffsetReset;
