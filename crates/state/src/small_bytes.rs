//! Bytes of keys and small values.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// How many bytes lie inline: the key of a window of a key of 18 bytes.
const INLINE_MAX: usize = 30;

/// Owned bytes. Up to `INLINE_MAX` lie where they are compared: no pointer to follow, no allocation.
#[derive(Clone)]
pub(crate) enum SmallBytes {
    /// That many of the bytes.
    Inline(u8, [u8; INLINE_MAX]),
    /// Longer ones.
    Boxed(Box<[u8]>),
}

impl SmallBytes {
    /// Becomes other bytes.
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        match self {
            Self::Boxed(own) if own.len() == bytes.len() => own.copy_from_slice(bytes),
            _ => *self = bytes.into(),
        }
    }
}

impl From<&[u8]> for SmallBytes {
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

impl From<Vec<u8>> for SmallBytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= INLINE_MAX { Self::from(&*bytes) } else { Self::Boxed(bytes.into()) }
    }
}

impl Deref for SmallBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Boxed(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for SmallBytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

// As the bytes themselves, which `Borrow` demands.
impl Hash for SmallBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialEq for SmallBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SmallBytes {}

impl PartialOrd for SmallBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SmallBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}
