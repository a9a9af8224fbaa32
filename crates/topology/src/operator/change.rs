//! What flows between tables.

/// One update of a table's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change<V> {
    /// The row from now on; `None` when it is deleted.
    pub(crate) new: Option<V>,
    /// The row until now, if somebody downstream asked for it and there was one.
    pub(crate) old: Option<V>,
    /// Whether this is the newest version of the row; false only below versioned tables.
    pub(crate) is_latest: bool,
}

impl<V> Change<V> {
    /// A change of a row to its newest version.
    pub(crate) fn new(new: Option<V>, old: Option<V>) -> Self {
        Self { new, old, is_latest: true }
    }
}
