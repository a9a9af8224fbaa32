//! What makes the values of a table from those of another, with state.

use super::{ProcessorError, StoreScope};

/// Makes a new value of a table's row, and may keep state: Kafka Streams'
/// `ValueTransformerWithKey`. See [`KTable::transform_values`](crate::KTable::transform_values).
///
/// ```
/// use millstream_topology::{ProcessorError, StoreScope, ValueTransformer};
///
/// struct Length;
///
/// impl ValueTransformer for Length {
///     type Key = String;
///     type ValueIn = String;
///     type ValueOut = u64;
///
///     fn transform(
///         &mut self,
///         _: &mut StoreScope<'_>,
///         _: &String,
///         value: Option<&String>,
///     ) -> Result<Option<u64>, ProcessorError> {
///         Ok(value.map(|value| value.len() as u64))
///     }
/// }
/// ```
pub trait ValueTransformer: Send + 'static {
    /// Type of the keys.
    type Key: Clone + Send + 'static;
    /// Type of the values it takes.
    type ValueIn: Clone + Send + 'static;
    /// Type of the values it makes.
    type ValueOut: Clone + Send + 'static;

    /// Called once before the first row, with all stores open and restored.
    ///
    /// # Errors
    /// Any error keeps the task from starting.
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<(), ProcessorError> {
        let _ = scope;
        Ok(())
    }

    /// The new value of a row; `None` is a row that is deleted, or not there.
    ///
    /// # Errors
    /// What it fails with goes to the processing exception handler.
    fn transform(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &Self::Key,
        value: Option<&Self::ValueIn>,
    ) -> Result<Option<Self::ValueOut>, ProcessorError>;

    /// Called when the task closes cleanly.
    fn close(&mut self) {}
}
