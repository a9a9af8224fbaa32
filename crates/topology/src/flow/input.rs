//! How a record reaches a node: lent when a sibling still needs it, given otherwise.

use std::any::Any;
use std::ops::Deref;

use millstream_types::Record;

/// A record arriving at a node. Look at it through `Deref`; [`into_record`](Self::into_record)
/// makes it the node's own, which clones only if a sibling still needs it.
pub enum Incoming<'a, K, V> {
    /// A sibling comes after us.
    Lent(&'a Record<K, V>),
    /// Ours to take. `Some` until taken.
    Given(&'a mut Option<Record<K, V>>, Taken),
}

/// Keeps `Incoming::Given` from being made outside, so that its slot is known to be full.
#[derive(Debug)]
pub struct Taken(());

/// A record arriving at a node whose types are not known: what an [`AnyProcessor`](super::AnyProcessor)
/// gets. Its timestamp, headers and origin are told by the context.
pub struct AnyRecord<'a>(pub(crate) Input<'a>);

impl<'a> AnyRecord<'a> {
    /// The record, if it has a key and a value of these types.
    pub fn view<K: 'static, V: 'static>(&self) -> Option<&Record<K, V>> {
        match &self.0 {
            Input::Lent(record) => record.downcast_ref(),
            Input::Given(slot) => slot.downcast_ref::<Option<Record<K, V>>>()?.as_ref(),
        }
    }

    /// The record with its types, as a [`Processor`](super::Processor) gets it; `None` if it has others.
    pub fn typed<K: 'static, V: 'static>(self) -> Option<Incoming<'a, K, V>> {
        Incoming::typed(self.0)
    }
}

/// The erased form that crosses the arena.
pub(crate) enum Input<'a> {
    /// A `&Record<K, V>`.
    Lent(&'a (dyn Any + Send)),
    /// A `&mut Option<Record<K, V>>`.
    Given(&'a mut (dyn Any + Send)),
}

impl<'a, K: 'static, V: 'static> Incoming<'a, K, V> {
    /// Gives the erased record its type back. `None` if the edge's ends disagree, which the
    /// builder has ruled out, or the slot is empty.
    pub(crate) fn typed(input: Input<'a>) -> Option<Self> {
        match input {
            Input::Lent(record) => record.downcast_ref().map(Self::Lent),
            Input::Given(slot) => {
                let slot = slot.downcast_mut::<Option<Record<K, V>>>()?;
                slot.is_some().then_some(Self::Given(slot, Taken(())))
            }
        }
    }
}

impl<K: Clone, V: Clone> Incoming<'_, K, V> {
    /// The record itself; clones it if it was lent.
    pub fn into_record(self) -> Record<K, V> {
        match self {
            Self::Lent(record) => record.clone(),
            Self::Given(slot, _) => taken(slot.take()),
        }
    }
}

impl<K, V> Deref for Incoming<'_, K, V> {
    type Target = Record<K, V>;

    fn deref(&self) -> &Record<K, V> {
        match self {
            Self::Lent(record) => record,
            Self::Given(slot, _) => taken(slot.as_ref()),
        }
    }
}

/// `Incoming::Given` is made only over a full slot and consumed when it is taken.
#[expect(clippy::expect_used, reason = "the slot was checked full when `Incoming` was made")]
fn taken<T>(slot: Option<T>) -> T {
    slot.expect("a given record is there until it is taken")
}
