//! Record headers: an ordered list in which names may repeat.

use std::sync::Arc;

use bytes::Bytes;

/// One header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Name; may repeat within a record.
    pub key: Arc<str>,
    /// Value; `None` is Kafka's null.
    pub value: Option<Bytes>,
}

/// The headers of a record, in order. Empty headers cost nothing; a clone shares the list until
/// one side changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// No headers. Does not allocate.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Appends a header; earlier ones of the same name stay.
    pub fn add(&mut self, key: impl Into<Arc<str>>, value: Option<Bytes>) {
        let list = self.0.get_or_insert_with(Arc::default);
        Arc::make_mut(list).push(Header { key: key.into(), value });
    }

    /// Removes all headers of that name.
    pub fn remove(&mut self, key: &str) {
        if self.iter().any(|header| &*header.key == key)
            && let Some(list) = &mut self.0
        {
            Arc::make_mut(list).retain(|header| &*header.key != key);
        }
    }

    /// The last header of that name, as Kafka's `lastHeader`.
    pub fn last(&self, key: &str) -> Option<&Header> {
        self.as_slice().iter().rev().find(|header| &*header.key == key)
    }

    /// All headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.as_slice().iter()
    }

    /// All headers in order.
    pub fn as_slice(&self) -> &[Header] {
        self.0.as_ref().map_or(&[], |list| list.as_slice())
    }

    /// Number of headers.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether both share one list, or have none: a cheap test that may miss equal lists.
    pub fn is_same_list(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        let list: Vec<Header> = headers.into_iter().collect();
        if list.is_empty() { Self(None) } else { Self(Some(Arc::new(list))) }
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
