//! What range reads of all stores give.

use millstream_types::Result;

/// Rows of a store, read as of the call that made it; later writes do not show. Borrows nothing,
/// so the store may be written while it is read.
pub struct StoreIterator<T>(Box<dyn Iterator<Item = Result<T>> + Send>);

impl<T: 'static> StoreIterator<T> {
    /// No rows.
    pub fn empty() -> Self {
        Self(Box::new(std::iter::empty()))
    }
}

impl<T> StoreIterator<T> {
    /// Wraps rows.
    pub fn new(rows: impl Iterator<Item = Result<T>> + Send + 'static) -> Self {
        Self(Box::new(rows))
    }
}

impl<T> Iterator for StoreIterator<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
