//! The stores behind tables: named, supplied and set up as `Materialized` and the builder say.

use std::sync::Arc;

use millstream_state::{
    DslKeyValueParams, DslSessionParams, DslStoreSuppliers, DslWindowParams, SessionStoreSupplier, StateStore,
    StoreBuilder, StoreFactory, StoreFacts, StoreSupplier, Stores, WindowStoreSupplier,
};
use millstream_types::Serde;

use super::draft::Draft;
use super::options::Materialized;
use super::outline::Unnamed;

impl Draft {
    /// A store's name: the user's, or a generated one.
    pub(crate) fn store_name<K, V>(&mut self, materialized: &Materialized<K, V>, prefix: &str) -> Arc<str> {
        self.check_name(materialized.name.as_deref());
        let name: Arc<str> = match &materialized.name {
            Some(name) => name.as_str().into(),
            None => self.names.generate(prefix).into(),
        };
        if materialized.name.is_none() {
            self.unnamed(Unnamed::Store { name: Arc::clone(&name), is_logged: materialized.is_logged });
        }
        self.table_stores.push(Arc::clone(&name));
        name
    }

    /// Adds the key-value store of a table; gives its facts unless the supplier is of another kind.
    pub(crate) fn add_key_value_store<K, V>(
        &mut self,
        name: &str,
        materialized: &Materialized<K, V>,
        key: Serde<K>,
        value: Serde<V>,
    ) -> Option<StoreFacts>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let supplier = materialized.supplier.clone().unwrap_or_else(|| {
            let params = DslKeyValueParams::new(name, self.store_format);
            self.store_suppliers(materialized).key_value_store(&params).into()
        });
        match supplier {
            StoreSupplier::KeyValue(supplier) => {
                let builder = Stores::timestamped_key_value_store_builder(supplier, key, value);
                Some(self.add_table_store(builder, materialized))
            }
            StoreSupplier::Versioned(supplier) => {
                let builder = Stores::versioned_key_value_store_builder(supplier, key, value);
                Some(self.add_table_store(builder, materialized))
            }
            other => {
                self.wrong_supplier(&other, "key-value");
                None
            }
        }
    }

    /// The supplier of a windowed table's store, if it is one of window stores.
    pub(crate) fn window_supplier<K, V>(
        &mut self,
        materialized: &Materialized<K, V>,
        params: &DslWindowParams,
    ) -> Option<WindowStoreSupplier> {
        match &materialized.supplier {
            None => Some(self.store_suppliers(materialized).window_store(params)),
            Some(StoreSupplier::Window(supplier)) => Some(supplier.clone()),
            Some(other) => {
                self.wrong_supplier(other, "window");
                None
            }
        }
    }

    /// The supplier of the store of a table of sessions, if it is one of session stores.
    pub(crate) fn session_supplier<K, V>(
        &mut self,
        materialized: &Materialized<K, V>,
        params: &DslSessionParams,
    ) -> Option<SessionStoreSupplier> {
        match &materialized.supplier {
            None => Some(self.store_suppliers(materialized).session_store(params)),
            Some(StoreSupplier::Session(supplier)) => Some(supplier.clone()),
            Some(other) => {
                self.wrong_supplier(other, "session");
                None
            }
        }
    }

    fn store_suppliers<K, V>(&self, materialized: &Materialized<K, V>) -> Arc<dyn DslStoreSuppliers> {
        Arc::clone(materialized.store_suppliers.as_ref().unwrap_or(&self.store_suppliers))
    }

    /// A supplier that does not fit its operator.
    pub(crate) fn wrong_supplier(&mut self, given: &StoreSupplier, wanted: &str) {
        self.problem(format!(
            "the table in store {} needs a {wanted} store, but was given the supplier of a {} store",
            given.name(),
            given.kind()
        ));
    }

    /// Adds a table's store with what the user said about it.
    pub(crate) fn add_table_store<S, K, V>(
        &mut self,
        builder: StoreBuilder<S>,
        materialized: &Materialized<K, V>,
    ) -> StoreFacts
    where
        S: StateStore,
    {
        let builder =
            if materialized.is_cached { builder.with_caching_enabled() } else { builder.with_caching_disabled() };
        let builder = if materialized.is_logged {
            builder.with_logging_enabled(materialized.changelog_configs.clone())
        } else {
            builder.with_logging_disabled()
        };
        let facts = builder.facts().clone();
        self.add_store(Arc::new(builder));
        facts
    }
}
