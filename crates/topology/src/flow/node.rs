//! A node as the arena holds it, and the factory that makes one for each task.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use millstream_types::{Record, Timestamp};

use super::FlowBuild;
use super::any_processor::{AnyContext, AnyProcessor};
use super::input::AnyRecord;
use super::processor::{Processor, ProcessorError};
use super::timer::Timer;
use super::wrapper::ProcessorWrapper;

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
    pub(crate) make: Arc<dyn Fn(&FlowBuild) -> Box<dyn AnyProcessor> + Send + Sync>,
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

    /// Puts a wrapper around what it makes for the node of that name.
    pub(crate) fn wrap(&mut self, name: Arc<str>, wrapper: Arc<dyn ProcessorWrapper>) {
        let make = Arc::clone(&self.make);
        self.make = Arc::new(move |build| wrapper.wrap(&name, make(build)));
    }
}

impl fmt::Debug for NodeFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeFactory").field("input", &self.input).field("output", &self.output).finish_non_exhaustive()
    }
}

/// Any processor as a node.
pub(crate) struct ProcessorNode<P>(pub(crate) P);

impl<P: Processor> AnyProcessor for ProcessorNode<P> {
    fn init(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        self.0.init(&mut ctx.retyped())
    }

    fn process(&mut self, ctx: &mut AnyContext<'_>, record: AnyRecord<'_>) -> Result<(), ProcessorError> {
        let Some(record) = record.typed::<P::KeyIn, P::ValueIn>() else {
            return Err(format!(
                "a record reached a node that takes {}",
                std::any::type_name::<(P::KeyIn, P::ValueIn)>()
            )
            .into());
        };
        self.0.process(&mut ctx.retyped(), record)
    }

    fn punctuate(
        &mut self,
        ctx: &mut AnyContext<'_>,
        timer: Timer,
        timestamp: Timestamp,
    ) -> Result<(), ProcessorError> {
        self.0.punctuate(&mut ctx.retyped(), timer, timestamp)
    }

    fn flush(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        self.0.flush(&mut ctx.retyped())
    }

    fn close(&mut self) {
        self.0.close();
    }
}
