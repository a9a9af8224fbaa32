//! The runnable form of a topology: an arena of nodes and one of stores.
//!
//! A [`Flow`] belongs to one task. A typed record enters at a source and is pushed depth first:
//! lent to all children but the last, given to the last. A node leaves its slot while it runs, so
//! it may borrow the rest of the flow; there is no lock, no reference count and no `unsafe` on
//! the way. What the flow needs from outside comes as [`FlowEnv`].

mod ahead;
mod any_processor;
mod arena;
mod build;
mod context;
mod env;
mod failures;
mod fault;
mod fixed_key;
mod global;
mod global_flow;
mod head;
mod input;
mod metrics;
mod node;
mod processor;
mod sink;
mod source;
mod timer;
mod transformer;
mod wrapper;

pub use any_processor::{AnyContext, AnyProcessor};
pub use arena::Flow;
pub(crate) use arena::{FlowNode, FlushStep};
pub use build::{FlowBuild, FlowOptions, NodeIndex};
pub use context::{Context, StoreHandle, StoreScope};
pub use env::{FlowEnv, SinkRecord};
pub use fault::{
    DeadLetter, DeserializationExceptionHandler, ErrorHandlerContext, HandlerDecision, HandlerResponse, LogAndContinue,
    LogAndFail, ProcessingExceptionHandler, ProductionExceptionHandler, SerializationExceptionOrigin,
};
pub(crate) use fixed_key::FixedKeySupplier;
pub use fixed_key::{FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor, FixedKeyRecord};
pub use global::GlobalState;
pub(crate) use global_flow::GlobalEngine;
pub use global_flow::GlobalFlow;
pub use head::{Head, HeadOutcome, RawHead, TimestampExtraction};
pub use input::{AnyRecord, Incoming};
pub use metrics::{MetricName, Sensor, Stat, StreamsMetrics};
pub use node::{NodeFactory, RecordType};
pub(crate) use processor::failed;
pub use processor::{Processor, ProcessorError, ProcessorSupplier, WithStores};
pub use sink::{Partitioner, SinkSpec, TopicNameExtractor};
pub(crate) use source::SourceFactory;
pub use source::{ExtractorFn, SourceSpec, TimestampExtractor};
pub use timer::{PunctuationType, Timer};
pub use transformer::ValueTransformer;
pub use wrapper::ProcessorWrapper;
