//! A node as the arena holds it, and the factory that makes one for each task.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use millstream_types::{Record, Timestamp};

use super::build::NodeIndex;
use super::context::Context;
use super::env::FlowEnv;
use super::input::{Incoming, Input};
use super::processor::{Processor, ProcessorError};
use super::timer::Timer;
use super::{Flow, FlowBuild};

/// The type of the records on an edge. The builder compares both ends.
#[derive(Clone, Copy)]
pub struct RecordType {
    id: TypeId,
    name: fn() -> &'static str,
}

impl RecordType {
    /// Records of these keys and values.
    pub fn of<K: 'static, V: 'static>() -> Self {
        Self { id: TypeId::of::<Record<K, V>>(), name: std::any::type_name::<(K, V)> }
    }

    /// Key and value type, for messages.
    pub fn name(&self) -> &'static str {
        (self.name)()
    }
}

impl PartialEq for RecordType {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for RecordType {}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes the code of one node, once for each task.
#[derive(Clone)]
pub struct NodeFactory {
    /// What the node takes.
    pub input: RecordType,
    /// What it forwards; `None` for sinks.
    pub output: Option<RecordType>,
    /// The cached store whose entries this node forwards when they are flushed.
    pub(crate) flushes: Option<Arc<str>>,
    pub(crate) make: Arc<dyn Fn(&FlowBuild) -> Box<dyn Node> + Send + Sync>,
}

impl NodeFactory {
    /// A factory for a processor.
    pub fn processor<P: Processor>(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self {
            input: RecordType::of::<P::KeyIn, P::ValueIn>(),
            output: Some(RecordType::of::<P::KeyOut, P::ValueOut>()),
            flushes: None,
            make: Arc::new(move |_| Box::new(ProcessorNode(make()))),
        }
    }

    /// Says that this node flushes that store.
    pub(crate) fn flushing(mut self, store: &Arc<str>) -> Self {
        self.flushes = Some(Arc::clone(store));
        self
    }
}

impl fmt::Debug for NodeFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeFactory").field("input", &self.input).field("output", &self.output).finish_non_exhaustive()
    }
}

/// Where a node runs: the flow without the node, the world around, and its own place.
pub(crate) struct Place<'a> {
    pub(crate) flow: &'a mut Flow,
    pub(crate) env: &'a mut dyn FlowEnv,
    pub(crate) index: NodeIndex,
}

/// Erased code at a node.
pub(crate) trait Node: Send {
    fn init(&mut self, place: Place<'_>) -> Result<(), ProcessorError>;
    fn process(&mut self, place: Place<'_>, input: Input<'_>) -> Result<(), ProcessorError>;
    fn punctuate(&mut self, place: Place<'_>, timer: Timer, timestamp: Timestamp) -> Result<(), ProcessorError>;
    fn flush(&mut self, place: Place<'_>) -> Result<(), ProcessorError>;
    fn close(&mut self);
}

/// Any processor as a node.
pub(crate) struct ProcessorNode<P>(pub(crate) P);

impl<P: Processor> Node for ProcessorNode<P> {
    fn init(&mut self, place: Place<'_>) -> Result<(), ProcessorError> {
        self.0.init(&mut Context::new(place))
    }

    fn process(&mut self, place: Place<'_>, input: Input<'_>) -> Result<(), ProcessorError> {
        let Some(record) = Incoming::<P::KeyIn, P::ValueIn>::typed(input) else {
            return Err(format!(
                "a record reached a node that takes {}",
                std::any::type_name::<(P::KeyIn, P::ValueIn)>()
            )
            .into());
        };
        self.0.process(&mut Context::new(place), record)
    }

    fn punctuate(&mut self, place: Place<'_>, timer: Timer, timestamp: Timestamp) -> Result<(), ProcessorError> {
        self.0.punctuate(&mut Context::new(place), timer, timestamp)
    }

    fn flush(&mut self, place: Place<'_>) -> Result<(), ProcessorError> {
        self.0.flush(&mut Context::new(place))
    }

    fn close(&mut self) {
        self.0.close();
    }
}
