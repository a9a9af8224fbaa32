//! A user's transformer as the mapper of a table's rows.

use std::sync::Arc;

use millstream_state::ValueAndTimestamp;
use millstream_types::Timestamp;

use super::table_map::{MapRow, RowMapper};
use crate::flow::{ProcessorError, ProcessorSupplier, StoreScope, ValueTransformer};

struct Transform<T>(T);

/// A supplier of transformers as one of mappers. Deleted rows are transformed, too.
pub(crate) fn transformer<T: ValueTransformer>(
    supplier: impl ProcessorSupplier<T>,
) -> RowMapper<T::Key, T::ValueIn, T::ValueOut> {
    Arc::new(move || Box::new(Transform(supplier.get())))
}

impl<T: ValueTransformer> MapRow<T::Key, T::ValueIn, T::ValueOut> for Transform<T> {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<(), ProcessorError> {
        self.0.init(scope)
    }

    fn map(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &T::Key,
        row: Option<T::ValueIn>,
    ) -> Result<Option<T::ValueOut>, ProcessorError> {
        self.0.transform(scope, key, row.as_ref())
    }

    fn map_found(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &T::Key,
        row: Option<ValueAndTimestamp<T::ValueIn>>,
    ) -> Result<Option<ValueAndTimestamp<T::ValueOut>>, ProcessorError> {
        let timestamp = row.as_ref().map_or(Timestamp::UNKNOWN, |row| row.timestamp);
        let row = row.map(|row| row.value);
        let value = scope.at_row(timestamp, |scope| self.0.transform(scope, key, row.as_ref()))?;
        Ok(value.map(|value| ValueAndTimestamp { value, timestamp }))
    }

    fn close(&mut self) {
        self.0.close();
    }
}
