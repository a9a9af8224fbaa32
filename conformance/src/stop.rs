//! Why a case ends without a result of its own.

use millstream_types::Error;

/// Name of Java's exception for a refused argument of a call.
pub(crate) const ARGUMENT: &str = "IllegalArgumentException";

/// Why a case cannot be run to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Millstream, or this runner, does not know this yet.
    Unsupported(String),
    /// The case is malformed.
    Bad(String),
    /// Millstream refused the topology; the name is that of Java's exception.
    Refused { class: &'static str, error: Error },
}

pub(crate) fn bad(text: impl Into<String>) -> Stop {
    Stop::Bad(text.into())
}

/// A call's argument that Millstream refuses.
pub(crate) fn refused(error: Error) -> Stop {
    Stop::Refused { class: ARGUMENT, error }
}

pub(crate) fn unsupported(text: impl Into<String>) -> Stop {
    Stop::Unsupported(text.into())
}
