//! Aggregates of a grouped stream in sliding windows (KIP-450): windows of one length that end with
//! a record, or start right after one.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_state::{TimestampedWindowStore, ValueAndTimestamp};
use millstream_types::{Record, Timestamp, Window, Windowed};

use super::closing::{Closing, Told};
use crate::dsl::{EmitStrategy, SlidingWindows};
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};
use crate::operator::aggregate::Aggregation;
use crate::operator::change::Change;
use crate::operator::table_output::TableOutput;

/// `KSTREAM-AGGREGATE` over sliding windows.
struct SlidingAggregate<K, V, A> {
    windows: SlidingWindows,
    aggregation: Aggregation<K, V, A>,
    output: TableOutput<Windowed<K>, A, TimestampedWindowStore<K, A>>,
    closing: Closing,
}

type Out<'a, K, A> = Context<'a, Windowed<K>, Change<A>>;

/// A record on its way into its windows.
struct Input<K, V> {
    key: K,
    value: V,
    rest: Record<(), ()>,
    close_time: i64,
}

impl<K, V> Input<K, V> {
    fn time(&self) -> i64 {
        self.rest.timestamp.0
    }
}

/// What a look at the windows around a record has found.
struct Around<A> {
    /// Starts of the windows that are there.
    starts: BTreeSet<i64>,
    /// Whether a window ends with the record.
    has_left: bool,
    /// The last window that ends before the record.
    left: Option<A>,
    /// The first window that holds the record and may hold later ones.
    right: Option<ValueAndTimestamp<A>>,
    /// Time of the record before this one, unless a window after it is known to be there.
    previous: Option<i64>,
}

pub(crate) fn sliding_aggregate<K, V, A>(
    windows: SlidingWindows,
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
    let make = move || SlidingAggregate {
        windows,
        aggregation: aggregation.clone(),
        output: output.clone(),
        closing: closing.clone(),
    };
    NodeFactory::processor(make).flushing(&name)
}

impl<K, V, A> Processor for SlidingAggregate<K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = Windowed<K>;
    type ValueOut = Change<A>;

    fn init(&mut self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        self.closing.init(ctx);
        Ok(self.output.init(ctx)?)
    }

    fn process(&mut self, ctx: &mut Out<'_, K, A>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        if self.aggregation.skips(ctx, &record) {
            return Ok(());
        }
        let close_time = self.closing.observe(record.timestamp);
        let (key, value, rest) = record.into_record().into_parts();
        let input = Input { key, value, rest, close_time };
        // A window that would end after the last time there is counts as one that is over, as in
        // Kafka Streams.
        let end = input.time().checked_add(self.difference());
        if end.is_none_or(|end| end < close_time) {
            let end = end.unwrap_or(i64::MAX);
            self.closing.drop_late(ctx, input.rest.timestamp, (input.time(), end), close_time);
            return Ok(());
        }
        if self.difference() == 0 {
            // As in Kafka Streams, which finds out with the first record, too.
            let node = ctx.node_name();
            return Err(format!(
                "the sliding windows of {node} have a time difference of 0: they would begin where they end, which no \
                 window does; for records of the same time use TimeWindows of 1 ms"
            )
            .into());
        }
        if input.time() < self.difference() {
            // As in Kafka Streams such a record tells of no closed windows.
            return self.add_early(ctx, &input);
        }
        self.add(ctx, &input)?;
        if let Some(Told(told)) = self.closing.is_due(ctx, close_time) {
            let to = close_time.saturating_sub(self.difference()).saturating_sub(1);
            let from = told.map_or(0, |told| told.saturating_sub(self.difference()).max(0));
            if to >= 0 {
                self.output.forward_closed(ctx, (from, to), &input.rest.headers)?;
                self.closing.told(ctx, close_time);
            }
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        self.output.flush(ctx)
    }
}

impl<K, V, A> SlidingAggregate<K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    fn difference(&self) -> i64 {
        self.windows.time_difference_ms()
    }

    /// Puts a record into the windows that are there, newest first, and makes those that it begins:
    /// the one right after the record before it, the one that ends with it, the one right after it.
    fn add(&mut self, ctx: &mut Out<'_, K, A>, input: &Input<K, V>) -> Result<(), ProcessorError> {
        let (time, difference) = (input.time(), self.difference());
        let from = Timestamp(time.saturating_sub(difference.saturating_mul(2)).max(0));
        let mut around = Around { starts: BTreeSet::new(), has_left: false, left: None, right: None, previous: None };
        for row in self.output.window_rows(ctx, &input.key, (from, next(time)), true)? {
            let (start, row) = row?;
            let end = start.0.saturating_add(difference);
            around.starts.insert(start.0);
            if start == next(time) {
                continue;
            }
            if end < time {
                around.previous = Some(row.timestamp.0);
                around.left = Some(row.value);
                break;
            }
            let last = row.timestamp.0;
            if end > time && around.right.is_none() {
                around.right = Some(row.clone());
            }
            self.update(ctx, input, start.0, Some(row))?;
            if end == time {
                around.has_left = true;
                if last >= time {
                    // A record of this time has made all windows already.
                    return Ok(());
                }
                around.previous = Some(last);
            }
        }
        if let Some(after) = around.previous.map(|previous| previous.saturating_add(1))
            && !around.starts.contains(&after)
            && after.saturating_add(difference) >= time
        {
            self.update(ctx, input, after, None)?;
        }
        if !around.has_left {
            let is_in_reach = around.previous.is_some_and(|previous| time.saturating_sub(difference) <= previous);
            let left = around.left.filter(|_| is_in_reach);
            let left = left.map(|value| ValueAndTimestamp::new(value, input.rest.timestamp));
            self.update(ctx, input, time.saturating_sub(difference), left)?;
        }
        if !around.starts.contains(&next(time).0) {
            self.start_after(ctx, input, around.right)?;
        }
        Ok(())
    }

    /// Puts a record into its windows whose own one would start before 1970: they share the one that
    /// starts at 0.
    fn add_early(&mut self, ctx: &mut Out<'_, K, A>, input: &Input<K, V>) -> Result<(), ProcessorError> {
        let time = input.time();
        let mut starts = BTreeSet::new();
        let (mut first, mut right) = (None, None);
        for row in self.output.window_rows(ctx, &input.key, (Timestamp(0), next(time)), false)? {
            let (start, row) = row?;
            starts.insert(start.0);
            if start.0 == 0 {
                first = Some(row);
            } else if start.0 <= time {
                right = Some(row.clone());
                self.update(ctx, input, start.0, Some(row))?;
            }
        }
        let right = right.or_else(|| first.clone().filter(|first| first.timestamp.0 > time));
        if !starts.contains(&next(time).0) {
            self.start_after(ctx, input, right)?;
        }
        let previous = first.as_ref().map(|first| first.timestamp.0).filter(|previous| *previous < time);
        if let Some(after) = previous.map(|previous| previous.saturating_add(1))
            && !starts.contains(&after)
        {
            self.update(ctx, input, after, None)?;
        }
        self.update(ctx, input, 0, first)
    }

    /// Adds the record to a window, which may be new.
    fn update(
        &mut self,
        ctx: &mut Out<'_, K, A>,
        input: &Input<K, V>,
        start: i64,
        stored: Option<ValueAndTimestamp<A>>,
    ) -> Result<(), ProcessorError> {
        let key = self.window(input, start);
        let end = key.window.end.0;
        if end < input.close_time {
            self.closing.drop_late(ctx, input.rest.timestamp, (start, end), input.close_time);
            return Ok(());
        }
        let wants_old = self.output.sends_old();
        let step = self.aggregation.step(&input.key, input.value.clone(), input.rest.timestamp, stored, wants_old);
        let row = input.rest.clone().with_key(key).with_timestamp(step.timestamp);
        self.output.put(ctx, row, step.new, step.old)
    }

    /// Makes the window that starts right after the record, if later records are known.
    fn start_after(
        &mut self,
        ctx: &mut Out<'_, K, A>,
        input: &Input<K, V>,
        right: Option<ValueAndTimestamp<A>>,
    ) -> Result<(), ProcessorError> {
        let Some(right) = right.filter(|right| right.timestamp.0 > input.time()) else { return Ok(()) };
        let key = self.window(input, next(input.time()).0);
        let row = input.rest.clone().with_key(key).with_timestamp(right.timestamp);
        self.output.put(ctx, row, Some(right.value), None)
    }

    fn window(&self, input: &Input<K, V>, start: i64) -> Windowed<K> {
        let end = Timestamp(start.saturating_add(self.difference()));
        Windowed { key: input.key.clone(), window: Window { start: Timestamp(start), end } }
    }
}

/// Start of the window right after a time.
fn next(time: i64) -> Timestamp {
    Timestamp(time.saturating_add(1))
}
