//! Bytes of keys and small values.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// Owned bytes. Up to `INLINE_MAX` lie where they are compared: no pointer to follow, no allocation.
#[derive(Clone)]
pub(crate) enum SmallBytes<const INLINE_MAX: usize = 30> {
    /// That many of the bytes.
    Inline(u8, [u8; INLINE_MAX]),
    /// Longer ones.
    Boxed(Box<[u8]>),
}

impl<const INLINE_MAX: usize> SmallBytes<INLINE_MAX> {
    /// Becomes other bytes.
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        match self {
            Self::Boxed(own) if own.len() == bytes.len() => own.copy_from_slice(bytes),
            _ => *self = bytes.into(),
        }
    }
}

impl<const INLINE_MAX: usize> From<&[u8]> for SmallBytes<INLINE_MAX> {
    fn from(bytes: &[u8]) -> Self {
        let mut inline = [0; INLINE_MAX];
        match inline.get_mut(..bytes.len()) {
            Some(head) => {
                head.copy_from_slice(bytes);
                Self::Inline(bytes.len() as u8, inline)
            }
            None => Self::Boxed(bytes.into()),
        }
    }
}

impl<const INLINE_MAX: usize> From<Vec<u8>> for SmallBytes<INLINE_MAX> {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= INLINE_MAX { Self::from(&*bytes) } else { Self::Boxed(bytes.into()) }
    }
}

impl<const INLINE_MAX: usize> Deref for SmallBytes<INLINE_MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Boxed(bytes) => bytes,
        }
    }
}

impl<const INLINE_MAX: usize> Borrow<[u8]> for SmallBytes<INLINE_MAX> {
    fn borrow(&self) -> &[u8] {
        self
    }
}

// As the bytes themselves, which `Borrow` demands.
impl<const INLINE_MAX: usize> Hash for SmallBytes<INLINE_MAX> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<const INLINE_MAX: usize> PartialEq for SmallBytes<INLINE_MAX> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<const INLINE_MAX: usize> Eq for SmallBytes<INLINE_MAX> {}

impl<const INLINE_MAX: usize> PartialOrd for SmallBytes<INLINE_MAX> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const INLINE_MAX: usize> Ord for SmallBytes<INLINE_MAX> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}
