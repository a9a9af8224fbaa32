//! Which rows of a window or session store are taken, shown and kept.
//!
//! The rules are Kafka Streams' (`AbstractRocksDBSegmentedBytesStore`, `InMemoryWindowStore`,
//! `InMemorySessionStore`). A row's time is the start of its window, or the end of its session; a
//! store's time is the newest one put into it. Rows at or before that time minus the retention are
//! invisible; time-ordered window stores on disk, made for results on window close, still show those
//! exactly there. A persistent store still takes such rows while their segment lives; a store in
//! memory drops them.
//!
//! Unlike there the store's time outlives a restart: it lies in the engine, in the row with the
//! empty key, so that a crash does not bring expired rows back.

use millstream_types::{Error, ErrorKind, Result};

use crate::{Engine, StoreFacts};

/// Bytes of window start and sequence number behind the key.
pub(crate) const WINDOW_LEN: usize = 12;

/// The shortest segment, in ms; Kafka Streams' constant.
const SEGMENT_MS_MIN: i64 = 60_000;

/// Rows that an apply looks at besides four for each that it writes.
const SWEEP_ROWS_MIN: usize = 256;

/// Key of the row that holds the store's time and sequence number. No row of a window or session
/// has it: they have at least [`WINDOW_LEN`] bytes.
const STATE_KEY: &[u8] = &[];

/// Bytes of the end and the start of a session behind the key.
pub(crate) const SESSION_LEN: usize = 16;

/// Where a row's key has its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Window,
    Session,
}

impl Layout {
    /// A row's time: the start of its window, the end of its session.
    fn time_of(self, key: &[u8]) -> Option<i64> {
        match self {
            Self::Window => window_of(key).map(|(start, _)| start),
            Self::Session => session_of(key).map(|(_, end)| end),
        }
    }
}

/// The first time whose rows are shown.
#[derive(Clone, Copy)]
pub(crate) struct FirstVisible {
    layout: Layout,
    time: i64,
}

impl FirstVisible {
    /// Whether a row is past its retention.
    pub(crate) fn hides(self, key: &[u8]) -> bool {
        self.layout.time_of(key).is_some_and(|time| time < self.time)
    }
}

/// The segments of time that rows lie in.
#[derive(Clone, Copy)]
pub(crate) struct Segments {
    layout: Layout,
    length_ms: i64,
}

impl Segments {
    /// Segments of windows' rows.
    #[cfg(test)]
    pub(crate) fn of_windows(length_ms: i64) -> Self {
        Self { layout: Layout::Window, length_ms }
    }

    /// A row's time; the end of time for what is no row of a window or session.
    pub(crate) fn time_of(self, key: &[u8]) -> i64 {
        self.layout.time_of(key).unwrap_or(i64::MAX)
    }

    /// Start of the segment of a time.
    pub(crate) fn start_of(self, time: i64) -> i64 {
        time.saturating_sub(time.rem_euclid(self.length_ms))
    }

    /// Whether a time lies in the segment that starts there.
    pub(crate) fn is_within(self, start: i64, time: i64) -> bool {
        start <= time && time.saturating_sub(start) < self.length_ms
    }
}

/// A window or session store's time and what follows from it.
pub(crate) struct Retention {
    layout: Layout,
    retention_ms: i64,
    /// The retention that rows are shown for.
    shown_ms: i64,
    segment_ms: i64,
    /// A store in memory takes no row that it would not show.
    is_exact: bool,
    /// The newest time put into the store; -1 before the first.
    time: i64,
    /// Start of the oldest segment that lives at that time.
    kept_from: i64,
    /// Sequence number of the last duplicate.
    sequence: u32,
    /// Time and sequence number of the last commit.
    saved: (i64, u32),
    /// The newest time that the engine holds.
    applied: i64,
    swept_before: i64,
    sweep: Option<Sweep>,
}

/// A part of the walk: what to remove, and where it goes on.
#[derive(Default)]
pub(crate) struct Stretch {
    pub(crate) expired: Vec<Vec<u8>>,
    next: Option<Sweep>,
    is_last: bool,
}

/// A walk through the engine that removes the rows of dead segments, a stretch at each apply.
struct Sweep {
    before: i64,
    next_key: Vec<u8>,
}

/// Start and sequence number of a row's window.
pub(crate) fn window_of(key: &[u8]) -> Option<(i64, u32)> {
    let (rest, sequence) = key.split_last_chunk::<4>()?;
    let (_, start) = rest.split_last_chunk::<8>()?;
    Some((i64::from_be_bytes(*start), u32::from_be_bytes(*sequence)))
}

/// Start and end of a row's session.
pub(crate) fn session_of(key: &[u8]) -> Option<(i64, i64)> {
    let (rest, start) = key.split_last_chunk::<8>()?;
    let (_, end) = rest.split_last_chunk::<8>()?;
    Some((i64::from_be_bytes(*start), i64::from_be_bytes(*end)))
}

/// The key in a session row's bytes.
pub(crate) fn session_key_of(row_key: &[u8]) -> Option<&[u8]> {
    row_key.get(..row_key.len().checked_sub(SESSION_LEN)?)
}

/// The key in a window row's bytes.
pub(crate) fn key_of(row_key: &[u8]) -> Option<&[u8]> {
    row_key.get(..row_key.len().checked_sub(WINDOW_LEN)?)
}

impl Retention {
    /// The rules of a store with windows, its time as the engine has it.
    pub(crate) fn of(facts: &StoreFacts, engine: &dyn Engine) -> Result<Option<Self>> {
        let Some(retention_ms) = facts.retention_ms else { return Ok(None) };
        let (time, sequence) = match engine.get(STATE_KEY)? {
            None => (-1, 0),
            Some(state) => window_of(&state).ok_or_else(|| {
                Error::new(ErrorKind::Corrupted, "the time of the store cannot be read; delete the state directory, it will be rebuilt from the changelog")
                    .with_context(|context| context.store = Some(facts.name.clone()))
            })?,
        };
        let layout = if facts.kind.has_sessions() { Layout::Session } else { Layout::Window };
        // Kafka Streams' time-ordered window stores show one millisecond more.
        let extra = facts.is_persistent && facts.is_time_ordered && layout == Layout::Window;
        let mut retention = Self {
            layout,
            retention_ms,
            shown_ms: retention_ms.saturating_add(i64::from(extra)),
            segment_ms: (retention_ms / 2).max(SEGMENT_MS_MIN),
            is_exact: !facts.is_persistent,
            time,
            kept_from: 0,
            sequence,
            saved: (time, sequence),
            applied: time,
            swept_before: 0,
            sweep: None,
        };
        retention.kept_from = retention.first_kept(time);
        Ok(Some(retention))
    }

    /// The segments that rows lie in.
    pub(crate) fn segments(&self) -> Segments {
        Segments { layout: self.layout, length_ms: self.segment_ms }
    }

    /// Start of the oldest segment that lives: nothing shows rows before it any more.
    pub(crate) fn kept_from(&self) -> i64 {
        self.kept_from
    }

    /// The same at the time of the last commit: rows of a batch for the engine that are older are in dead segments.
    pub(crate) fn saved_from(&self) -> i64 {
        self.first_kept(self.saved.0)
    }

    /// Length of a segment of time, in ms.
    pub(crate) fn segment_ms(&self) -> i64 {
        self.segment_ms
    }

    /// Whether rows of a range come ordered by window start alone, not by segment.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// The next sequence number of a store that keeps duplicates; the first is 1.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1) & 0x7fff_ffff;
        self.sequence
    }

    /// The sequence number given last.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Which rows are shown; `None` shows all.
    pub(crate) fn first_visible(&self) -> Option<FirstVisible> {
        let time = self.time.saturating_sub(self.shown_ms).saturating_add(1);
        (self.time >= 0).then_some(FirstVisible { layout: self.layout, time })
    }

    /// Which rows are still kept, shown or not.
    pub(crate) fn first_kept_visible(&self) -> Option<FirstVisible> {
        if self.is_exact {
            return self.first_visible();
        }
        Some(FirstVisible { layout: self.layout, time: self.kept_from })
    }

    /// Whether a row is shown.
    pub(crate) fn is_visible(&self, key: &[u8]) -> bool {
        self.first_visible().is_none_or(|first| !first.hides(key))
    }

    /// Whether a row is newer than all that the engine was ever given.
    pub(crate) fn is_unsaved(&self, key: &[u8]) -> bool {
        self.layout.time_of(key).is_some_and(|time| time > self.saved.0)
    }

    /// Lets time move on to a row's window; `false` if the row comes too late to be kept.
    pub(crate) fn take(&mut self, key: &[u8]) -> bool {
        self.note(key);
        self.is_kept(key)
    }

    /// Lets time, and the sequence number, move on to a row's window.
    pub(crate) fn note(&mut self, key: &[u8]) {
        if let Some(time) = self.layout.time_of(key).filter(|time| *time > self.time) {
            self.time = time;
            self.kept_from = self.first_kept(time);
        }
        if let (Layout::Window, Some((_, sequence))) = (self.layout, window_of(key)) {
            self.sequence = self.sequence.max(sequence);
        }
    }

    /// Whether a row is still kept, shown or not.
    pub(crate) fn is_kept(&self, key: &[u8]) -> bool {
        if self.is_exact {
            return self.is_visible(key);
        }
        self.layout.time_of(key).is_none_or(|time| time >= self.kept_from)
    }

    /// Whether a row of a batch for the engine is in a dead segment by now.
    pub(crate) fn is_dead(&self, key: &[u8]) -> bool {
        self.layout.time_of(key).is_some_and(|time| time < self.first_kept(self.saved.0))
    }

    /// Start of the oldest segment that lives at a time.
    fn first_kept(&self, time: i64) -> i64 {
        let live = time.saturating_sub(self.retention_ms).max(0);
        live - live % self.segment_ms
    }

    /// Time and sequence number as a row, if they have changed since the last call.
    pub(crate) fn unsaved(&mut self) -> Option<(&'static [u8], [u8; WINDOW_LEN])> {
        let state = (self.time, self.sequence);
        if std::mem::replace(&mut self.saved, state) == state {
            return None;
        }
        let mut row = [0; WINDOW_LEN];
        row.get_mut(..8)?.copy_from_slice(&self.time.to_be_bytes());
        row.get_mut(8..)?.copy_from_slice(&self.sequence.to_be_bytes());
        Some((STATE_KEY, row))
    }

    /// Rows of dead segments to remove with the next batch. Looks at a bounded stretch of the
    /// engine, a multiple of what the batch writes, so that garbage stays a fraction of the data.
    pub(crate) fn sweep(&self, engine: &dyn Engine, write_count: usize) -> Result<Stretch> {
        // Not by the time of now: a crash may take the writes since the last commit back.
        let before = self.first_kept(self.saved.0);
        let (before, from) = match &self.sweep {
            Some(sweep) => (sweep.before, &sweep.next_key[..]),
            None if before > self.swept_before => (before, &[][..]),
            None => return Ok(Stretch::default()),
        };
        let mut expired = Vec::new();
        let mut rows = engine.scan(Some(from), None, false)?;
        let mut next_key = Vec::new();
        for _ in 0..write_count.saturating_mul(4).saturating_add(SWEEP_ROWS_MIN) {
            let Some(row) = rows.next() else {
                return Ok(Stretch { expired, next: Some(Sweep { before, next_key: Vec::new() }), is_last: true });
            };
            let (key, _) = row?;
            if self.layout.time_of(&key).is_some_and(|time| time < before) {
                expired.push(key.clone());
            }
            next_key = key;
        }
        // The next stretch starts behind this row.
        next_key.push(0);
        Ok(Stretch { expired, next: Some(Sweep { before, next_key }), is_last: false })
    }

    /// Whether all rows of the engine are in dead segments.
    pub(crate) fn is_engine_dead(&self) -> bool {
        self.applied >= 0 && self.applied < self.first_kept(self.saved.0)
    }

    /// Whether the engine may hold rows of dead segments.
    pub(crate) fn has_dead_rows(&self) -> bool {
        self.first_kept(self.saved.0) > self.swept_before
    }

    /// The engine has taken restored rows up to now.
    pub(crate) fn restored(&mut self) {
        self.applied = self.saved.0;
    }

    /// The engine has taken what was sealed, and the removals of a stretch, or of all dead rows. Goes on behind it.
    pub(crate) fn applied(&mut self, stretch: Option<Stretch>) {
        self.applied = self.saved.0;
        let Some(stretch) = stretch else {
            self.swept_before = self.first_kept(self.saved.0);
            self.sweep = None;
            return;
        };
        let Some(sweep) = stretch.next else { return };
        if stretch.is_last {
            self.swept_before = sweep.before;
            self.sweep = None;
        } else {
            self.sweep = Some(sweep);
        }
    }
}
