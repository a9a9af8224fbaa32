//! Where a table's rows come from: who must store them, who must send old values, how to look
//! them up.

use std::rc::Rc;
use std::sync::Arc;

use super::draft::Switch;
use crate::operator::table_map::RowMapper;
use crate::operator::table_output::RowStore;
use crate::operator::table_view::ViewSupplier;

/// The origin of a table's rows, as later calls need it.
pub(crate) trait TableOrigin<K, V> {
    /// Asks for old values in the changes; `false` if they are not to be had without storing the
    /// table, which only happens when `force` is set.
    fn send_old_values(&self, force: bool) -> bool;

    /// A way to look rows up; makes a lazily stored table be stored.
    fn view(&self) -> ViewSupplier<K, V>;

    /// Whether rows are known as of a time, so that updates may be older than the newest row.
    fn is_versioned(&self) -> bool;
}

/// A table with a store of its own, there from the start or once somebody needs it.
pub(crate) struct StoredOrigin<K, V> {
    pub(crate) view: ViewSupplier<K, V>,
    pub(crate) is_stored: Switch,
    pub(crate) sends_old: Switch,
}

impl<K, V> StoredOrigin<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// The rows of a store, of type `S` unless it is versioned.
    pub(crate) fn of<S: RowStore<K, V>>(store: &Arc<str>, is_versioned: bool, is_stored: Switch) -> Self {
        let view = ViewSupplier::of_store::<S>(store).versioned(is_versioned);
        Self { view, is_stored, sends_old: Switch::default() }
    }
}

impl<K, V> TableOrigin<K, V> for StoredOrigin<K, V> {
    fn send_old_values(&self, force: bool) -> bool {
        if !force && !self.is_stored.is_on() {
            return false;
        }
        self.is_stored.turn_on();
        self.sends_old.turn_on();
        true
    }

    fn view(&self) -> ViewSupplier<K, V> {
        self.is_stored.turn_on();
        self.view.clone()
    }

    fn is_versioned(&self) -> bool {
        self.view.is_versioned
    }
}

/// A table that is computed from another one row by row and not stored.
pub(crate) struct MappedOrigin<K, V, R> {
    pub(crate) parent: Rc<dyn TableOrigin<K, V>>,
    pub(crate) mapper: RowMapper<K, V, R>,
    pub(crate) sends_old: Switch,
    /// Not so, as in Kafka Streams, if the call was given a `Materialized`, though none is made
    /// without a name.
    pub(crate) is_versioned: bool,
}

impl<K, V, R> TableOrigin<K, R> for MappedOrigin<K, V, R>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    fn send_old_values(&self, force: bool) -> bool {
        if self.parent.send_old_values(force) {
            self.sends_old.turn_on();
        }
        self.sends_old.is_on()
    }

    fn view(&self) -> ViewSupplier<K, R> {
        self.parent.view().mapped(Arc::clone(&self.mapper))
    }

    fn is_versioned(&self) -> bool {
        self.is_versioned
    }
}

/// A table whose updates wait in a buffer.
pub(crate) struct SuppressedOrigin<K, V> {
    pub(crate) parent: Rc<dyn TableOrigin<K, V>>,
    pub(crate) buffer: Arc<str>,
}

impl<K, V> TableOrigin<K, V> for SuppressedOrigin<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    fn send_old_values(&self, force: bool) -> bool {
        self.parent.send_old_values(force)
    }

    fn view(&self) -> ViewSupplier<K, V> {
        self.parent.view().behind_buffer(&self.buffer)
    }

    fn is_versioned(&self) -> bool {
        false
    }
}
