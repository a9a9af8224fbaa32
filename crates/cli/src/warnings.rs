//! What the library warns of, on standard error.

use std::fmt::{Debug, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};

use millstream::runtime::Streams;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

/// From now on warnings and errors are shown.
pub(crate) fn show() {
    // Fails only where a subscriber is set already; then that one shows them.
    let _ = subscriber::set_global_default(Warnings::default());
}

/// Writes one line per event. The same line again, as of something that is tried until it
/// succeeds, is written once.
#[derive(Default)]
struct Warnings {
    last: Mutex<String>,
}

impl Warnings {
    /// Whether the line differs from the last one.
    fn is_new(&self, line: &str) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *last != line;
        if is_new {
            line.clone_into(&mut last);
        }
        is_new
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What ends a command is its last line.
        *metadata.level() <= LevelFilter::WARN && metadata.target() != Streams::THREAD_ENDED
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!("{}: {}{}", event.metadata().level().as_str().to_lowercase(), line.message, line.fields);
        if self.is_new(&text) {
            let mut out = io::stderr().lock();
            // The line of a progress bar is overwritten; the bar is drawn again below.
            let start = if out.is_terminal() { "\r\x1b[K" } else { "" };
            let _ = writeln!(out, "{start}{text}");
        }
    }

    /// Spans are not shown, so one id does for all.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The parts of an event.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, "; {name}: {value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_shown_once() {
        let warnings = Warnings::default();
        let is_new: Vec<bool> = ["a", "a", "b", "a"].map(|line| warnings.is_new(line)).into();
        assert_eq!(is_new, [true, false, true, true]);
    }
}
