//! The entries of a [`ByteTable`](super::table::ByteTable): keys and values packed into pieces of memory.
//!
//! ```text
//! entry   header (8 bytes) | key | value | room up to a multiple of 8
//! header  length of the key (20 bits) | room for the value (20) | its length (20) | deletes (1) | is dead (1)
//! ```
//!
//! The pieces are of one size: they never move, what one table gives back fits the next one, and an allocator keeps no
//! large hole for them.

/// Bytes of a piece.
const PIECE_BYTES: usize = 1 << 17;

/// Longer entries do not fit.
pub(super) const ENTRY_BYTES_MAX: usize = PIECE_BYTES - 64;

const HEADER_LEN: usize = 8;

/// A byte behind the header that in small entries belongs to the value.
const TOUCHED: usize = 16;
const LEN_BITS: u32 = 20;

/// Lengths of an entry's parts.
#[derive(Clone, Copy)]
struct Header(u64);

impl Header {
    fn new(key_len: usize, room: usize, value: Option<&[u8]>) -> Self {
        let value_len = value.map_or(0, <[u8]>::len) as u64;
        let deletes = u64::from(value.is_none());
        Self(key_len as u64 | (room as u64) << LEN_BITS | value_len << (2 * LEN_BITS) | deletes << (3 * LEN_BITS))
    }

    fn len_at(self, shift: u32) -> usize {
        (self.0 >> shift & ((1 << LEN_BITS) - 1)) as usize
    }

    fn key_len(self) -> usize {
        self.len_at(0)
    }

    /// Bytes for a value.
    fn room(self) -> usize {
        self.len_at(LEN_BITS)
    }

    fn value_len(self) -> usize {
        self.len_at(2 * LEN_BITS)
    }

    fn deletes(self) -> bool {
        self.0 >> (3 * LEN_BITS) & 1 == 1
    }

    fn dead(self) -> Self {
        Self(self.0 | 1 << (3 * LEN_BITS + 1))
    }

    fn is_dead(self) -> bool {
        self.0 >> (3 * LEN_BITS + 1) & 1 == 1
    }

    /// Length of the whole entry.
    fn entry_len(self) -> usize {
        HEADER_LEN + self.key_len() + self.room()
    }

    fn key(self, entry: &[u8]) -> &[u8] {
        entry.get(HEADER_LEN..HEADER_LEN + self.key_len()).unwrap_or_default()
    }

    fn value(self, entry: &[u8]) -> Option<&[u8]> {
        let from = HEADER_LEN + self.key_len();
        if self.deletes() { None } else { entry.get(from..from + self.value_len()) }
    }
}

/// Entries in the order in which they came. A place is a number of bytes, a multiple of 8.
#[derive(Default)]
pub(super) struct Entries {
    pieces: Vec<Vec<u8>>,
    /// The piece that is being filled; those behind it are empty.
    last: usize,
}

/// The entry at the start of some bytes.
fn header_of(entry: &[u8]) -> Header {
    Header(u64::from_le_bytes(entry.first_chunk().copied().unwrap_or_default()))
}

impl Entries {
    /// Bytes used.
    pub(super) fn bytes(&self) -> usize {
        self.last * PIECE_BYTES + self.pieces.get(self.last).map_or(0, Vec::len)
    }

    /// Bytes allocated.
    pub(super) fn room(&self) -> usize {
        self.pieces.iter().map(Vec::capacity).sum()
    }

    fn at(&self, at: usize) -> &[u8] {
        self.pieces.get(at / PIECE_BYTES).and_then(|piece| piece.get(at % PIECE_BYTES..)).unwrap_or_default()
    }

    fn at_mut(&mut self, at: usize) -> &mut [u8] {
        let piece = self.pieces.get_mut(at / PIECE_BYTES);
        piece.and_then(|piece| piece.get_mut(at % PIECE_BYTES..)).unwrap_or_default()
    }

    pub(super) fn key(&self, at: usize) -> &[u8] {
        let entry = self.at(at);
        header_of(entry).key(entry)
    }

    pub(super) fn value(&self, at: usize) -> Option<&[u8]> {
        let entry = self.at(at);
        header_of(entry).value(entry)
    }

    /// Whether a key's entry is there, alive. A place at which no entry of this table ever began is not asked about.
    pub(super) fn is_of(&self, at: usize, key: &[u8]) -> bool {
        let entry = self.at(at);
        let header = header_of(entry);
        !header.is_dead() && header.key(entry) == key
    }

    /// Reads what a look at an entry will need, and gives something that depends on it.
    pub(super) fn touch(&self, at: usize) -> u8 {
        let entry = self.at(at);
        let byte = |at: usize| entry.get(at).copied().unwrap_or_default();
        byte(0) ^ byte(HEADER_LEN + TOUCHED)
    }

    /// Writes an entry behind the others; gives its place.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> usize {
        let used = HEADER_LEN + key.len() + value.map_or(0, <[u8]>::len);
        let len = used.next_multiple_of(8);
        let is_full = |piece: &Vec<u8>| piece.len() + len > PIECE_BYTES;
        if self.pieces.get(self.last).is_some_and(is_full) {
            self.last += 1;
        }
        if self.pieces.len() == self.last {
            // The first one grows as it is filled: most tables are small.
            self.pieces.push(Vec::with_capacity(if self.last == 0 { 0 } else { PIECE_BYTES }));
        }
        let Some(piece) = self.pieces.get_mut(self.last) else { return 0 };
        let at = piece.len();
        let room = len - HEADER_LEN - key.len();
        piece.extend_from_slice(&Header::new(key.len(), room, value).0.to_le_bytes());
        piece.extend_from_slice(key);
        piece.extend_from_slice(value.unwrap_or_default());
        piece.resize(at + len, 0);
        self.last * PIECE_BYTES + at
    }

    /// Writes another value in place of the one that is there, if it fits; says so.
    pub(super) fn set_value(&mut self, at: usize, value: Option<&[u8]>) -> bool {
        let entry = self.at_mut(at);
        let header = header_of(entry);
        if value.map_or(0, <[u8]>::len) > header.room() {
            return false;
        }
        set(entry, Header::new(header.key_len(), header.room(), value));
        let from = HEADER_LEN + header.key_len();
        if let Some(value) = value
            && let Some(place) = entry.get_mut(from..from + value.len())
        {
            place.copy_from_slice(value);
        }
        true
    }

    /// Marks an entry as dead; gives its length.
    pub(super) fn bury(&mut self, at: usize) -> usize {
        let entry = self.at_mut(at);
        let header = header_of(entry);
        set(entry, header.dead());
        header.entry_len()
    }

    /// All that are not dead.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.pieces.iter().flat_map(|piece| alive(piece))
    }

    /// The same, giving each piece back as soon as it is passed.
    pub(super) fn drain(self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for piece in self.pieces {
            alive(&piece).for_each(|(key, value)| each(key, value));
        }
    }

    /// Forgets all; keeps the room.
    pub(super) fn clear(&mut self) {
        self.pieces.iter_mut().for_each(Vec::clear);
        self.last = 0;
    }
}

/// The entries of a piece that are not dead.
fn alive(piece: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (entry, header) = (rest, header_of(rest));
            rest = rest.get(header.entry_len()..).unwrap_or_default();
            if !header.is_dead() {
                return Some((header.key(entry), header.value(entry)));
            }
        }
        None
    })
}

fn set(entry: &mut [u8], header: Header) {
    if let Some(place) = entry.first_chunk_mut() {
        *place = header.0.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_what_is_used_but_for_a_piece() {
        let mut entries = Entries::default();
        for number in 0..20_000_u64 {
            let value = vec![7; number as usize % 300];
            let at = entries.push(&number.to_be_bytes(), Some(&value));
            assert_eq!((entries.key(at), entries.value(at)), (&number.to_be_bytes()[..], Some(&value[..])));
            // The first piece grows by doubling.
            assert!(entries.room() <= entries.bytes() + PIECE_BYTES, "{} for {}", entries.room(), entries.bytes());
        }
        assert_eq!(entries.iter().count(), 20_000);
        let room = entries.room();
        entries.clear();
        assert_eq!((entries.bytes(), entries.room(), entries.iter().count()), (0, room, 0));
        let at = entries.push(b"key", None);
        assert_eq!((at, entries.value(at)), (0, None));
        assert!(entries.set_value(at, Some(b"12345")) && !entries.set_value(at, Some(b"123456")));
    }
}
