//! Windows that slide with the records (KIP-450): windows of one length that end with a record, or
//! start right after one.

use std::collections::BTreeSet;

use millstream_state::{TimestampedWindowStore, ValueAndTimestamp};
use millstream_types::{Timestamp, Window, Windowed};

use super::closing::{LAST_TIME, Told};
use super::{Arrival, Out, WindowKind, WindowTable};
use crate::dsl::SlidingWindows;
use crate::flow::ProcessorError;

/// The windows with their aggregates, and the record on its way into them.
struct Adding<'a, K, V, A> {
    difference: i64,
    table: &'a WindowTable<K, V, A, TimestampedWindowStore<K, A>>,
    key: K,
    value: V,
    at: &'a Arrival,
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

impl<K, A> WindowKind<K, A> for SlidingWindows
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type Store = TimestampedWindowStore<K, A>;

    fn grace_ms(&self) -> i64 {
        self.grace_period_ms()
    }

    fn add<V: Clone + Send + 'static>(
        &self,
        table: &WindowTable<K, V, A, Self::Store>,
        ctx: &mut Out<'_, K, A>,
        (key, value): (K, V),
        at: &Arrival,
    ) -> Result<bool, ProcessorError> {
        let (start, difference) = (at.time(), self.time_difference_ms());
        // A window that would end after the last time there is counts as one that is over, as in
        // Kafka Streams.
        let end = start.0.checked_add(difference);
        if end.is_none_or(|end| end < at.close_time) {
            // As there such a record, like one of an early time, tells of no closed windows.
            let end = Timestamp(end.unwrap_or(LAST_TIME));
            table.drop_late(ctx, Window { start, end }, at);
            return Ok(false);
        }
        if difference == 0 {
            // As in Kafka Streams, which finds out with the first record, too.
            let node = ctx.node_name();
            return Err(format!(
                "the sliding windows of {node} have a time difference of 0: they would begin where they end, which no \
                 window does; for records of the same time use TimeWindows of 1 ms"
            )
            .into());
        }
        let adding = Adding { difference, table, key, value, at };
        if start.0 < difference {
            adding.add_early(ctx)?;
            return Ok(false);
        }
        adding.add(ctx)?;
        Ok(true)
    }

    fn closed(&self, Told(told): Told, close_time: i64) -> Option<(i64, i64)> {
        let difference = self.time_difference_ms();
        let to = close_time.saturating_sub(difference).saturating_sub(1);
        let from = told.map_or(0, |told| told.saturating_sub(difference).max(0));
        (to >= 0).then_some((from, to))
    }
}

impl<K, V, A> Adding<'_, K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    fn time(&self) -> i64 {
        self.at.time().0
    }

    /// Puts the record into the windows that are there, newest first, and makes those that it begins:
    /// the one right after the record before it, the one that ends with it, the one right after it.
    fn add(&self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        let (time, difference) = (self.time(), self.difference);
        let from = Timestamp(time.saturating_sub(difference.saturating_mul(2)).max(0));
        let mut around = Around { starts: BTreeSet::new(), has_left: false, left: None, right: None, previous: None };
        for row in self.table.output.window_rows(ctx, &self.key, (from, next(time)), true)? {
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
            self.update(ctx, start.0, Some(row))?;
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
            self.update(ctx, after, None)?;
        }
        if !around.has_left {
            let is_in_reach = around.previous.is_some_and(|previous| time.saturating_sub(difference) <= previous);
            let left = around.left.filter(|_| is_in_reach);
            let left = left.map(|value| ValueAndTimestamp::new(value, self.at.time()));
            self.update(ctx, time.saturating_sub(difference), left)?;
        }
        if !around.starts.contains(&next(time).0) {
            self.start_after(ctx, around.right)?;
        }
        Ok(())
    }

    /// Puts the record into its windows whose own one would start before 1970: they share the one that
    /// starts at 0.
    fn add_early(&self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        let time = self.time();
        let mut starts = BTreeSet::new();
        let (mut first, mut right) = (None, None);
        for row in self.table.output.window_rows(ctx, &self.key, (Timestamp(0), next(time)), false)? {
            let (start, row) = row?;
            starts.insert(start.0);
            if start.0 == 0 {
                first = Some(row);
            } else if start.0 <= time {
                right = Some(row.clone());
                self.update(ctx, start.0, Some(row))?;
            }
        }
        let right = right.or_else(|| first.clone().filter(|first| first.timestamp.0 > time));
        if !starts.contains(&next(time).0) {
            self.start_after(ctx, right)?;
        }
        let previous = first.as_ref().map(|first| first.timestamp.0).filter(|previous| *previous < time);
        if let Some(after) = previous.map(|previous| previous.saturating_add(1))
            && !starts.contains(&after)
        {
            self.update(ctx, after, None)?;
        }
        self.update(ctx, 0, first)
    }

    /// Adds the record to a window, which may be new.
    fn update(
        &self,
        ctx: &mut Out<'_, K, A>,
        start: i64,
        stored: Option<ValueAndTimestamp<A>>,
    ) -> Result<(), ProcessorError> {
        let key = self.window(start);
        if key.window.end.0 < self.at.close_time {
            self.table.drop_late(ctx, key.window, self.at);
            return Ok(());
        }
        self.table.update(ctx, (key, self.value.clone()), stored, self.at)
    }

    /// Makes the window that starts right after the record, if later records are known.
    fn start_after(&self, ctx: &mut Out<'_, K, A>, right: Option<ValueAndTimestamp<A>>) -> Result<(), ProcessorError> {
        let Some(right) = right.filter(|right| right.timestamp.0 > self.time()) else { return Ok(()) };
        let key = self.window(next(self.time()).0);
        let row = self.at.rest.clone().with_key(key).with_timestamp(right.timestamp);
        self.table.output.put(ctx, row, Some(right.value), None)
    }

    fn window(&self, start: i64) -> Windowed<K> {
        let end = Timestamp(start.saturating_add(self.difference));
        Windowed { key: self.key.clone(), window: Window { start: Timestamp(start), end } }
    }
}

/// Start of the window right after a time.
fn next(time: i64) -> Timestamp {
    Timestamp(time.saturating_add(1))
}
