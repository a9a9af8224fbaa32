//! Reading a table from another operator: the store itself, or what filters and mappers above it
//! leave of a row.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::ValueAndTimestamp;
use millstream_types::Result;

use super::table_map::RowMapper;
use super::table_output::RowStore;
use crate::flow::{StoreHandle, StoreScope};

/// Looks rows up. One belongs to one operator of one task.
pub(crate) trait TableView<K, V>: Send {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()>;
    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>>;
}

/// Makes views, and names the stores they read.
pub(crate) struct ViewSupplier<K, V> {
    pub(crate) stores: Vec<Arc<str>>,
    pub(crate) make: Arc<dyn Fn() -> Box<dyn TableView<K, V>> + Send + Sync>,
}

impl<K, V> Clone for ViewSupplier<K, V> {
    fn clone(&self) -> Self {
        Self { stores: self.stores.clone(), make: Arc::clone(&self.make) }
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> ViewSupplier<K, V> {
    /// The rows of a store.
    pub(crate) fn of_store<S: RowStore<K, V>>(store: &Arc<str>) -> Self {
        let name = Arc::clone(store);
        let make = move || {
            Box::new(StoreView::<K, V, S> { name: Arc::clone(&name), handle: None, types: PhantomData })
                as Box<dyn TableView<K, V>>
        };
        Self { stores: vec![Arc::clone(store)], make: Arc::new(make) }
    }

    /// What a mapper leaves of the rows.
    pub(crate) fn mapped<R: Clone + Send + 'static>(self, mapper: RowMapper<K, V, R>) -> ViewSupplier<K, R> {
        let make = self.make;
        ViewSupplier {
            stores: self.stores,
            make: Arc::new(move || Box::new(MappedView { inner: make(), mapper: Arc::clone(&mapper) })),
        }
    }
}

struct StoreView<K, V, S> {
    name: Arc<str>,
    handle: Option<StoreHandle<S>>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, S> TableView<K, V> for StoreView<K, V, S>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    S: RowStore<K, V>,
{
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()> {
        self.handle = Some(scope.store_handle(&self.name)?);
        Ok(())
    }

    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        match self.handle {
            Some(handle) => scope.store(handle).row(key),
            None => Ok(None),
        }
    }
}

struct MappedView<K, V, R> {
    inner: Box<dyn TableView<K, V>>,
    mapper: RowMapper<K, V, R>,
}

impl<K, V, R> TableView<K, R> for MappedView<K, V, R> {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()> {
        self.inner.init(scope)
    }

    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<R>>> {
        let row = self.inner.get(scope, key)?;
        Ok(row.and_then(|row| {
            let value = (self.mapper)(key, row.value)?;
            Some(ValueAndTimestamp { value, timestamp: row.timestamp })
        }))
    }
}
