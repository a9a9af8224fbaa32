//! The two doubly linked lists through the slots of a cache.

/// No slot.
pub(super) const NIL: u32 = u32::MAX;

/// Which of the two lists.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// In order of use: the head was used last.
    Used,
    /// The dirty entries in order of writing: the tail was written last.
    Dirty,
}

/// Neighbours of each slot in both lists. They lie together and apart from the entries: a write
/// moves a slot in both lists, and often has the same neighbours in both.
#[derive(Default)]
pub(super) struct Links(Vec<[Link; 2]>);

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

/// One list: from `head` to `tail`.
pub(super) struct List {
    which: Which,
    head: u32,
    tail: u32,
    len: usize,
}

impl List {
    pub(super) fn new(which: Which) -> Self {
        Self { which, head: NIL, tail: NIL, len: 0 }
    }

    pub(super) fn head(&self) -> u32 {
        self.head
    }

    pub(super) fn tail(&self) -> u32 {
        self.tail
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Links {
    /// Room for one more slot.
    pub(super) fn grow(&mut self) {
        self.0.push([Link { before: NIL, after: NIL }; 2]);
    }

    fn link(&mut self, which: Which, slot: u32) -> Option<&mut Link> {
        let [used, dirty] = self.0.get_mut(slot as usize)?;
        Some(match which {
            Which::Used => used,
            Which::Dirty => dirty,
        })
    }

    /// Puts a slot before all others.
    pub(super) fn push_front(&mut self, list: &mut List, slot: u32) {
        let after = list.head;
        if let Some(link) = self.link(list.which, slot) {
            *link = Link { before: NIL, after };
        }
        match self.link(list.which, after) {
            Some(link) => link.before = slot,
            None => list.tail = slot,
        }
        list.head = slot;
        list.len += 1;
    }

    /// Puts a slot behind all others.
    pub(super) fn push_back(&mut self, list: &mut List, slot: u32) {
        let before = list.tail;
        if let Some(link) = self.link(list.which, slot) {
            *link = Link { before, after: NIL };
        }
        match self.link(list.which, before) {
            Some(link) => link.after = slot,
            None => list.head = slot,
        }
        list.tail = slot;
        list.len += 1;
    }

    /// Takes a slot out.
    pub(super) fn unlink(&mut self, list: &mut List, slot: u32) {
        let Some(Link { before, after }) = self.link(list.which, slot).copied() else { return };
        match self.link(list.which, before) {
            Some(link) => link.after = after,
            None => list.head = after,
        }
        match self.link(list.which, after) {
            Some(link) => link.before = before,
            None => list.tail = before,
        }
        list.len -= 1;
    }
}
