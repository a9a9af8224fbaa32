//! From a stream's value to a table's.

/// A stream value that can become a table's value of type `W`: itself, or what is in an `Option`
/// (`None` deletes the row).
pub trait IntoTableValue<W> {
    /// The table's value; `None` deletes.
    fn into_table_value(self) -> Option<W>;
}

impl<V> IntoTableValue<V> for V {
    fn into_table_value(self) -> Option<V> {
        Some(self)
    }
}

impl<V> IntoTableValue<V> for Option<V> {
    fn into_table_value(self) -> Option<V> {
        self
    }
}
