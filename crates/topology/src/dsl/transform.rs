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
    /// State: the stores given to [`transform_values_with`](Self::transform_values_with); the result's only
    /// if it is given a name. Topics: their changelogs. Nulls: a deleted row reaches the transformer as
    /// `None`; a null result deletes the row.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{ProcessorError, StoreScope, StreamsBuilder, ValueTransformer};
    /// # use millstream_types::Serdes;
    /// struct Double;
    ///
    /// impl ValueTransformer for Double {
    ///     # type Key = i64;
    ///     # type ValueIn = i64;
    ///     # type ValueOut = i64;
    ///     fn transform(
    ///         &mut self,
    ///         _: &mut StoreScope<'_>,
    ///         _: &i64,
    ///         value: Option<&i64>,
    ///     ) -> Result<Option<i64>, ProcessorError> {
    ///         Ok(value.map(|value| value * 2))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.table::<i64, i64>("prices").transform_values(|| Double).to_stream().to("doubled");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("prices", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// let doubled = driver.create_output_topic("doubled", Serdes::long(), Serdes::long());
    /// assert_eq!(doubled.read_key_value()?, (1, 40));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn transform_values<T>(&self, supplier: impl ProcessorSupplier<T>) -> KTable<K, T::ValueOut>
    where
        T: ValueTransformer<Key = K, ValueIn = V>,
    {
        self.transform_values_with(supplier, None::<Materialized<K, T::ValueOut>>, &[])
    }

    /// [`transform_values`](Self::transform_values) into a store, if that is given a name, and with
    /// stores for the transformer, named as they were given to
    /// [`add_state_store`](super::StreamsBuilder::add_state_store). Without any `Materialized` what is
    /// made of a versioned table counts as versioned, too.
    pub fn transform_values_with<T>(
        &self,
        supplier: impl ProcessorSupplier<T>,
        materialized: impl Into<Option<Materialized<K, T::ValueOut>>>,
        stores: &[&str],
    ) -> KTable<K, T::ValueOut>
    where
        T: ValueTransformer<Key = K, ValueIn = V>,
    {
        self.mapped(RowOperator::TransformValues { stores }, transformer(supplier), None, materialized.into())
    }
}
