//! Rows of a range, merged from what is written and what the engine holds.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

use millstream_types::{Result, Timestamp};

use super::retention::FirstVisible;
use crate::Scan;

/// A row's value: typed from the record cache, bytes from below.
pub(crate) enum Cell<V> {
    Typed(V, Timestamp),
    Bytes(Vec<u8>),
}

impl<V> Cell<V> {
    /// The bytes, if it has not been decoded.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Typed(..) => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// A snapshot of rows, in key order or against it. Borrows nothing.
pub(crate) struct Rows<V> {
    upper: Upper<V>,
    engine: Peekable<Scan>,
    is_reverse: bool,
    first_visible: Option<FirstVisible>,
}

type Writes<V> = BTreeMap<Vec<u8>, Option<Cell<V>>>;

struct Upper<V> {
    writes: btree_map::IntoIter<Vec<u8>, Option<Cell<V>>>,
    next: Option<(Vec<u8>, Option<Cell<V>>)>,
    is_reverse: bool,
}

impl<V> Upper<V> {
    fn new(writes: Writes<V>, is_reverse: bool) -> Self {
        let mut upper = Self { writes: writes.into_iter(), next: None, is_reverse };
        upper.step();
        upper
    }

    fn step(&mut self) -> Option<(Vec<u8>, Option<Cell<V>>)> {
        let next = if self.is_reverse { self.writes.next_back() } else { self.writes.next() };
        std::mem::replace(&mut self.next, next)
    }
}

impl<V> Rows<V> {
    /// Rows from `writes` over those of the engine; a store with windows shows some of them.
    pub(crate) fn new(
        writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
        engine: Scan,
        is_reverse: bool,
        first_visible: Option<FirstVisible>,
    ) -> Self {
        let hides = |key: &[u8]| is_hidden(key, first_visible);
        let writes =
            writes.into_iter().filter(|(key, _)| !hides(key)).map(|(key, value)| (key, value.map(Cell::Bytes)));
        Self { upper: Upper::new(writes.collect(), is_reverse), engine: engine.peekable(), is_reverse, first_visible }
    }

    /// Lays the record cache over the rows: what it holds is shown even past its retention.
    pub(crate) fn with_cached(mut self, cached: Writes<V>) -> Self {
        let mut writes: Writes<V> = self.upper.next.take().into_iter().chain(self.upper.writes).collect();
        writes.extend(cached);
        self.upper = Upper::new(writes, self.is_reverse);
        self
    }
}

fn is_hidden(key: &[u8], first_visible: Option<FirstVisible>) -> bool {
    first_visible.is_some_and(|first| first.hides(key))
}

impl<V> Iterator for Rows<V> {
    type Item = Result<(Vec<u8>, Cell<V>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let upper_first = match (&self.upper.next, self.engine.peek()) {
                (None, None) => return None,
                (Some(_), None) => true,
                (None, Some(_)) | (_, Some(Err(_))) => false,
                (Some((upper, _)), Some(Ok((lower, _)))) => {
                    if upper == lower {
                        self.engine.next();
                        true
                    } else {
                        (upper < lower) != self.is_reverse
                    }
                }
            };
            if upper_first {
                match self.upper.step() {
                    Some((key, Some(value))) => return Some(Ok((key, value))),
                    _ => continue,
                }
            }
            match self.engine.next()? {
                Ok((key, _)) if is_hidden(&key, self.first_visible) => {}
                Ok((key, value)) => return Some(Ok((key, Cell::Bytes(value)))),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
