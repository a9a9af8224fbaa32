//! The join of a stream with itself over one store (`single.store.self.join`, KIP-862): what the
//! two sides of `stream_join.rs` give, in the same order, from half the state.

use std::sync::Arc;

use millstream_state::TimestampedWindowStoreWithHeaders;
use millstream_types::{Record, Timestamp};

use super::nulls::Nulls;
use super::stream_join::{PairJoiner, partners};
use crate::dsl::JoinWindows;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreHandle};

struct SelfJoin<K, V, O> {
    windows: JoinWindows,
    joiner: PairJoiner<K, V, V, O>,
    nulls: Nulls<K, V>,
    store: Arc<str>,
    handle: Option<StoreHandle<TimestampedWindowStoreWithHeaders<K, V>>>,
    /// Largest timestamp this operator has seen. Starts anew with the task, as in Kafka Streams.
    stream_time: Timestamp,
    partners: Vec<(Timestamp, V)>,
}

pub(crate) fn self_join<K, V, O>(
    windows: JoinWindows,
    joiner: PairJoiner<K, V, V, O>,
    nulls: Nulls<K, V>,
    store: &Arc<str>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    O: Clone + Send + 'static,
{
    let store = Arc::clone(store);
    NodeFactory::processor(move || SelfJoin {
        windows,
        joiner: Arc::clone(&joiner),
        nulls: nulls.clone(),
        store: Arc::clone(&store),
        handle: None,
        stream_time: Timestamp::UNKNOWN,
        partners: Vec::new(),
    })
}

impl<K, V, O> Processor for SelfJoin<K, V, O>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    O: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = K;
    type ValueOut = O;

    fn init(&mut self, ctx: &mut Context<'_, K, O>) -> Result<(), ProcessorError> {
        self.handle = Some(ctx.store_handle(&self.store)?);
        Ok(())
    }

    fn process(&mut self, ctx: &mut Context<'_, K, O>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        let Some(store) = self.handle else { return Ok(()) };
        if self.nulls.key(&record.key) || self.nulls.value(&record.value) {
            ctx.drop_record("a record with a null key or value is left out of the join");
            return Ok(());
        }
        let time = record.timestamp;
        // Joined before anything is forwarded, so that a joiner that fails leaves no results.
        let mut own = Some((self.joiner)(&record.key, Some(&record.value), Some(&record.value)));
        self.stream_time = self.stream_time.max(time);
        let retention_ms = self.windows.size_ms().saturating_add(self.windows.grace_period_ms());
        if time.0 <= self.stream_time.0.saturating_sub(retention_ms).saturating_add(1) {
            own = None;
        }
        let (before_ms, after_ms) = (self.windows.before_ms(), self.windows.after_ms());

        let mut found = std::mem::take(&mut self.partners);
        partners(ctx.store(store), &record.key, time, (before_ms, after_ms), &mut found)?;
        for (partner_time, partner) in found.drain(..) {
            let joined = (self.joiner)(&record.key, Some(&record.value), Some(&partner));
            forward(ctx, &record, joined, time.max(partner_time));
        }
        partners(ctx.store(store), &record.key, time, (after_ms, before_ms), &mut found)?;
        for (partner_time, partner) in found.drain(..) {
            // The record's result with itself has its place among the others by time.
            if let Some(own) = own.take_if(|_| time < partner_time) {
                forward(ctx, &record, own, time);
            }
            let joined = (self.joiner)(&record.key, Some(&partner), Some(&record.value));
            forward(ctx, &record, joined, time.max(partner_time));
        }
        self.partners = found;
        if let Some(own) = own {
            forward(ctx, &record, own, time);
        }
        Ok(())
    }
}

fn forward<K, V, O>(ctx: &mut Context<'_, K, O>, record: &Record<K, V>, value: O, timestamp: Timestamp)
where
    K: Clone + Send + 'static,
    O: Clone + Send + 'static,
{
    ctx.forward(Record { key: record.key.clone(), value, timestamp, headers: record.headers.clone() });
}
