//! Reads that leave no trace: for queries, which must not change what the task does.

use std::collections::BTreeMap;

use millstream_types::Result;

use super::{ByteRange, ByteStore, Rows};
use crate::bytes::Retention;
use crate::query::ReadView;

impl ByteStore {
    /// Lends the value under a key, as far as the view sees it. Rows past their retention are not there.
    pub(crate) fn peek<R>(&self, key: &[u8], view: ReadView, use_value: impl FnOnce(Option<&[u8]>) -> R) -> Result<R> {
        if self.retention.as_ref().is_some_and(|retention| !retention.is_visible(key)) {
            return Ok(use_value(None));
        }
        if view != ReadView::Committed
            && let Some(value) = self.overlay.get(key)
        {
            return Ok(use_value(value));
        }
        Ok(use_value(self.engine.get(key)?.as_deref()))
    }

    /// The rows of a range, as far as the view sees them.
    pub(crate) fn snapshot<V>(&self, range: &ByteRange, is_reverse: bool, view: ReadView) -> Result<Rows<V>> {
        let first_visible = self.retention.as_ref().and_then(Retention::first_visible);
        let mut writes = BTreeMap::new();
        if view != ReadView::Committed {
            self.overlay.collect(range, &mut writes);
        }
        self.rows_over(writes, range, is_reverse, first_visible)
    }
}
