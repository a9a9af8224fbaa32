//! When aggregates in windows tell their results.

/// When an aggregate in windows tells its results (KIP-825): Kafka Streams' `EmitStrategy`;
/// [`emit_strategy`](crate::TimeWindowedKStream::emit_strategy) has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmitStrategy {
    /// With each update of a window; a record cache makes them fewer. The default.
    #[default]
    OnWindowUpdate,
    /// Once, when the window closes: stream time has passed its end by the grace period. Closed
    /// windows are looked for when a record comes, at most once a second of the wall clock, and told
    /// in order of time, with that record's headers. Late records are left out as always.
    ///
    /// What the store has forgotten cannot be told: where one record may move time on by more than
    /// the grace period, give the store a longer retention.
    OnWindowClose,
}
