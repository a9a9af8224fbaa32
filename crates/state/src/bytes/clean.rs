//! Values lately read or written that the engine holds as well.

use super::map::ByteMap;
use crate::small_bytes::SmallBytes;

/// A bounded memory of what the engine answers, absent keys included.
///
/// Two generations: reads and writes go to the young one; when it is full it becomes the old one,
/// and what the old one still held is forgotten. What is used again in time comes back.
pub(crate) struct CleanValues {
    young: ByteMap,
    old: ByteMap,
    generation_bytes_max: usize,
}

impl CleanValues {
    /// Holds at most `bytes_max` bytes; 0 holds nothing.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { young: ByteMap::new(false), old: ByteMap::new(false), generation_bytes_max: bytes_max / 2 }
    }

    /// Whether nothing is ever held.
    pub(crate) fn is_off(&self) -> bool {
        self.generation_bytes_max == 0
    }

    /// What the engine is known to hold under a key.
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<Option<&[u8]>> {
        if let Some(value) = self.old.remove(key) {
            self.put(key.into(), value);
        }
        // The put may have closed the young generation.
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Notes what the engine holds from now on.
    pub(crate) fn put(&mut self, key: SmallBytes, value: Option<SmallBytes>) {
        if self.is_off() {
            return;
        }
        self.old.remove(&key);
        if value.as_ref().map_or(0, |value| value.len()) + key.len() > self.generation_bytes_max / 4 {
            self.young.remove(&key);
            return;
        }
        self.young.insert(key, value);
        if self.young.bytes() > self.generation_bytes_max {
            self.old = std::mem::replace(&mut self.young, ByteMap::new(false));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.young = ByteMap::new(false);
        self.old = ByteMap::new(false);
    }
}
