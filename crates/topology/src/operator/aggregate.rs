//! Aggregates of a grouped stream without windows.

use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;
use millstream_types::{Record, Serde, Timestamp};

use super::change::Change;
use super::nulls::Nulls;
use super::table_output::TableOutput;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};

/// How a value goes into an aggregate: count, reduce and aggregate are this with other functions.
pub(crate) struct Aggregation<K, V, A> {
    /// The aggregate before the first value; `None` for reduce, where the first value is it.
    pub(crate) initial: Option<Arc<dyn Fn() -> A + Send + Sync>>,
    /// The next aggregate. Gets `None` where there is none and no initial one.
    pub(crate) apply: Arc<dyn Fn(&K, V, Option<A>) -> A + Send + Sync>,
    /// Says which keys and values count as null.
    pub(crate) nulls: Nulls<K, V>,
    /// Says which aggregates are null, so that their row is deleted.
    pub(crate) result: Serde<A>,
}

impl<K, V, A> Clone for Aggregation<K, V, A> {
    fn clone(&self) -> Self {
        Self {
            initial: self.initial.clone(),
            apply: Arc::clone(&self.apply),
            nulls: self.nulls.clone(),
            result: self.result.clone(),
        }
    }
}

/// An aggregate before and after a value.
pub(crate) struct Step<A> {
    pub(crate) old: Option<A>,
    pub(crate) new: Option<A>,
    pub(crate) timestamp: Timestamp,
}

impl<K, V, A: Clone> Aggregation<K, V, A> {
    /// Adds a value at `timestamp` to what is stored. `old` is only filled if `wants_old`; as in
    /// Kafka Streams it is then the initial aggregate where nothing was stored.
    pub(crate) fn step(
        &self,
        key: &K,
        value: V,
        timestamp: Timestamp,
        stored: Option<millstream_state::ValueAndTimestamp<A>>,
        wants_old: bool,
    ) -> Step<A> {
        let timestamp = stored.as_ref().map_or(timestamp, |stored| timestamp.max(stored.timestamp));
        let before = match stored {
            Some(stored) => Some(stored.value),
            None => self.initial(),
        };
        let old = if wants_old { before.clone().filter(|before| !self.result.is_null(before)) } else { None };
        Step { old, new: self.add(key, value, before), timestamp }
    }

    /// Adds a value to an aggregate; `None` if the result is null.
    pub(crate) fn add(&self, key: &K, value: V, before: Option<A>) -> Option<A> {
        let new = (self.apply)(key, value, before);
        (!self.result.is_null(&new)).then_some(new)
    }

    /// The aggregate before the first value.
    pub(crate) fn initial(&self) -> Option<A> {
        self.initial.as_ref().map(|initial| initial())
    }

    /// A result that goes into the next step: of a reduce, a null one counts as none.
    pub(crate) fn known(&self, result: A) -> Option<A> {
        (self.initial.is_some() || !self.result.is_null(&result)).then_some(result)
    }

    /// Whether a record is left out for its null key or value; it is then counted.
    pub(crate) fn skips<KO, VO>(&self, ctx: &mut Context<'_, KO, VO>, record: &Record<K, V>) -> bool
    where
        KO: Clone + Send + 'static,
        VO: Clone + Send + 'static,
    {
        let is_null = self.nulls.key(&record.key) || self.nulls.value(&record.value);
        if is_null {
            ctx.drop_record("a record with a null key or value is left out of the aggregate");
        }
        is_null
    }
}

/// `KSTREAM-AGGREGATE` and `KSTREAM-REDUCE`.
struct Aggregate<K, V, A> {
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<K, A, TimestampedKeyValueStore<K, A>>,
}

pub(crate) fn aggregate<K, V, A>(
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<K, A, TimestampedKeyValueStore<K, A>>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    let name = Arc::clone(output.name());
    let make = move || Aggregate { aggregation: aggregation.clone(), output: output.clone() };
    NodeFactory::processor(make).flushing(&name)
}

impl<K, V, A> Processor for Aggregate<K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = K;
    type ValueOut = Change<A>;

    fn init(&mut self, ctx: &mut Context<'_, K, Change<A>>) -> Result<(), ProcessorError> {
        Ok(self.output.init(ctx)?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Change<A>>,
        record: Incoming<'_, K, V>,
    ) -> Result<(), ProcessorError> {
        if self.aggregation.skips(ctx, &record) {
            return Ok(());
        }
        let (key, value, rest) = record.into_record().into_parts();
        let stored = self.output.row(ctx, &key)?;
        let step = self.aggregation.step(&key, value, rest.timestamp, stored, self.output.sends_old());
        self.output.put(ctx, rest.with_key(key).with_timestamp(step.timestamp), step.new, step.old)
    }

    fn flush(&mut self, ctx: &mut Context<'_, K, Change<A>>) -> Result<(), ProcessorError> {
        self.output.flush(ctx)
    }
}
