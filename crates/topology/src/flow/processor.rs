//! What runs at a node.

use std::sync::Arc;

use millstream_state::StoreFactory;
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

    /// Stores that come with the processor and are connected to it (Kafka Streams'
    /// `ConnectedStoreProvider`). None unless made [`with_stores`](Self::with_stores).
    fn stores(&self) -> Vec<Arc<dyn StoreFactory>> {
        Vec::new()
    }

    /// This supplier, bringing its stores along: they need not be added to the topology. Several
    /// suppliers may bring the same store.
    ///
    /// ```
    /// use millstream_state::{StoreFactory, Stores};
    /// use millstream_topology::{Context, Incoming, Processor, ProcessorError, ProcessorSupplier, StreamsBuilder};
    /// use millstream_types::Serdes;
    ///
    /// struct Remember;
    /// impl Processor for Remember {
    ///     type KeyIn = String;
    ///     type ValueIn = String;
    ///     type KeyOut = String;
    ///     type ValueOut = String;
    ///     fn process(
    ///         &mut self,
    ///         _: &mut Context<'_, String, String>,
    ///         _: Incoming<'_, String, String>,
    ///     ) -> Result<(), ProcessorError> {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let seen = Stores::key_value_store_builder("seen", Serdes::string(), Serdes::string());
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").process((|| Remember).with_stores([seen.into_factory()]));
    /// assert!(builder.build()?.describe().to_string().contains("(stores: [seen])"));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    fn with_stores(self, stores: impl IntoIterator<Item = Arc<dyn StoreFactory>>) -> WithStores<Self>
    where
        Self: Sized,
    {
        WithStores { supplier: self, stores: stores.into_iter().collect() }
    }
}

/// A supplier that brings stores along.
pub struct WithStores<S> {
    supplier: S,
    stores: Vec<Arc<dyn StoreFactory>>,
}

impl<P, S: ProcessorSupplier<P>> ProcessorSupplier<P> for WithStores<S> {
    fn get(&self) -> P {
        self.supplier.get()
    }

    fn stores(&self) -> Vec<Arc<dyn StoreFactory>> {
        let own = self.supplier.stores();
        own.into_iter().chain(self.stores.iter().map(Arc::clone)).collect()
    }
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

    fn stores(&self) -> Vec<Arc<dyn StoreFactory>> {
        self.as_ref().stores()
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
