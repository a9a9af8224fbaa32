//! What runs at a node, without its types: how the arena sees every processor, and how a wrapper does.

use std::convert::Infallible;

use millstream_state::Origin;
use millstream_types::{Error, ErrorKind, Headers, Result, Timestamp};

use super::Flow;
use super::env::FlowEnv;

use super::context::Context;
use super::input::AnyRecord;
use super::node::RecordType;
use super::processor::ProcessorError;
use super::timer::Timer;

/// A processor's access to the task around it where its types are not known: all that a [`Context`] offers
/// but forwarding, since there is no record of these types. See [`forwarding`](Context::forwarding).
pub type AnyContext<'a> = Context<'a, Infallible, Infallible>;

/// A processor without its types: an operator of the DSL or a [`Processor`](super::Processor) of one's own, for
/// a [`ProcessorWrapper`](super::ProcessorWrapper), which has an example.
pub trait AnyProcessor: Send {
    /// Called once before the first record, with all stores open and restored.
    ///
    /// # Errors
    /// Any error keeps the task from starting.
    fn init(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError>;

    /// Called for every record. What is forwarded runs through the nodes below before this returns; what they
    /// fail with is not returned.
    ///
    /// # Errors
    /// What it fails with goes to the processing exception handler.
    fn process(&mut self, ctx: &mut AnyContext<'_>, record: AnyRecord<'_>) -> Result<(), ProcessorError>;

    /// Called when a timer of this node is due. A wrapper passes those on that it did not make.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn punctuate(&mut self, ctx: &mut AnyContext<'_>, timer: Timer, timestamp: Timestamp)
    -> Result<(), ProcessorError>;

    /// Called at every commit, before outputs are flushed.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    fn flush(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError>;

    /// Called when the task closes cleanly.
    fn close(&mut self);
}

impl<'a> AnyContext<'a> {
    /// The same context for forwarding records of these types, for code that takes a processor's place.
    ///
    /// # Errors
    /// `Topology` when the node forwards records of other types.
    pub fn forwarding<K: 'static, V: 'static>(&mut self) -> Result<Context<'_, K, V>> {
        self.reborrow().into_forwarding()
    }

    pub(crate) fn into_forwarding<K: 'static, V: 'static>(self) -> Result<Context<'a, K, V>> {
        let wanted = RecordType::of::<K, V>();
        match self.flow.node(self.index).and_then(|node| node.output) {
            Some(output) if output == wanted => Ok(Context::new(self.flow, self.env, self.index)),
            output => {
                let output = output.map_or("nothing", |output| output.name());
                let node = self.node_name();
                let message = format!("processor {node} forwards {output}, not {}", wanted.name());
                Err(Error::new(ErrorKind::Topology, message))
            }
        }
    }
}

impl Flow {
    /// A node's context as if a record from `origin` were being processed, for code that runs outside of the
    /// flow: tests of a processor.
    ///
    /// # Errors
    /// `Topology` when there is no such node, or it forwards records of other types.
    pub fn context_at<'a, K: 'static, V: 'static>(
        &'a mut self,
        env: &'a mut dyn FlowEnv,
        node: &str,
        origin: &Origin,
        headers: &Headers,
    ) -> Result<Context<'a, K, V>> {
        let index = self.indexes().find(|index| self.node(*index).is_some_and(|known| *known.name == *node));
        let Some(index) = index else {
            return Err(Error::new(ErrorKind::Topology, format!("there is no node {node}")));
        };
        self.origin.set(origin);
        self.origin_headers = headers.clone();
        AnyContext::new(self, env, index).into_forwarding()
    }

    /// Sets the stream time, for tests of a processor.
    pub fn set_stream_time(&mut self, stream_time: Timestamp) {
        self.stream_time = stream_time;
    }
}
