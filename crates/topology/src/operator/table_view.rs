//! Reading a table from another operator: the store itself, or what filters and mappers above it
//! leave of a row.

use std::sync::Arc;

use millstream_state::ValueAndTimestamp;
use millstream_types::{Result, Timestamp};

use super::table_map::{MapRow, RowMapper};
use super::table_output::{RowStore, Rows};
use crate::flow::{StoreScope, failed};

/// Looks rows up. One belongs to one operator of one task.
pub(crate) trait TableView<K, V>: Send {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()>;
    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>>;

    /// The row as it was at a time where the table is versioned, else as it is.
    fn get_as_of(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &K,
        _time: Timestamp,
    ) -> Result<Option<ValueAndTimestamp<V>>> {
        self.get(scope, key)
    }
}

/// Makes views, and names the stores they read.
pub(crate) struct ViewSupplier<K, V> {
    pub(crate) stores: Vec<Arc<str>>,
    pub(crate) make: Arc<dyn Fn() -> Box<dyn TableView<K, V>> + Send + Sync>,
    /// Whether rows are known as of a time.
    pub(crate) is_versioned: bool,
}

impl<K, V> Clone for ViewSupplier<K, V> {
    fn clone(&self) -> Self {
        Self { make: Arc::clone(&self.make), stores: self.stores.clone(), is_versioned: self.is_versioned }
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> ViewSupplier<K, V> {
    /// The rows of a store.
    pub(crate) fn of_store<S: RowStore<K, V>>(store: &Arc<str>) -> Self {
        let name = Arc::clone(store);
        let make =
            move || Box::new(StoreView::<K, V, S> { name: Arc::clone(&name), rows: None }) as Box<dyn TableView<K, V>>;
        Self { stores: vec![Arc::clone(store)], make: Arc::new(make), is_versioned: false }
    }

    /// Says that the store is versioned.
    pub(crate) fn versioned(self, is_versioned: bool) -> Self {
        Self { is_versioned, ..self }
    }

    /// What a mapper leaves of the rows.
    pub(crate) fn mapped<R: Clone + Send + 'static>(self, mapper: RowMapper<K, V, R>) -> ViewSupplier<K, R> {
        let make = self.make;
        ViewSupplier {
            stores: self.stores,
            is_versioned: self.is_versioned,
            make: Arc::new(move || Box::new(MappedView { inner: make(), mapper: mapper() })),
        }
    }
}

struct StoreView<K, V, S> {
    name: Arc<str>,
    rows: Option<Rows<K, V, S>>,
}

impl<K, V, S> TableView<K, V> for StoreView<K, V, S>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    S: RowStore<K, V>,
{
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()> {
        self.rows = Some(Rows::open(scope, &self.name)?);
        Ok(())
    }

    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        match self.rows {
            Some(rows) => rows.row(scope, key),
            None => Ok(None),
        }
    }

    fn get_as_of(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<ValueAndTimestamp<V>>> {
        match self.rows {
            Some(rows) => rows.row_as_of(scope, key, time),
            None => Ok(None),
        }
    }
}

struct MappedView<K, V, R> {
    inner: Box<dyn TableView<K, V>>,
    mapper: Box<dyn MapRow<K, V, R>>,
}

impl<K, V, R> TableView<K, R> for MappedView<K, V, R> {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()> {
        self.inner.init(scope)?;
        self.mapper.init(scope).map_err(failed)
    }

    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<R>>> {
        let row = self.inner.get(scope, key)?;
        self.mapper.map_found(scope, key, row).map_err(failed)
    }

    fn get_as_of(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &K,
        time: Timestamp,
    ) -> Result<Option<ValueAndTimestamp<R>>> {
        let row = self.inner.get_as_of(scope, key, time)?;
        self.mapper.map_found(scope, key, row).map_err(failed)
    }
}
