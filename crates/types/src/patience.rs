//! Waiting for a directory that somebody is about to leave. A process that was killed keeps its locks until the
//! system has taken it down, and who starts it again at once comes too early.

use std::io;
use std::time::Duration;

use crate::{Error, Result};

/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Opens something; where another process has it ([`Error::is_in_use`]), tries again for that long. Blocks
/// meanwhile.
///
/// # Errors
/// Those of `open`; if it is still in use, the error says how long was waited.
pub fn open_patiently<T>(longest: Duration, open: impl FnMut() -> Result<T>) -> Result<T> {
    #[expect(clippy::disallowed_methods, reason = "nothing runs yet that could be held up")]
    with_pause(longest, open, || std::thread::sleep(PAUSE))
}

fn with_pause<T>(longest: Duration, mut open: impl FnMut() -> Result<T>, mut pause: impl FnMut()) -> Result<T> {
    let mut waited = Duration::ZERO;
    loop {
        match open() {
            Err(error) if error.is_in_use() && waited < longest => {
                pause();
                waited += PAUSE;
            }
            Err(error) if error.is_in_use() => {
                let message = format!("{} (waited {} ms for it)", error.message(), waited.as_millis());
                return Err(Error::new(error.kind(), message).with_source(io::Error::from(io::ErrorKind::WouldBlock)));
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Opens something that is in use for so many tries. Gives what came of it, and how often it was waited.
    fn tried(tries: u32) -> (Result<u32>, u32) {
        let (mut opens, mut pauses) = (0, 0);
        let open = || {
            opens += 1;
            if opens > tries {
                return Ok(opens);
            }
            let in_use = io::Error::from(io::ErrorKind::WouldBlock);
            Err(Error::new(ErrorKind::Storage, "directory d is in use").with_source(in_use))
        };
        let outcome = with_pause(Duration::from_millis(50), open, || pauses += 1);
        (outcome, pauses)
    }

    #[test]
    fn what_is_in_use_for_a_moment_is_waited_for() {
        assert_eq!(tried(0).1, 0);
        let (outcome, pauses) = tried(3);
        assert_eq!((outcome.unwrap(), pauses), (4, 3));
    }

    #[test]
    fn what_stays_in_use_is_an_error_that_says_how_long_was_waited() {
        let (outcome, pauses) = tried(u32::MAX);
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), pauses, error.is_in_use()), (ErrorKind::Storage, 5, true));
        assert_eq!(error.message(), "directory d is in use (waited 50 ms for it)");
    }

    #[test]
    fn other_errors_are_not_waited_for() {
        let refused = || Err::<(), _>(Error::new(ErrorKind::Storage, "the disk is full"));
        let error = with_pause(Duration::from_secs(1), refused, || panic!("nobody waits")).unwrap_err();
        assert_eq!(error.message(), "the disk is full");
    }
}
