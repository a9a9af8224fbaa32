//! Back on the left side: answers become rows of the result.

use std::sync::Arc;

use millstream_types::Serde;

use super::hash_of;
use super::wire::Response;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};
use crate::operator::table_view::{TableView, ViewSupplier};

/// Joins a left row with a right one; `None` where they make no row.
type Joiner<V, VO, R> = Arc<dyn Fn(&V, Option<&VO>) -> Option<R> + Send + Sync>;

/// What the operator is told when the topology is built.
pub(crate) struct ResponseJoinSpec<K, V, VO, R> {
    /// The left rows as they are now.
    pub(crate) rows: ViewSupplier<K, V>,
    pub(crate) value: Serde<V>,
    pub(crate) joiner: Joiner<V, VO, R>,
}

/// `KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR`.
struct ResponseJoin<K, V, VO, R> {
    rows: Box<dyn TableView<K, V>>,
    value: Serde<V>,
    joiner: Joiner<V, VO, R>,
    value_bytes: Vec<u8>,
}

pub(crate) fn response_join<K, V, VO, R>(spec: ResponseJoinSpec<K, V, VO, R>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VO: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    NodeFactory::processor(move || ResponseJoin {
        rows: (spec.rows.make)(),
        value: spec.value.clone(),
        joiner: Arc::clone(&spec.joiner),
        value_bytes: Vec::new(),
    })
}

impl<K, V, VO, R> Processor for ResponseJoin<K, V, VO, R>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VO: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Response<VO>;
    type KeyOut = K;
    type ValueOut = Option<R>;

    fn init(&mut self, ctx: &mut Context<'_, K, Option<R>>) -> Result<(), ProcessorError> {
        Ok(self.rows.init(&mut ctx.scope())?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Option<R>>,
        record: Incoming<'_, K, Response<VO>>,
    ) -> Result<(), ProcessorError> {
        let row = self.rows.get(&mut ctx.scope(), &record.key)?.map(|row| row.value);
        if hash_of(&self.value, row.as_ref(), &mut self.value_bytes)? != record.value.hash {
            // The row has changed since it asked; another answer is on its way.
            ctx.count_dropped(1);
            return Ok(());
        }
        let other = record.value.value.as_ref();
        let result = row.and_then(|row| (self.joiner)(&row, other));
        let (key, _, rest) = record.into_record().into_parts();
        ctx.forward(rest.with_key(key).with_value(result));
        Ok(())
    }
}
