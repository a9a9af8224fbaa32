//! SIGINT and SIGTERM: the first asks for a graceful end, the second does not ask.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use millstream::{Error, ErrorKind, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of a process that SIGINT ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// A flag that the first signal sets.
pub(crate) fn flag() -> Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the first signal finds the flag unset and sets it, the second ends
        // the process.
        flag::register_conditional_shutdown(signal, i32::from(EXIT_CODE), Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .map_err(|error| Error::new(ErrorKind::State, "signals cannot be handled").with_source(error))?;
    }
    Ok(asked)
}
