//! Calls of user code outside a flow: a panic becomes an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use millstream_types::{Error, ErrorKind, Result};

/// Runs a piece of user code.
///
/// # Errors
/// `Fatal`, naming `what`, when it panics.
pub(crate) fn guarded<T>(what: &str, call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|panic| Error::new(ErrorKind::Fatal, format!("the {what} panicked: {}", panic_text(&*panic))))
}

/// The text a panic carried.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "(no text)".to_owned(),
    }
}
