//! The two doubly linked lists through the slots of a cache.

/// No slot.
pub(super) const NIL: u32 = u32::MAX;

/// Neighbours of each slot in the list of use and in the list of dirty entries.
#[derive(Default)]
pub(super) struct Links {
    used: Vec<Link>,
    dirty: Vec<Link>,
}

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

/// One list: from `head` to `tail`.
pub(super) struct List {
    head: u32,
    tail: u32,
    len: usize,
}

impl List {
    pub(super) fn new() -> Self {
        Self { head: NIL, tail: NIL, len: 0 }
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
        let link = Link { before: NIL, after: NIL };
        self.used.push(link);
        self.dirty.push(link);
    }

    /// Puts a slot at the head: the most recently used.
    pub(super) fn push_used(&mut self, list: &mut List, slot: u32) {
        let after = list.head;
        set(&mut self.used, slot, Link { before: NIL, after });
        match self.used.get_mut(after as usize) {
            Some(link) => link.before = slot,
            None => list.tail = slot,
        }
        list.head = slot;
        list.len += 1;
    }

    /// Puts a slot at the tail: the last written.
    pub(super) fn push_dirty(&mut self, list: &mut List, slot: u32) {
        let before = list.tail;
        set(&mut self.dirty, slot, Link { before, after: NIL });
        match self.dirty.get_mut(before as usize) {
            Some(link) => link.after = slot,
            None => list.head = slot,
        }
        list.tail = slot;
        list.len += 1;
    }

    pub(super) fn unlink_used(&mut self, list: &mut List, slot: u32) {
        unlink(&mut self.used, list, slot);
    }

    pub(super) fn unlink_dirty(&mut self, list: &mut List, slot: u32) {
        unlink(&mut self.dirty, list, slot);
    }
}

fn set(links: &mut [Link], slot: u32, link: Link) {
    if let Some(place) = links.get_mut(slot as usize) {
        *place = link;
    }
}

fn unlink(links: &mut [Link], list: &mut List, slot: u32) {
    let Some(Link { before, after }) = links.get(slot as usize).copied() else { return };
    match links.get_mut(before as usize) {
        Some(link) => link.after = after,
        None => list.head = after,
    }
    match links.get_mut(after as usize) {
        Some(link) => link.before = before,
        None => list.tail = before,
    }
    list.len -= 1;
}
