//! What runs at a node.

use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Timestamp};

use super::{Context, Incoming, Timer};

/// What a processor may fail with: any error. It goes to the processing exception handler.
pub type ProcessorError = Box<dyn std::error::Error + Send + Sync>;

/// Code at a node of the topology. The operators of the DSL are processors like any other.
///
/// One instance serves one task; it is made by a [`ProcessorSupplier`], so it may keep state of
/// its own, though only what lies in a store survives a restart.
///
/// ```
/// use millstream_topology::{Context, Incoming, Processor, ProcessorError};
///
/// struct Doubler;
///
/// impl Processor for Doubler {
///     type KeyIn = String;
///     type ValueIn = i64;
///     type KeyOut = String;
///     type ValueOut = i64;
///
///     fn process(
///         &mut self,
///         ctx: &mut Context<'_, String, i64>,
///         record: Incoming<'_, String, i64>,
///     ) -> Result<(), ProcessorError> {
///         let record = record.into_record();
///         let doubled = record.value.checked_mul(2).ok_or("too large to double")?;
///         ctx.forward(record.with_value(doubled));
///         Ok(())
///     }
/// }
/// ```
pub trait Processor: Send + 'static {
    /// Type of the keys it takes.
    type KeyIn: Clone + Send + 'static;
    /// Type of the values it takes.
    type ValueIn: Clone + Send + 'static;
    /// Type of the keys it forwards.
    type KeyOut: Clone + Send + 'static;
    /// Type of the values it forwards.
    type ValueOut: Clone + Send + 'static;

    /// Called once before the first record, with all stores open and restored.
    fn init(&mut self, ctx: &mut Context<'_, Self::KeyOut, Self::ValueOut>) -> Result<(), ProcessorError> {
        let _ = ctx;
        Ok(())
    }

    /// Called for every record.
    fn process(
        &mut self,
        ctx: &mut Context<'_, Self::KeyOut, Self::ValueOut>,
        record: Incoming<'_, Self::KeyIn, Self::ValueIn>,
    ) -> Result<(), ProcessorError>;

    /// Called when a timer made by [`Context::schedule`] is due. `timestamp` is the current stream
    /// time or wall clock (ms), not the time the timer was due at.
    fn punctuate(
        &mut self,
        ctx: &mut Context<'_, Self::KeyOut, Self::ValueOut>,
        timer: Timer,
        timestamp: Timestamp,
    ) -> Result<(), ProcessorError> {
        let _ = (ctx, timer, timestamp);
        Ok(())
    }

    /// Called at every commit, before outputs are flushed: what is buffered goes on now.
    fn flush(&mut self, ctx: &mut Context<'_, Self::KeyOut, Self::ValueOut>) -> Result<(), ProcessorError> {
        let _ = ctx;
        Ok(())
    }

    /// Called when the task closes cleanly.
    fn close(&mut self) {}
}

/// Makes a processor for each task. Any `Fn() -> P` is one.
pub trait ProcessorSupplier<P>: Send + Sync + 'static {
    /// A new processor.
    fn get(&self) -> P;
}

impl<P, F: Fn() -> P + Send + Sync + 'static> ProcessorSupplier<P> for F {
    fn get(&self) -> P {
        self()
    }
}

impl<P: 'static> ProcessorSupplier<P> for Arc<dyn ProcessorSupplier<P>> {
    fn get(&self) -> P {
        self.as_ref().get()
    }
}

/// What a processor failed with, as an error of ours: it is one, or becomes the source of one.
pub(crate) fn failed(error: ProcessorError) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(error) => {
            Error::new(ErrorKind::Processing, format!("the processor failed: {error}")).with_source(UserError(error))
        }
    }
}

/// The error a processor returned.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UserError(ProcessorError);
