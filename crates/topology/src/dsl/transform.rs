//! `KTable`: values made with state.

use super::KTable;
use super::options::Materialized;
use super::table::RowOperator;
use crate::flow::{ProcessorSupplier, ValueTransformer};
use crate::operator::transform::transformer;

impl<K, V> KTable<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Makes a new value of each row with a transformer of your own, deleted rows among them. The key
    /// stays, so nothing is repartitioned.
    ///
    /// The transformer is called once for each update; where something downstream needs old values
    /// (a grouping, `suppress`, a join) and the result is not stored, once more for the old value.
    /// Whatever looks the result up (a join) and finds no store, has transformers of its own and calls
    /// them for the row it finds, with a time but no topic. So unless the result is stored, a
    /// transformer with state sees some rows more often than once.
    ///
    /// ```
    /// use millstream_topology::{ProcessorError, StoreScope, StreamsBuilder, ValueTransformer};
    ///
    /// struct Shout;
    ///
    /// impl ValueTransformer for Shout {
    ///     type Key = String;
    ///     type ValueIn = String;
    ///     type ValueOut = String;
    ///
    ///     fn transform(
    ///         &mut self,
    ///         _: &mut StoreScope<'_>,
    ///         _: &String,
    ///         value: Option<&String>,
    ///     ) -> Result<Option<String>, ProcessorError> {
    ///         Ok(value.map(|value| value.to_uppercase()))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, String>("names").transform_values(|| Shout).to_stream().to("loud");
    /// builder.build()?;
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn transform_values<T>(&self, supplier: impl ProcessorSupplier<T>) -> KTable<K, T::ValueOut>
    where
        T: ValueTransformer<Key = K, ValueIn = V>,
    {
        self.transform_values_with(supplier, Materialized::default(), &[])
    }

    /// [`transform_values`](Self::transform_values) into a store, if that is given a name, and with
    /// stores for the transformer, named as they were given to
    /// [`add_state_store`](super::StreamsBuilder::add_state_store).
    pub fn transform_values_with<T>(
        &self,
        supplier: impl ProcessorSupplier<T>,
        materialized: Materialized<K, T::ValueOut>,
        stores: &[&str],
    ) -> KTable<K, T::ValueOut>
    where
        T: ValueTransformer<Key = K, ValueIn = V>,
    {
        self.mapped(RowOperator::TransformValues { stores }, transformer(supplier), None, Some(materialized))
    }
}
