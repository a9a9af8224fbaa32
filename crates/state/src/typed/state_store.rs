//! What the runtime asks of a store, by its core: the same for all typed stores.

/// Implements [`StateStore`](crate::StateStore) by the store's core.
macro_rules! state_store {
    ($store:ident) => {
        crate::typed::state_store!($store, core);
    };
    ($store:ident, $core:ident $(. $field:ident)*) => {
        crate::typed::state_store!($store<K, V>, $core $(. $field)*);
    };
    ($store:ident<$($type:ident),+>, $core:ident $(. $field:ident)*) => {
        impl<$($type: Clone + Send + 'static),+> crate::StateStore for $store<$($type),+> {
            fn facts(&self) -> &crate::StoreFacts {
                self.$core$(.$field)*.below.facts()
            }

            fn enter(&mut self, origin: &crate::Origin, headers: &millstream_types::Headers) {
                self.$core$(.$field)*.enter(origin, headers);
            }

            fn read_ahead(&mut self, keys: &[&[u8]]) -> usize {
                self.$core$(.$field)*.read_ahead(keys)
            }

            fn flush_cache(&mut self) -> millstream_types::Result<()> {
                self.$core$(.$field)*.flush_silently()
            }

            fn drain_changelog(
                &mut self,
                sink: &mut dyn FnMut(crate::ChangelogRecord<'_>) -> millstream_types::Result<()>,
            ) -> millstream_types::Result<()> {
                self.$core$(.$field)*.check()?;
                self.$core$(.$field)*.below.drain_changelog(sink)
            }

            fn take_dropped(&mut self) -> u64 {
                self.$core$(.$field)*.below.take_dropped()
            }

            fn row_count(&mut self) -> millstream_types::Result<u64> {
                self.$core$(.$field)*.count_rows()
            }

            fn uncommitted_bytes(&self) -> usize {
                self.$core$(.$field)*.below.uncommitted_bytes()
            }

            fn seal(&mut self) {
                self.$core$(.$field)*.below.seal();
            }

            fn apply(&mut self, mark: &crate::CommitMark) -> millstream_types::Result<()> {
                self.$core$(.$field)*.below.apply(mark)
            }

            fn mark(&self) -> millstream_types::Result<Option<crate::CommitMark>> {
                self.$core$(.$field)*.below.mark()
            }

            fn restore(
                &mut self,
                records: &[crate::RestoreRecord<'_>],
                mark: &crate::CommitMark,
            ) -> millstream_types::Result<()> {
                // A standby that is queried may have kept rows that change now.
                self.$core$(.$field)*.forget_cached();
                self.$core$(.$field)*.below.restore(records, mark)
            }

            fn wipe(&mut self) -> millstream_types::Result<()> {
                self.$core$(.$field)*.forget_cached();
                self.$core$(.$field)*.below.wipe()
            }

            fn answer(&mut self, question: &mut crate::query::Question<'_>) {
                crate::query::Answers::offer(self, question);
            }

            fn as_any(&self) -> &dyn std::any::Any {
                self
            }

            fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
                self
            }
        }
    };
}

pub(crate) use state_store;
