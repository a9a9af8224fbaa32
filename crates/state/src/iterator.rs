//! What range reads of all stores give.

use std::iter::Peekable;

use millstream_types::{Error, Result};

/// Rows of a store, read as of the call that made it; later writes do not show. Borrows nothing,
/// so the store may be written while it is read.
///
/// ```
/// # use millstream_state::StoreIterator;
/// let mut rows = StoreIterator::new([("a", 1), ("b", 2)].into_iter().map(Ok));
/// assert!(matches!(rows.peek_next_key(), Some(Ok(&"a"))));
/// assert_eq!(rows.next().transpose()?, Some(("a", 1)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct StoreIterator<T>(Peekable<Box<dyn Iterator<Item = Result<T>> + Send>>);

impl<T: 'static> StoreIterator<T> {
    /// No rows.
    pub fn empty() -> Self {
        Self::new(std::iter::empty())
    }

    /// Rows that are looked for when the first one is asked for: on the thread that reads them.
    pub(crate) fn deferred<I>(find: impl FnOnce() -> Result<I> + Send + 'static) -> Self
    where
        I: Iterator<Item = Result<T>> + Send + 'static,
        T: Send,
    {
        Self::new(std::iter::once_with(find).flat_map(|found| match found {
            Ok(rows) => Self::new(rows),
            Err(error) => Self::new(std::iter::once(Err(error))),
        }))
    }
}

impl<T> StoreIterator<T> {
    /// Wraps rows.
    pub fn new(rows: impl Iterator<Item = Result<T>> + Send + 'static) -> Self {
        let rows: Box<dyn Iterator<Item = Result<T>> + Send> = Box::new(rows);
        Self(rows.peekable())
    }
}

impl<K, V> StoreIterator<(K, V)> {
    /// Key of the row that [`next`](Iterator::next) gives next; `None` at the end. What reading it has failed
    /// with is given here and then by `next`.
    pub fn peek_next_key(&mut self) -> Option<std::result::Result<&K, &Error>> {
        self.0.peek().map(|row| row.as_ref().map(|(key, _)| key))
    }
}

impl<T> Iterator for StoreIterator<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
