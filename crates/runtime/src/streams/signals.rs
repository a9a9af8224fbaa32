//! Ending gracefully when the system asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_types::{Error, ErrorKind, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{State, Streams};

/// How often the flag is looked at that a signal sets.
const LOOK: Duration = Duration::from_millis(100);
/// Exit code after a second signal: that of a process ended by SIGINT.
const EXIT_CODE: i32 = 130;

impl Streams {
    /// Blocks until SIGINT or SIGTERM comes, or the application ends by itself; then closes it
    /// within `timeout`. Whether everything was closed by then. A second signal ends the process at
    /// once.
    ///
    /// # Errors
    /// `State` when the system does not let signals be handled.
    pub fn close_on_signals(&self, timeout: Duration) -> Result<bool> {
        let asked = shutdown_flag()?;
        while !asked.load(Ordering::Relaxed) && !self.wait_for(&[State::NotRunning, State::Error], LOOK) {}
        Ok(self.close(timeout))
    }
}

/// A flag that the first SIGINT or SIGTERM sets, for programs that look at it themselves. A second
/// signal ends the process at once, with exit code 130.
///
/// # Errors
/// `State` when the system does not let signals be handled.
pub fn shutdown_flag() -> Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the first signal finds the flag unset and sets it, the second ends
        // the process.
        let armed = flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)));
        armed.map_err(|error| Error::new(ErrorKind::State, "signals cannot be handled").with_source(error))?;
    }
    Ok(asked)
}
