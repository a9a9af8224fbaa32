//! What an application warns of.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The warnings told on this thread meanwhile, a line each.
pub(crate) fn warned(run: impl FnOnce()) -> Vec<String> {
    told(|level| *level == Level::WARN, run)
}

/// All that is told on this thread meanwhile, at any level.
pub(crate) fn told_at_all(run: impl FnOnce()) -> Vec<String> {
    told(|_| true, run)
}

fn told(is_kept: fn(&Level) -> bool, run: impl FnOnce()) -> Vec<String> {
    let lines = Arc::default();
    tracing::subscriber::with_default(Lines { is_kept, lines: Arc::clone(&lines) }, run);
    std::mem::take(&mut *lines.lock().unwrap())
}

/// Keeps what is told.
struct Lines {
    is_kept: fn(&Level) -> bool,
    lines: Arc<Mutex<Vec<String>>>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        write!(self.0, "{value:?} ").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (self.is_kept)(metadata.level())
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
