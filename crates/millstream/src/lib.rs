//! Kafka Streams for Rust: an embedded, fault-tolerant, stateful stream-processing engine.
//!
//! A topology is written with [`StreamsBuilder`], or by hand as a [`Topology`]; [`Streams`] runs it
//! inside the process. The log it runs on is named by `bootstrap.servers`: `host:port` of Kafka
//! brokers; `embedded:DIR` keeps topics in files, `memory:` for as long as the process lives.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use millstream::prelude::*;
//! use millstream::{Components, EmbeddedLog, MemoryEngines, SystemClock};
//!
//! let mut topology = Topology::new();
//! topology
//!     .add_source("in", &["words"], SourceSpec::new(Serdes::string(), Serdes::string()))
//!     .add_sink("out", "copies", SinkSpec::new(Serdes::string(), Serdes::string()), &["in"]);
//! let config = Config::builder().application_id("copy").bootstrap_servers("memory:").build()?;
//!
//! let log = EmbeddedLog::memory(millstream::log_options(&config));
//! let components = Components {
//!     log: Arc::new(log.clone()),
//!     engines: Arc::new(MemoryEngines::new("process-1")),
//!     clock: Arc::new(SystemClock::new()),
//!     handlers: Default::default(),
//! };
//! let streams = Streams::with_log(&topology, &config, components)?;
//! assert_eq!(streams.state(), State::Created);
//! assert!(streams.close(Duration::from_secs(10)));
//! # Ok::<(), millstream::Error>(())
//! ```

pub use millstream_log as log;
pub use millstream_runtime as runtime;
pub use millstream_state as state;
pub use millstream_topology as topology;
pub use millstream_types as types;

pub use millstream_log::{EmbeddedLog, Log};
#[cfg(feature = "signals")]
pub use millstream_runtime::shutdown_flag;
pub use millstream_runtime::{
    CloseOptions, Components, ConsumedRecord, Consumer, GroupMembershipOperation, Handlers, Instance,
    InvalidStateStore, KeyQueryMetadata, LagInfo, LocalThread, Metrics, Producer, QueryFuture, QueryResult,
    QueryableStoreType, QueryableStoreTypes, ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore,
    StandbyUpdateListener, State, StateListener, StateQueryRequest, StateQueryResult, StateRestoreListener,
    StoreQueryParameters, StreamThreadExceptionResponse, Streams, StreamsMetadata, SuspendReason, ThreadMetadata,
    ThreadState, UncaughtExceptionHandler, answer, log_options, open_log,
};
#[cfg(feature = "fjall")]
pub use millstream_state::FjallEngines;
pub use millstream_state::query::{
    FailureReason, KeyQuery, KeySpan, MultiVersionedKeyQuery, Position, PositionBound, Query, QueryFailure, RangeQuery,
    ReadView, ResultOrder, TimestampedKeyQuery, TimestampedRangeQuery, VersionedKeyQuery, WindowKeyQuery,
    WindowRangeQuery,
};
pub use millstream_state::{
    AggregationWithHeaders, ChangelogRecord, CommitMark, DslKeyValueParams, DslSessionParams, DslStoreSuppliers,
    DslWindowParams, Engine, EngineProvider, EngineSupplier, JoinSide, KeyValueStore, KeyValueStoreSupplier,
    LeftOrRight, MemoryEngines, Origin, OuterJoinRow, OuterJoinStore, Put, PutReturn, RestoreRecord, Scan,
    SessionStore, SessionStoreSupplier, SessionStoreWithHeaders, StateStore, StoreBuilder, StoreEnv, StoreFactory,
    StoreFacts, StoreFormat, StoreIterator, StoreSupplier, StoreType, Stores, TimestampedKeyValueStore,
    TimestampedKeyValueStoreWithHeaders, TimestampedWindowStore, TimestampedWindowStoreWithHeaders, ValueAndTimestamp,
    ValueTimestampHeaders, VersionedKeyValueStore, VersionedKeyValueStoreSupplier, VersionedRecord, WindowStore,
    WindowStoreSupplier,
};
pub use millstream_topology::graph::{Problem, TopicPattern};
pub use millstream_topology::{
    AnyContext, AnyProcessor, AnyRecord, Branched, BranchedKStream, BufferConfig, CogroupedKStream, Consumed, Context,
    DeadLetter, DeserializationExceptionHandler, EagerBufferConfig, EmitEarly, EmitStrategy, ErrorHandlerContext,
    FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor, FixedKeyRecord, GlobalKTable, Grouped, HandlerDecision,
    HandlerResponse, Incoming, IntoTableValue, JoinWindows, Joined, KGroupedStream, KGroupedTable, KStream, KTable,
    LogAndContinue, LogAndFail, Materialized, MetricName, OffsetReset, Partitioner, Printed,
    ProcessingExceptionHandler, Processor, ProcessorError, ProcessorSupplier, ProcessorWrapper, Produced,
    ProductionExceptionHandler, PunctuationType, Repartitioned, Sensor, SerializationExceptionOrigin,
    SessionWindowedCogroupedKStream, SessionWindowedKStream, SessionWindows, ShutDown, SinkSpec, SlidingWindows,
    SourceSpec, Stat, StoreHandle, StoreScope, StreamJoined, StreamsBuilder, StreamsMetrics, StrictBufferConfig,
    Suppressed, TableJoined, TimeWindowedCogroupedKStream, TimeWindowedKStream, TimeWindows, Timer,
    TimestampExtraction, TimestampExtractor, TopicNameExtractor, Topology, TopologyDescription, TopologyDiff,
    UnlimitedWindows, ValueTransformer, Windowing,
};
pub use millstream_types::clock::SystemClock;
pub use millstream_types::{
    Clock, Codec, CodecError, Config, ConfigBuilder, Error, ErrorKind, Header, Headers, NotATaskId, Offset, Partition,
    ProcessingGuarantee, Record, RecordMetadata, Result, Serde, SerdeRegistry, Serdes, TaskId, Timestamp,
    TopicPartition, Window, Windowed,
};

/// What nearly every application uses.
pub mod prelude {
    pub use crate::{
        BufferConfig, Config, Consumed, Consumer, Context, Grouped, Incoming, JoinWindows, Joined, KStream, KTable,
        Materialized, ProcessingGuarantee, Processor, ProcessorError, Produced, Producer, PunctuationType, Record,
        Serde, Serdes, SessionWindows, SinkSpec, SlidingWindows, SourceSpec, State, Stores, StreamJoined, Streams,
        StreamsBuilder, Suppressed, TimeWindows, Timestamp, Topology,
    };
}

/// The code of the README, tried with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
