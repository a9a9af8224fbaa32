//! The unlimited window.

use millstream_types::{Error, ErrorKind, Result, Timestamp};

/// One window that never ends and never closes (Kafka Streams' `UnlimitedWindows`). Records from
/// before its start are in no window; they are not counted as dropped.
///
/// ```
/// use millstream_topology::UnlimitedWindows;
/// use millstream_types::Timestamp;
///
/// let windows = UnlimitedWindows::of().start_on(Timestamp(100))?;
/// assert_eq!(windows.start(), Timestamp(100));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnlimitedWindows {
    start: Timestamp,
}

impl UnlimitedWindows {
    /// Size of the window, in ms.
    pub(crate) const SIZE_MS: i64 = i64::MAX;

    /// A window that starts at 0.
    pub fn of() -> Self {
        Self { start: Timestamp(0) }
    }

    /// Lets the window start later.
    ///
    /// # Errors
    /// `Topology` when the start is negative.
    pub fn start_on(self, start: Timestamp) -> Result<Self> {
        if start.0 < 0 {
            return Err(Error::new(ErrorKind::Topology, format!("no window starts at {start}, before 1970")));
        }
        Ok(Self { start })
    }

    /// Start of the window.
    pub fn start(&self) -> Timestamp {
        self.start
    }
}
