//! Aggregates of a grouped stream in windows: one operator. How a record goes into its windows is
//! said by their kind: of fixed bounds, sliding with the records, or sessions.

mod closing;
mod fixed;
mod session;
mod sliding;

use std::sync::Arc;

use millstream_state::ValueAndTimestamp;
use millstream_types::{Record, Timestamp, Window, Windowed};

use self::closing::{Closing, Told};
use super::aggregate::Aggregation;
use super::change::Change;
use super::table_output::{RowStore, TableOutput, WindowRows};
use crate::dsl::EmitStrategy;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};

pub(crate) use self::session::{Merge, Sessions};

/// A kind of windows.
pub(crate) trait WindowKind<K, A>: Clone + Send + Sync + 'static {
    /// Where the aggregates are kept.
    type Store: WindowRows<Windowed<K>, A>;

    /// How far behind stream time a window's last time may be until it is closed, in ms.
    fn grace_ms(&self) -> i64;

    /// Puts a record into its windows. Says whether windows that have closed are told after it.
    fn add<V: Clone + Send + 'static>(
        &self,
        table: &WindowTable<K, V, A, Self::Store>,
        ctx: &mut Out<'_, K, A>,
        input: (K, V),
        at: &Arrival,
    ) -> Result<bool, ProcessorError>;

    /// Where the windows that have closed since `told` lie: first and last start, of sessions first
    /// and last end. `None` if there can be none.
    fn closed(&self, told: Told, close_time: i64) -> Option<(i64, i64)>;
}

/// What an aggregate in windows forwards with.
pub(crate) type Out<'a, K, A> = Context<'a, Windowed<K>, Change<A>>;

/// When a record came.
pub(crate) struct Arrival {
    /// The record without key and value.
    rest: Record<(), ()>,
    /// The time at or before which windows must end to be closed.
    close_time: i64,
}

impl Arrival {
    fn time(&self) -> Timestamp {
        self.rest.timestamp
    }
}

/// The aggregates of all windows, and what becomes of them.
pub(crate) struct WindowTable<K, V, A, S> {
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<Windowed<K>, A, S>,
    closing: Closing,
}

impl<K, V, A, S> WindowTable<K, V, A, S>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
    S: RowStore<Windowed<K>, A>,
{
    /// Adds a value to the aggregate of a window, which may be new.
    fn update(
        &self,
        ctx: &mut Out<'_, K, A>,
        (key, value): (Windowed<K>, V),
        stored: Option<ValueAndTimestamp<A>>,
        at: &Arrival,
    ) -> Result<(), ProcessorError> {
        let step = self.aggregation.step(&key.key, value, at.time(), stored, self.output.sends_old());
        let row = at.rest.clone().with_key(key).with_timestamp(step.timestamp);
        self.output.put(ctx, row, step.new, step.old)
    }

    /// Counts a record that came after its window closed.
    fn drop_late(&self, ctx: &mut Out<'_, K, A>, window: Window, at: &Arrival) {
        self.closing.drop_late(ctx, at.time(), window, at.close_time);
    }
}

/// `KSTREAM-AGGREGATE` and `KSTREAM-REDUCE` over windows.
struct WindowedAggregate<K, V, A, W: WindowKind<K, A>> {
    windows: W,
    table: WindowTable<K, V, A, W::Store>,
}

pub(crate) fn windowed_aggregate<K, V, A, W>(
    windows: W,
    emit: EmitStrategy,
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<Windowed<K>, A, W::Store>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
    W: WindowKind<K, A>,
{
    let name = Arc::clone(output.name());
    let closing = Closing::new(emit, windows.grace_ms(), Arc::clone(&name));
    let make = move || WindowedAggregate {
        windows: windows.clone(),
        table: WindowTable { aggregation: aggregation.clone(), output: output.clone(), closing: closing.clone() },
    };
    NodeFactory::processor(make).flushing(&name)
}

impl<K, V, A, W> Processor for WindowedAggregate<K, V, A, W>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
    W: WindowKind<K, A>,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = Windowed<K>;
    type ValueOut = Change<A>;

    fn init(&mut self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        self.table.closing.init(ctx);
        Ok(self.table.output.init(ctx)?)
    }

    fn process(&mut self, ctx: &mut Out<'_, K, A>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        let Self { windows, table } = self;
        if table.aggregation.skips(ctx, &record) {
            return Ok(());
        }
        let close_time = table.closing.observe(record.timestamp);
        let (key, value, rest) = record.into_record().into_parts();
        let at = Arrival { rest, close_time };
        if windows.add(table, ctx, (key, value), &at)?
            && let Some(told) = table.closing.is_due(ctx, close_time)
            && let Some(span) = windows.closed(told, close_time)
        {
            table.output.forward_closed(ctx, span, &at.rest.headers)?;
            table.closing.told(ctx, close_time);
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        self.table.output.flush(ctx)
    }
}
