//! Aggregates of a grouped stream in windows that time alone defines: tumbling and hopping.
//! (Windows that the data defines, sliding and session, will stand beside this one.)

use std::sync::Arc;

use millstream_state::TimestampedWindowStore;
use millstream_types::{Timestamp, Window, Windowed};

use super::aggregate::Aggregation;
use super::change::Change;
use super::table_output::TableOutput;
use crate::dsl::TimeWindows;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};

/// `KSTREAM-AGGREGATE` over time windows.
struct WindowAggregate<K, V, A> {
    windows: TimeWindows,
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<Windowed<K>, A, TimestampedWindowStore<K, A>>,
    /// Largest timestamp this operator has seen. Starts anew with the task, as in Kafka Streams.
    stream_time: Timestamp,
}

pub(crate) fn window_aggregate<K, V, A>(
    windows: TimeWindows,
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<Windowed<K>, A, TimestampedWindowStore<K, A>>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    let name = Arc::clone(output.name());
    let make = move || WindowAggregate {
        windows,
        aggregation: aggregation.clone(),
        output: output.clone(),
        stream_time: Timestamp::UNKNOWN,
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
        Ok(self.output.init(ctx)?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, Windowed<K>, Change<A>>,
        record: Incoming<'_, K, V>,
    ) -> Result<(), ProcessorError> {
        if self.aggregation.nulls.key(&record.key) {
            tracing::warn!(node = ctx.node_name(), "a record with a null key is left out of the aggregate");
            ctx.count_dropped(1);
            return Ok(());
        }
        let time = record.timestamp;
        self.stream_time = self.stream_time.max(time);
        let (key, value, rest) = record.into_record().into_parts();
        let mut starts = self.windows.starts_of(time).peekable();
        let mut value = Some(value);
        while let Some(start) = starts.next() {
            // The last window takes the value itself, the others a copy.
            let value = if starts.peek().is_some() { value.clone() } else { value.take() };
            let Some(value) = value else { break };
            if self.windows.is_closed(start, self.stream_time) {
                tracing::warn!(
                    node = ctx.node_name(),
                    timestamp = time.0,
                    window = start.0,
                    stream_time = self.stream_time.0,
                    "a record is left out of a window that is closed"
                );
                ctx.count_dropped(1);
                continue;
            }
            let end = Timestamp(start.0.saturating_add(self.windows.size_ms()));
            let key = Windowed { key: key.clone(), window: Window { start, end } };
            let stored = self.output.row(ctx, &key)?;
            let step = self.aggregation.step(&key.key, value, time, stored, self.output.sends_old());
            let row = rest.clone().with_key(key).with_timestamp(step.timestamp);
            self.output.put(ctx, row, step.new, step.old)?;
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_, Windowed<K>, Change<A>>) -> Result<(), ProcessorError> {
        self.output.flush(ctx)
    }
}
