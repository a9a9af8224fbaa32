//! Aggregates of a grouped stream in windows.

mod closing;
pub(crate) mod fixed;
pub(crate) mod session;
pub(crate) mod sliding;
