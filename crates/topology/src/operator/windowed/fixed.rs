//! Aggregates of a grouped stream in windows that time alone defines: tumbling, hopping, unlimited.

use std::sync::Arc;

use millstream_state::TimestampedWindowStore;
use millstream_types::{Timestamp, Window, Windowed};

use super::closing::{Closing, LAST_TIME, Told, no_end};
use crate::dsl::{EmitStrategy, FixedWindows};
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};
use crate::operator::aggregate::Aggregation;
use crate::operator::change::Change;
use crate::operator::table_output::TableOutput;

/// `KSTREAM-AGGREGATE` over time windows.
struct WindowAggregate<K, V, A> {
    windows: FixedWindows,
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<Windowed<K>, A, TimestampedWindowStore<K, A>>,
    closing: Closing,
}

pub(crate) fn window_aggregate<K, V, A>(
    windows: FixedWindows,
    emit: EmitStrategy,
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<Windowed<K>, A, TimestampedWindowStore<K, A>>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    let name = Arc::clone(output.name());
    let closing = Closing::new(emit, windows.grace_period_ms(), Arc::clone(&name));
    let make = move || WindowAggregate {
        windows,
        aggregation: aggregation.clone(),
        output: output.clone(),
        closing: closing.clone(),
    };
    NodeFactory::processor(make).flushing(&name)
}

impl<K, V, A> Processor for WindowAggregate<K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = Windowed<K>;
    type ValueOut = Change<A>;

    fn init(&mut self, ctx: &mut Context<'_, Windowed<K>, Change<A>>) -> Result<(), ProcessorError> {
        self.closing.init(ctx);
        Ok(self.output.init(ctx)?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, Windowed<K>, Change<A>>,
        record: Incoming<'_, K, V>,
    ) -> Result<(), ProcessorError> {
        if self.aggregation.skips(ctx, &record) {
            return Ok(());
        }
        let time = record.timestamp;
        let close_time = self.closing.observe(time);
        if time.0 > LAST_TIME.saturating_sub(self.windows.size_ms()) && !self.windows.end_in_time(time) {
            return Err(no_end(time));
        }
        let (key, value, rest) = record.into_record().into_parts();
        let mut starts = self.windows.starts_of(time).peekable();
        let mut value = Some(value);
        while let Some(start) = starts.next() {
            // The last window takes the value itself, the others a copy.
            let value = if starts.peek().is_some() { value.clone() } else { value.take() };
            let Some(value) = value else { break };
            let end = Timestamp(start.0.saturating_add(self.windows.size_ms()));
            if end.0 <= close_time {
                self.closing.drop_late(ctx, time, (start.0, end.0), close_time);
                continue;
            }
            let key = Windowed { key: key.clone(), window: Window { start, end } };
            let stored = self.output.row(ctx, &key)?;
            let step = self.aggregation.step(&key.key, value, time, stored, self.output.sends_old());
            let row = rest.clone().with_key(key).with_timestamp(step.timestamp);
            self.output.put(ctx, row, step.new, step.old)?;
        }
        if let Some(told) = self.closing.is_due(ctx, close_time)
            && let Some(starts) = self.closed(told, close_time)
        {
            self.output.forward_closed(ctx, starts, &rest.headers)?;
            self.closing.told(ctx, close_time);
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_, Windowed<K>, Change<A>>) -> Result<(), ProcessorError> {
        self.output.flush(ctx)
    }
}

impl<K, V, A> WindowAggregate<K, V, A> {
    /// First and last start of the windows that have closed since `told`; `None` if none can have.
    fn closed(&self, told: Told, close_time: i64) -> Option<(i64, i64)> {
        let size_ms = self.windows.size_ms();
        let to = close_time.saturating_sub(size_ms);
        if to < 0 {
            return None;
        }
        let Told(Some(told)) = told else { return Some((0, to)) };
        let before = told.saturating_sub(size_ms).max(0);
        // No window starts in between: nothing has closed since.
        if self.windows.starts_of(Timestamp(to)).eq(self.windows.starts_of(Timestamp(before))) {
            return None;
        }
        Some((before.saturating_add(1), to))
    }
}
