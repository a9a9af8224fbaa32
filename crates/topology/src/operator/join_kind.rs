//! Inner, left or outer.

/// Whose rows or records a join gives a result for without the other side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// Nobody's.
    Inner,
    /// Those of the side the join is called on.
    Left,
    /// Those of either side.
    Outer,
}
