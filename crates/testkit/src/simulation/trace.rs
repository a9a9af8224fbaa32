//! What happened in a run, folded into one number, and kept as text on request.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::random::mix;

/// A record of a run. Clones share it. Two runs with equal hashes did the same things in the same
/// order.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    high: u64,
    low: u64,
    events: u64,
    /// Text of each event; `None` while only the hash is kept.
    lines: Option<Vec<String>>,
    line: String,
}

impl Trace {
    /// An empty trace. With `is_kept` it can be read as text later, at a cost.
    pub fn new(is_kept: bool) -> Self {
        let lines = is_kept.then(Vec::new);
        let inner =
            Inner { high: 0x6a09_e667_f3bc_c908, low: 0xbb67_ae85_84ca_a73b, events: 0, lines, line: String::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Adds an event.
    pub fn add(&self, event: fmt::Arguments<'_>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *inner;
        inner.line.clear();
        // Writing to a string cannot fail.
        let _ = inner.line.write_fmt(event);
        for chunk in inner.line.as_bytes().chunks(8) {
            let word =
                chunk.iter().fold(chunk.len() as u64, |word, byte| (word << 8) ^ (word >> 56) ^ u64::from(*byte));
            inner.low = mix(inner.low ^ word);
            inner.high = mix(inner.high.rotate_left(29) ^ inner.low);
        }
        inner.events += 1;
        inner.low = mix(inner.low ^ inner.events);
        if let Some(lines) = &mut inner.lines {
            lines.push(inner.line.clone());
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u128 {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        u128::from(inner.high) << 64 | u128::from(inner.low)
    }

    /// Number of events so far.
    pub fn len(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).events
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The events as text; empty unless kept.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_of_events_decide_the_hash() {
        let hash = |events: &[&str]| {
            let trace = Trace::new(false);
            for event in events {
                trace.add(format_args!("{event}"));
            }
            trace.hash()
        };
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
        assert_ne!(hash(&["ab"]), hash(&["a", "b"]));
    }
}
