//! The topics and partitions that rows came from, each kept once.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::{Partition, RawRecord};

use crate::Origin;
use crate::store::is_same;

/// The number of a source that has none of its own.
const UNNUMBERED: u16 = u16::MAX;

/// Topics and partitions by number: a task reads few, and a number fits where a shared pointer to
/// the topic would not.
#[derive(Default)]
pub(super) struct Sources {
    numbered: Vec<Source>,
    /// The source of the last write: the next one mostly has the same.
    last: u16,
    /// By slot, those of rows that came when all numbers were taken.
    others: BTreeMap<u32, Source>,
    /// By slot, the input records themselves; none where nobody asks for them.
    raws: Vec<Option<Arc<RawRecord>>>,
}

pub(super) struct Source {
    pub(super) topic: Option<Arc<str>>,
    pub(super) partition: Partition,
}

/// No record.
static NOWHERE: Source = Source { topic: None, partition: Partition(-1) };

impl Source {
    fn is_of(&self, origin: &Origin) -> bool {
        let is_same_topic = || is_same(self.topic.as_ref(), origin.topic.as_ref()) || self.topic == origin.topic;
        self.partition == origin.partition && is_same_topic()
    }
}

impl Sources {
    /// The number of the source of a slot's write.
    pub(super) fn number(&mut self, slot: u32, origin: &Origin) -> u16 {
        if !self.numbered.get(usize::from(self.last)).is_some_and(|source| source.is_of(origin)) {
            self.last = self.find(slot, origin);
        }
        if origin.raw.is_some() || !self.raws.is_empty() {
            self.keep(slot, origin);
        }
        self.last
    }

    #[cold]
    fn keep(&mut self, slot: u32, origin: &Origin) {
        let slot = slot as usize;
        if self.raws.len() <= slot {
            self.raws.resize(slot + 1, None);
        }
        if let Some(raw) = self.raws.get_mut(slot) {
            raw.clone_from(&origin.raw);
        }
    }

    #[cold]
    fn find(&mut self, slot: u32, origin: &Origin) -> u16 {
        if let Some(known) = self.numbered.iter().position(|source| source.is_of(origin)) {
            return known as u16;
        }
        let source = Source { topic: origin.topic.clone(), partition: origin.partition };
        if self.numbered.len() == usize::from(UNNUMBERED) {
            self.others.insert(slot, source);
            return UNNUMBERED;
        }
        self.numbered.push(source);
        (self.numbered.len() - 1) as u16
    }

    /// The source of that number, which a slot's row has.
    pub(super) fn get(&self, slot: u32, number: u16) -> &Source {
        self.numbered.get(usize::from(number)).or_else(|| self.others.get(&slot)).unwrap_or(&NOWHERE)
    }

    /// The input record of a slot's row, where it is kept.
    pub(super) fn raw(&self, slot: u32) -> Option<&Arc<RawRecord>> {
        self.raws.get(slot as usize)?.as_ref()
    }
}
