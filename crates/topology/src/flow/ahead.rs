//! Reading ahead: the stores hear which keys come next, and bring their rows close.
//!
//! A row of a large cache lies in memory that the processor waits for. The keys of the records that
//! wait are known, and of several rows at once it waits for all in the time of one.

use std::collections::BTreeSet;

use super::Flow;
use super::build::NodeIndex;

/// Keys that stores hear of at once: what they bring stays in the first cache until it is used.
const KEYS: usize = 16;

/// Records that pass before stores are asked again that had no use for the keys.
const PAUSE: usize = 1024;

impl Flow {
    /// Tells the stores behind a source which keys its next records have; gives how many of these
    /// records pass until it should be told again. Changes nothing that can be seen: a key that does
    /// not come, or not as a key of theirs, costs a look.
    pub fn read_ahead<'k>(&mut self, source: NodeIndex, keys: impl Iterator<Item = &'k [u8]>) -> usize {
        let known = self.stores_below.iter().position(|(of, _)| *of == source);
        let at = known.unwrap_or_else(|| {
            self.stores_below.push((source, self.find_stores_below(source)));
            self.stores_below.len() - 1
        });
        let Some((_, places)) = self.stores_below.get(at).filter(|(_, places)| !places.is_empty()) else {
            return usize::MAX;
        };
        let mut next = [&[] as &[u8]; KEYS];
        let count = next.iter_mut().zip(keys).map(|(place, key)| *place = key).count();
        let next = next.get(..count).unwrap_or_default();
        let mut of_use = 0;
        for place in places {
            of_use = of_use.max(self.stores.get_mut(*place).map_or(0, |store| store.read_ahead(next)));
        }
        if 2 * of_use >= count { count } else { PAUSE }
    }

    fn find_stores_below(&self, source: NodeIndex) -> Box<[usize]> {
        let mut seen = BTreeSet::from([source]);
        let mut open = vec![source];
        let mut places = BTreeSet::new();
        while let Some(node) = open.pop().and_then(|index| self.node(index)) {
            places.extend(node.stores.iter().map(|(_, place)| *place));
            open.extend(node.children.iter().filter(|child| seen.insert(**child)));
        }
        places.into_iter().collect()
    }
}
