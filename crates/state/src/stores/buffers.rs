//! How buffers are described.

use std::sync::Arc;

use millstream_types::Serde;

use super::{StoreBuilder, Stores};
use crate::{ChangeBuffer, StoreKind, StreamBuffer};

impl Stores {
    /// A buffer that holds a table's updates back, in memory.
    pub fn change_buffer_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        name: impl Into<Arc<str>>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<ChangeBuffer<K, V>> {
        let open = move |facts, env| Ok(ChangeBuffer::new(facts, env, keys.clone(), values.clone()));
        StoreBuilder::new(name.into(), StoreKind::ChangeBuffer, (false, None), open)
    }

    /// A buffer in which a stream's records wait.
    pub fn stream_buffer_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        name: impl Into<Arc<str>>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<StreamBuffer<K, V>> {
        let open = move |facts, env| StreamBuffer::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::new(name.into(), StoreKind::StreamBuffer, (true, None), open)
    }
}
