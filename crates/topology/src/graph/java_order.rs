//! The order in which Java's collections iterate. `describe()` prints hash sets and tree sets whose
//! comparator changes under them, so equal text needs the same tables and trees, for
//! [`describe`](super::describe) and for the order of stores in a plan.

use std::cmp::Ordering;
use std::collections::VecDeque;

/// Bins grow out of this length by doubling the table, as long as it is small.
const BIN_LENGTH_MAX: usize = 8;
/// From this size on Java makes trees of long bins instead of doubling the table.
const TREE_TABLE_SIZE: usize = 64;
const TABLE_SIZE_DEFAULT: usize = 16;

/// `String.hashCode`.
pub(crate) fn hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `String.compareTo`: by UTF-16 units, which differs from Rust's order above U+FFFF.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    left.encode_utf16().cmp(right.encode_utf16())
}

/// Order of a `new HashSet<String>()` (or the keys of a `HashMap`) to which these were added one
/// by one. Duplicates are left out.
pub(crate) fn set_order<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    HashTable::filled(TABLE_SIZE_DEFAULT, keys.into_iter().map(|key| (hash_code(key), key)))
}

/// Order of a `new HashSet<>(collection)` of keys with these hashes, as [`copied_set_order`].
pub(crate) fn copied_order_by_hash<K: PartialEq + Clone>(keys: &[(i32, K)]) -> Vec<K> {
    let capacity = (keys.len() * 4 / 3 + 1).max(TABLE_SIZE_DEFAULT);
    HashTable::filled(capacity.next_power_of_two(), keys.iter().cloned())
}

/// Order of a `new HashSet<>(collection)`, which is sized for the collection at once (as Java 17
/// does it: later versions take half the table for exactly 12, 24, 48... elements).
pub(crate) fn copied_set_order<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let keys: Vec<(i32, &str)> = keys.iter().map(|key| (hash_code(key), *key)).collect();
    copied_order_by_hash(&keys)
}

/// `java.util.HashMap` without values. Not covered: bins of nine keys and more in tables of 64 and
/// more become trees in Java, which moves the tree's root to the front of its bin.
struct HashTable<K> {
    bins: Vec<Vec<(u32, K)>>,
    len: usize,
}

impl<K: PartialEq + Clone> HashTable<K> {
    fn filled(size: usize, keys: impl IntoIterator<Item = (i32, K)>) -> Vec<K> {
        let mut table = Self { bins: vec![Vec::new(); size], len: 0 };
        for (hash, key) in keys {
            table.put(hash as u32, key);
        }
        table.bins.into_iter().flatten().map(|(_, key)| key).collect()
    }

    fn put(&mut self, hash: u32, key: K) {
        let hash = hash ^ (hash >> 16);
        let Some(bin) = bin_of(&mut self.bins, hash) else { return };
        if bin.iter().any(|(_, other)| *other == key) {
            return;
        }
        bin.push((hash, key));
        if bin.len() > BIN_LENGTH_MAX && self.bins.len() < TREE_TABLE_SIZE {
            self.double();
        }
        self.len += 1;
        if self.len > self.bins.len() / 4 * 3 {
            self.double();
        }
    }

    /// Doubles the table; keys of one bin keep their order.
    fn double(&mut self) {
        let doubled = vec![Vec::new(); self.bins.len() * 2];
        for (hash, key) in std::mem::replace(&mut self.bins, doubled).into_iter().flatten() {
            if let Some(bin) = bin_of(&mut self.bins, hash) {
                bin.push((hash, key));
            }
        }
    }
}

/// The table's size is a power of two.
fn bin_of<T>(bins: &mut [Vec<T>], hash: u32) -> Option<&mut Vec<T>> {
    let mask = bins.len().wrapping_sub(1);
    bins.get_mut(hash as usize & mask)
}

/// `java.util.TreeSet` of indices, for a comparator whose answers change between insertions: where
/// an element lands then depends on the shape of the tree, so the tree is Java's red-black tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeSet {
    entries: Vec<Entry>,
    root: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    item: usize,
    left: Option<usize>,
    right: Option<usize>,
    parent: Option<usize>,
    is_red: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn other(self) -> Self {
        if self == Self::Left { Self::Right } else { Self::Left }
    }
}

impl TreeSet {
    /// Adds an item unless the search meets it. `compare` gets the new item first.
    pub(crate) fn insert(&mut self, item: usize, compare: impl Fn(usize, usize) -> Ordering) {
        let mut parent = None;
        let mut side = Side::Left;
        let mut place = self.root;
        while let Some(entry) = self.entry(place) {
            parent = place;
            side = match compare(item, entry.item) {
                Ordering::Less => Side::Left,
                Ordering::Greater => Side::Right,
                Ordering::Equal => return,
            };
            place = self.child(place, side);
        }
        let new = Some(self.entries.len());
        self.entries.push(Entry { item, left: None, right: None, parent, is_red: true });
        if parent.is_none() {
            self.root = new;
        }
        self.set_child(parent, side, new);
        self.balance(new);
    }

    /// The items in the order of an iterator.
    pub(crate) fn items(&self) -> Vec<usize> {
        let mut items = Vec::with_capacity(self.entries.len());
        let mut path = VecDeque::new();
        let mut place = self.root;
        loop {
            while place.is_some() {
                path.push_back(place);
                place = self.child(place, Side::Left);
            }
            let Some(next) = path.pop_back() else { return items };
            items.extend(self.entry(next).map(|entry| entry.item));
            place = self.child(next, Side::Right);
        }
    }

    /// The items in no order.
    pub(crate) fn unordered(&self) -> impl Iterator<Item = usize> + '_ {
        self.entries.iter().map(|entry| entry.item)
    }

    /// `TreeMap.fixAfterInsertion`.
    fn balance(&mut self, new: Option<usize>) {
        let mut at = new;
        while at != self.root && self.is_red(self.parent(at)) {
            let parent = self.parent(at);
            let grandparent = self.parent(parent);
            let side = if parent == self.child(grandparent, Side::Left) { Side::Left } else { Side::Right };
            let uncle = self.child(grandparent, side.other());
            if self.is_red(uncle) {
                self.paint(parent, false);
                self.paint(uncle, false);
                self.paint(grandparent, true);
                at = grandparent;
                continue;
            }
            if at == self.child(parent, side.other()) {
                at = parent;
                self.rotate(at, side);
            }
            self.paint(self.parent(at), false);
            let grandparent = self.parent(self.parent(at));
            self.paint(grandparent, true);
            self.rotate(grandparent, side.other());
        }
        self.paint(self.root, false);
    }

    /// Moves an entry down to `side`; its other child takes its place.
    fn rotate(&mut self, at: Option<usize>, side: Side) {
        let up = self.child(at, side.other());
        let (Some(_), Some(_)) = (at, up) else { return };
        let inner = self.child(up, side);
        self.set_child(at, side.other(), inner);
        self.set_parent(inner, at);
        let parent = self.parent(at);
        self.set_parent(up, parent);
        if parent.is_none() {
            self.root = up;
        } else if self.child(parent, Side::Left) == at {
            self.set_child(parent, Side::Left, up);
        } else {
            self.set_child(parent, Side::Right, up);
        }
        self.set_child(up, side, at);
        self.set_parent(at, up);
    }

    fn entry(&self, place: Option<usize>) -> Option<&Entry> {
        self.entries.get(place?)
    }

    fn entry_mut(&mut self, place: Option<usize>) -> Option<&mut Entry> {
        self.entries.get_mut(place?)
    }

    fn child(&self, place: Option<usize>, side: Side) -> Option<usize> {
        let entry = self.entry(place)?;
        if side == Side::Left { entry.left } else { entry.right }
    }

    fn parent(&self, place: Option<usize>) -> Option<usize> {
        self.entry(place)?.parent
    }

    fn is_red(&self, place: Option<usize>) -> bool {
        self.entry(place).is_some_and(|entry| entry.is_red)
    }

    fn paint(&mut self, place: Option<usize>, is_red: bool) {
        if let Some(entry) = self.entry_mut(place) {
            entry.is_red = is_red;
        }
    }

    fn set_child(&mut self, place: Option<usize>, side: Side, child: Option<usize>) {
        if let Some(entry) = self.entry_mut(place) {
            *(if side == Side::Left { &mut entry.left } else { &mut entry.right }) = child;
        }
    }

    fn set_parent(&mut self, place: Option<usize>, parent: Option<usize>) {
        if let Some(entry) = self.entry_mut(place) {
            entry.parent = parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        // Values of String.hashCode printed by Java 17.
        for (text, hash) in [("", 0), ("a", 97), ("in", 3365), ("Aa", 2112), ("BB", 2112), ("\u{1F600}", 1_772_899)] {
            assert_eq!(hash_code(text), hash, "{text}");
        }
    }

    #[test]
    fn a_tree_with_a_steady_order_is_sorted() {
        let mut tree = TreeSet::default();
        for item in [5, 3, 9, 1, 4, 8, 2, 7, 6, 0, 3, 9] {
            tree.insert(item, |new, old| new.cmp(&old));
        }
        assert_eq!(tree.items(), (0..10).collect::<Vec<_>>());
    }
}
