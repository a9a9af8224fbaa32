//! Bytes of an input, taken apart for targets that want more than one piece.

/// Takes pieces off; after the end, empty ones.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn i64(&mut self) -> i64 {
        let Some((first, rest)) = self.0.split_first_chunk() else { return i64::from(self.byte()) };
        self.0 = rest;
        i64::from_be_bytes(*first)
    }

    /// Bytes with their length in front; 255 is a null.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.byte();
        if len == 255 {
            return None;
        }
        let (bytes, rest) = self.0.split_at(usize::from(len).min(self.0.len()));
        self.0 = rest;
        Some(bytes)
    }
}

/// Appends bytes as [`Input::bytes`] takes them.
pub(crate) fn put(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let bytes = bytes.map(|bytes| bytes.get(..254).unwrap_or(bytes));
    out.push(bytes.map_or(255, |bytes| bytes.len() as u8));
    out.extend_from_slice(bytes.unwrap_or_default());
}
