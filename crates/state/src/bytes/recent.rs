//! Which keys of a bounded store were used least recently (`Stores::lru_map`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The keys of a store of at most `keys_max` rows, in order of use. Reads and writes count as use,
/// scans do not, as in Kafka Streams' `MemoryLRUCache`.
pub(crate) struct RecentKeys {
    keys_max: usize,
    uses: u64,
    by_key: HashMap<Arc<[u8]>, u64, RandomState>,
    by_use: BTreeMap<u64, Arc<[u8]>>,
}

impl RecentKeys {
    pub(crate) fn new(keys_max: usize) -> Self {
        Self { keys_max, uses: 0, by_key: HashMap::default(), by_use: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.by_key.contains_key(key)
    }

    /// Notes a read of a key that is there.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        let Some(used) = self.by_key.get_mut(key) else { return };
        self.uses += 1;
        if let Some(key) = self.by_use.remove(used) {
            self.by_use.insert(self.uses, key);
        }
        *used = self.uses;
    }

    /// Notes a write; gives the key that has to go for it.
    pub(crate) fn write(&mut self, key: &[u8], is_delete: bool) -> Option<Arc<[u8]>> {
        if is_delete {
            if let Some(used) = self.by_key.remove(key) {
                self.by_use.remove(&used);
            }
            return None;
        }
        if self.by_key.contains_key(key) {
            self.touch(key);
            return None;
        }
        self.uses += 1;
        let key: Arc<[u8]> = key.into();
        self.by_key.insert(Arc::clone(&key), self.uses);
        self.by_use.insert(self.uses, key);
        if self.by_key.len() <= self.keys_max {
            return None;
        }
        let (_, oldest) = self.by_use.pop_first()?;
        self.by_key.remove(&oldest);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_used_least_recently_goes() {
        let mut recent = RecentKeys::new(2);
        assert_eq!(recent.write(b"a", false), None);
        assert_eq!(recent.write(b"b", false), None);
        recent.touch(b"a");
        recent.touch(b"absent");
        assert_eq!(recent.write(b"c", false).as_deref(), Some(&b"b"[..]));
        assert_eq!(recent.write(b"a", false), None);
        assert_eq!(recent.write(b"c", true), None);
        assert_eq!(recent.write(b"d", false), None);
        assert!(recent.contains(b"a") && !recent.contains(b"c"));
        assert_eq!(recent.write(b"e", false).as_deref(), Some(&b"a"[..]));
    }

    #[test]
    fn a_store_of_no_rows_keeps_none() {
        let mut recent = RecentKeys::new(0);
        assert_eq!(recent.write(b"a", false).as_deref(), Some(&b"a"[..]));
    }
}
